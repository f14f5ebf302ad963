"""Calls, their feed, and the ledger of attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
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
        "openai_realtime_call",
        sa.Column("line", _exact_text(200), primary_key=True),
        sa.Column("call_id", _exact_text(255), primary_key=True),
        sa.Column("webhook_id", _exact_text(255)),
        sa.Column("state", _exact_text(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("from_number", _exact_text(128)),
        sa.Column("to_number", _exact_text(128)),
        sa.Column("headers", _LONG_TEXT, nullable=False),
        sa.Column("media_security", _exact_text(64)),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("claimed_by", _exact_text(500)),
        sa.Column("claimed_at", sa.Double),
        sa.Column("accepted_at", sa.Double),
        sa.Column("hangup_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("end_reason", _exact_text(200)),
        sa.Column("status_code", sa.Integer),
        sa.Column("target_uri", _exact_text(1024)),
        sa.Column("hangup_tries", sa.Integer, nullable=False),
        sa.Column("hangup_not_before", sa.Double),
        sa.UniqueConstraint("line", "webhook_id", name="uq_openai_realtime_call_webhook"),
    )
    for name, columns in (
        ("state", ["line", "state", "received_at"]),
        ("claimant", ["line", "claimed_by"]),
        ("hangup", ["state", "hangup_at"]),
        ("expiry", ["state", "expires_at"]),
    ):
        op.create_index(f"ix_openai_realtime_call_{name}", "openai_realtime_call", columns)
    op.create_table(
        "openai_realtime_feed",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("line", _exact_text(200), nullable=False),
        sa.Column("call_id", _exact_text(255), nullable=False),
        sa.Column("kind", _exact_text(16), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "openai_realtime_attempt",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("attempt_id", _exact_text(36), nullable=False, unique=True),
        sa.Column("line", _exact_text(200), nullable=False),
        sa.Column("campaign", _exact_text(200), nullable=False),
        sa.Column("contact", _exact_text(200), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", _exact_text(16), nullable=False),
        sa.Column("owner", _exact_text(64)),
        sa.Column("correlation_id", _exact_text(64), nullable=False),
        sa.Column("to_number", _exact_text(128)),
        sa.Column("carrier_call_id", _exact_text(255)),
        sa.Column("outcome", _exact_text(64)),
        sa.Column("call_id", _exact_text(255)),
        sa.Column("detail", _LONG_TEXT),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.UniqueConstraint("line", "campaign", "contact", "attempt", name="uq_openai_realtime_attempt"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("attempt", "feed", "call"):
        op.drop_table(f"openai_realtime_{table}")
