"""When DAG runs that place calls first started."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_RUN_START = "openai_realtime_run_start"


def _exact_text(length: int) -> sa.String:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        _RUN_START,
        sa.Column("line", _exact_text(200), primary_key=True),
        sa.Column("dag_id", _exact_text(250), primary_key=True),
        sa.Column("run_id", _exact_text(250), primary_key=True),
        sa.Column("first_started_at", sa.Double, nullable=False),
    )
    op.create_index("ix_openai_realtime_run_start_started", _RUN_START, ["first_started_at"])


def downgrade() -> None:
    """Drop what was made."""
    op.drop_table(_RUN_START)
