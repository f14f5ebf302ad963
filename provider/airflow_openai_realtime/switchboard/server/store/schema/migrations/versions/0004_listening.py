"""Processes that hold conversations, and who listens in their place while they are silent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CONVERSATION = "openai_realtime_conversation"


def _exact_text(length: int) -> sa.String:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def upgrade() -> None:
    """Make the table, and the columns beside conversations, which older switchboards leave as they are."""
    op.create_table(
        "openai_realtime_process",
        sa.Column("line", _exact_text(200), primary_key=True),
        sa.Column("process", _exact_text(64), primary_key=True),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.add_column(_CONVERSATION, sa.Column("process", _exact_text(64)))
    op.add_column(_CONVERSATION, sa.Column("standby_by", _exact_text(64)))
    op.add_column(_CONVERSATION, sa.Column("standby_until", sa.Double))
    op.add_column(_CONVERSATION, sa.Column("heard_until", sa.Double))


def downgrade() -> None:
    """Drop what was made."""
    for column in ("heard_until", "standby_until", "standby_by", "process"):
        op.drop_column(_CONVERSATION, column)
    op.drop_table("openai_realtime_process")
