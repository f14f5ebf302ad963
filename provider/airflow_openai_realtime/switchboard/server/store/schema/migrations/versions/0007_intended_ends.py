"""Who wants a call to end and why, who ended it, and how that is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_CALL = "openai_realtime_call"
_CONVERSATION = "openai_realtime_conversation"


def _exact_text(length: int) -> sa.String:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def upgrade() -> None:
    """Add columns beside those that older switchboards know, and the indexes by which ends find what they end."""
    op.add_column(_CALL, sa.Column("end_wanted", _exact_text(200)))
    op.add_column(_CALL, sa.Column("end_wanted_by", _exact_text(500)))
    op.add_column(_CALL, sa.Column("end_wanted_at", sa.Double))
    op.add_column(_CALL, sa.Column("end_due_at", sa.Double))
    op.add_column(_CALL, sa.Column("ended_by", _exact_text(500)))
    op.add_column(_CALL, sa.Column("end_witness", _exact_text(16)))
    op.add_column(_CALL, sa.Column("talk_seconds", sa.Double))
    op.add_column(_CALL, sa.Column("hangup_sent_at", sa.Double))
    op.create_index("ix_openai_realtime_call_end_due", _CALL, ["state", "end_due_at"])
    op.create_index("ix_openai_realtime_conversation_finished", _CONVERSATION, ["finished_at"])


def downgrade() -> None:
    """Drop what was made."""
    op.drop_index("ix_openai_realtime_conversation_finished", _CONVERSATION)
    op.drop_index("ix_openai_realtime_call_end_due", _CALL)
    for column in (
        "hangup_sent_at",
        "talk_seconds",
        "end_witness",
        "ended_by",
        "end_due_at",
        "end_wanted_at",
        "end_wanted_by",
        "end_wanted",
    ):
        op.drop_column(_CALL, column)
