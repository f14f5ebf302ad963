"""
The switchboard's tables. ``migrations/`` builds them; a test compares the two.

Instants are seconds since 1970 as double precision: the same on every database, to the microsecond. Names and ids
compare by their bytes on MySQL too, where text otherwise ignores case.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT, VARCHAR

SCHEMA_VERSION = "0009"
"""Alembic revision of the tables below."""

VERSION_TABLE = "openai_realtime_alembic_version"

NOBODY = ""
"""The process of a conversation that its owner gave up: it shows no sign of life, even if the owner's process does."""


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as seconds since 1970."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> float | None:
        """To the database."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, dialect: Any) -> datetime | None:
        """From the database."""
        return None if value is None else datetime.fromtimestamp(value, timezone.utc)


def exact_text(length: int) -> String:
    """
    Text of limited length that compares by its bytes.

    :param length: Most characters.
    """
    return String(length).with_variant(VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def sequence_number() -> Any:
    """A number that the database counts up."""
    return BigInteger().with_variant(Integer, "sqlite")


LONG_TEXT = Text().with_variant(MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")

metadata = MetaData()

calls = Table(
    "openai_realtime_call",
    metadata,
    Column("line", exact_text(200), primary_key=True),
    Column("call_id", exact_text(255), primary_key=True),
    Column("webhook_id", exact_text(255)),
    Column("state", exact_text(16), nullable=False),
    Column("version", Integer, nullable=False),  # counts changes: the compare in compare-and-set
    Column("from_number", exact_text(128)),
    Column("to_number", exact_text(128)),
    Column("headers", LONG_TEXT, nullable=False),
    Column("media_security", exact_text(64)),
    Column("received_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("claimed_by", exact_text(500)),
    Column("claimed_at", Instant),
    Column("accepted_at", Instant),
    Column("hangup_at", Instant),
    Column("ended_at", Instant),
    Column("end_reason", exact_text(200)),
    Column("status_code", Integer),
    Column("target_uri", exact_text(1024)),
    Column("hangup_tries", Integer, nullable=False),
    Column("hangup_not_before", Instant),  # another worker's lease, or the pause after a failure
    Column("order_lease_until", Instant),  # until when one worker alone carries a standing order out
    Column("end_wanted", exact_text(200)),  # why the call is to end; committed before it is ended
    Column("end_wanted_by", exact_text(500)),
    Column("end_wanted_at", Instant),
    Column("end_due_at", Instant),  # later than end_wanted_at: only if no holder takes the call up before
    Column("ended_by", exact_text(500)),
    Column("end_witness", exact_text(16)),  # how the end is known: see witnesses.py
    Column("transfer_state", exact_text(20)),
    Column("talk_seconds", Double),  # as the carrier counted; null: not known
    Column("hangup_sent_at", Instant),  # a hang-up was sent whose answer is not known
    UniqueConstraint("line", "webhook_id", name="uq_openai_realtime_call_webhook"),
    Index("ix_openai_realtime_call_state", "line", "state", "received_at"),
    Index("ix_openai_realtime_call_claimant", "line", "claimed_by"),
    Index("ix_openai_realtime_call_hangup", "state", "hangup_at"),
    Index("ix_openai_realtime_call_end_due", "state", "end_due_at"),
    Index("ix_openai_realtime_call_expiry", "state", "expires_at"),
    Index("ix_openai_realtime_call_received", "received_at"),
)

orders = Table(
    "openai_realtime_order",
    metadata,
    Column("line", exact_text(200), primary_key=True),
    Column("name", exact_text(100), primary_key=True),
    Column("revision", exact_text(32), nullable=False),  # another one with every change of what the order says
    Column("edition", exact_text(500), nullable=False),  # whose uses are counted together
    Column("conditions", LONG_TEXT, nullable=False),  # JSON of a CallMatch
    Column("action", exact_text(16), nullable=False),
    Column("answer", LONG_TEXT, nullable=False),  # JSON of an OrderAnswer; may hold credentials of tools
    Column("max_duration_seconds", Double),
    Column("status_code", Integer),
    Column("priority", Integer, nullable=False),
    Column("uses", Integer),
    Column("uses_left", Integer),
    Column("expires_at", Instant),
    Column("unclaimed_after_seconds", Double),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

feed = Table(
    "openai_realtime_feed",
    metadata,
    Column("seq", sequence_number(), primary_key=True, autoincrement=True),
    Column("line", exact_text(200), nullable=False),
    Column("call_id", exact_text(255), nullable=False),
    Column("kind", exact_text(16), nullable=False),
    Column("at", Instant, nullable=False),
    sqlite_autoincrement=True,  # a number is never given twice, even when old rows are deleted
)

attempts = Table(
    "openai_realtime_attempt",
    metadata,
    Column("seq", sequence_number(), primary_key=True, autoincrement=True),
    Column("attempt_id", exact_text(36), nullable=False, unique=True),
    Column("line", exact_text(200), nullable=False),
    Column("campaign", exact_text(200), nullable=False),
    Column("contact", exact_text(200), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", exact_text(16), nullable=False),
    Column("owner", exact_text(64)),
    Column("correlation_id", exact_text(64), nullable=False),
    Column("to_number", exact_text(128)),
    Column("carrier_call_id", exact_text(255)),
    Column("outcome", exact_text(64)),
    Column("call_id", exact_text(255)),
    Column("detail", LONG_TEXT),
    Column("claimant", exact_text(800)),  # the task that dials; null: not known
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("line", "campaign", "contact", "attempt", name="uq_openai_realtime_attempt"),
    Index("ix_openai_realtime_attempt_call", "line", "call_id"),
    Index("ix_openai_realtime_attempt_correlation", "line", "correlation_id"),
    Index("ix_openai_realtime_attempt_created", "created_at"),
    sqlite_autoincrement=True,
)

conversations = Table(
    "openai_realtime_conversation",
    metadata,
    Column("line", exact_text(200), primary_key=True),
    Column("call_id", exact_text(255), primary_key=True),
    Column("holder", exact_text(500), nullable=False),
    Column("generation", Integer, nullable=False),  # how often it was opened: only the last holder may write
    Column("opened_at", Instant, nullable=False),
    Column("saved_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", exact_text(64)),
    Column("result", LONG_TEXT),
    Column("entry_count", Integer, nullable=False),
    Column("entry_bytes", Integer, nullable=False),
    Column("process", exact_text(64)),  # where the holder runs; null: no signs of life are shown there; empty: given up
    Column("standby_by", exact_text(64)),  # the worker that listens in the place of a silent process
    Column("standby_until", Instant),  # the lease of that worker, or a pause
    Column("heard_until", Instant),  # until when a worker has listened
    Index("ix_openai_realtime_conversation_saved", "saved_at"),
    Index("ix_openai_realtime_conversation_finished", "finished_at"),
)

timeline = Table(
    "openai_realtime_timeline",
    metadata,
    Column("seq", sequence_number(), primary_key=True, autoincrement=True),
    Column("line", exact_text(200), nullable=False),
    Column("call_id", exact_text(255), nullable=False),
    Column("key", exact_text(255), nullable=False),
    Column("kind", exact_text(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", LONG_TEXT, nullable=False),
    UniqueConstraint("line", "call_id", "key", name="uq_openai_realtime_timeline"),
)

run_starts = Table(
    "openai_realtime_run_start",
    metadata,
    Column("line", exact_text(200), primary_key=True),
    Column("dag_id", exact_text(250), primary_key=True),
    Column("run_id", exact_text(250), primary_key=True),
    Column("first_started_at", Instant, nullable=False),
    Index("ix_openai_realtime_run_start_started", "first_started_at"),
)

processes = Table(
    "openai_realtime_process",
    metadata,
    Column("line", exact_text(200), primary_key=True),
    Column("process", exact_text(64), primary_key=True),
    Column("seen_at", Instant, nullable=False),
)
