"""Whether a transfer is about to be requested, or was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_CALL = "openai_realtime_call"


def upgrade() -> None:
    """Add the column, and fill it for calls whose transfer older switchboards noted."""
    exact = mysql.VARCHAR(20, charset="utf8mb4", collation="utf8mb4_bin")
    op.add_column(_CALL, sa.Column("transfer_state", sa.String(20).with_variant(exact, "mysql", "mariadb")))
    op.execute(f"UPDATE {_CALL} SET transfer_state = 'transfer_requested' WHERE target_uri IS NOT NULL")  # noqa: S608


def downgrade() -> None:
    """Drop the column."""
    op.drop_column(_CALL, "transfer_state")
