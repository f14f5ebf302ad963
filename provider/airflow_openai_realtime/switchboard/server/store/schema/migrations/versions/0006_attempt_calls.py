"""Which task made an attempt, and indexes to find an attempt by its call, its correlation id and its time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ATTEMPT = "openai_realtime_attempt"


def _exact_text(length: int) -> sa.String:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def upgrade() -> None:
    """Add the column and the indexes; older switchboards leave the column empty."""
    op.add_column(_ATTEMPT, sa.Column("claimant", _exact_text(800)))
    op.create_index("ix_openai_realtime_attempt_call", _ATTEMPT, ["line", "call_id"])
    op.create_index("ix_openai_realtime_attempt_correlation", _ATTEMPT, ["line", "correlation_id"])
    op.create_index("ix_openai_realtime_attempt_created", _ATTEMPT, ["created_at"])


def downgrade() -> None:
    """Drop what was made."""
    for name in ("created", "correlation", "call"):
        op.drop_index(f"ix_openai_realtime_attempt_{name}", _ATTEMPT)
    op.drop_column(_ATTEMPT, "claimant")
