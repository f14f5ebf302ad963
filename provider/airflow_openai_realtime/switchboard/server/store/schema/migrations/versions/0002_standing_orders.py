"""Standing orders, and the lease of the worker that carries one out for a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _exact_text(length: int) -> sa.String:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")


def upgrade() -> None:
    """Make the table, and the column beside calls, which older switchboards leave empty."""
    op.create_table(
        "openai_realtime_order",
        sa.Column("line", _exact_text(200), primary_key=True),
        sa.Column("name", _exact_text(100), primary_key=True),
        sa.Column("revision", _exact_text(32), nullable=False),
        sa.Column("edition", _exact_text(500), nullable=False),
        sa.Column("conditions", _LONG_TEXT, nullable=False),
        sa.Column("action", _exact_text(16), nullable=False),
        sa.Column("answer", _LONG_TEXT, nullable=False),
        sa.Column("max_duration_seconds", sa.Double),
        sa.Column("status_code", sa.Integer),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("uses", sa.Integer),
        sa.Column("uses_left", sa.Integer),
        sa.Column("expires_at", sa.Double),
        sa.Column("unclaimed_after_seconds", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.add_column("openai_realtime_call", sa.Column("order_lease_until", sa.Double))


def downgrade() -> None:
    """Drop what was made."""
    op.drop_column("openai_realtime_call", "order_lease_until")
    op.drop_table("openai_realtime_order")
