"""Conversations and their timelines, and an index for the page of recent calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _exact_text(length: int) -> sa.String:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "openai_realtime_conversation",
        sa.Column("line", _exact_text(200), primary_key=True),
        sa.Column("call_id", _exact_text(255), primary_key=True),
        sa.Column("holder", _exact_text(500), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("saved_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("outcome", _exact_text(64)),
        sa.Column("result", _LONG_TEXT),
        sa.Column("entry_count", sa.Integer, nullable=False),
        sa.Column("entry_bytes", sa.Integer, nullable=False),
    )
    op.create_index("ix_openai_realtime_conversation_saved", "openai_realtime_conversation", ["saved_at"])
    op.create_table(
        "openai_realtime_timeline",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("line", _exact_text(200), nullable=False),
        sa.Column("call_id", _exact_text(255), nullable=False),
        sa.Column("key", _exact_text(255), nullable=False),
        sa.Column("kind", _exact_text(16), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("body", _LONG_TEXT, nullable=False),
        sa.UniqueConstraint("line", "call_id", "key", name="uq_openai_realtime_timeline"),
    )
    op.create_index("ix_openai_realtime_call_received", "openai_realtime_call", ["received_at"])


def downgrade() -> None:
    """Drop what was made."""
    op.drop_index("ix_openai_realtime_call_received", "openai_realtime_call")
    for table in ("timeline", "conversation"):
        op.drop_table(f"openai_realtime_{table}")
