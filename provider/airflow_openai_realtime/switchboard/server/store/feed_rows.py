"""The append-only log of what happened to calls, and reading it without stepping over anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from airflow_openai_realtime.switchboard.server.feed.cursors import WIDEST_LOOK_BACK, Cursor
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads
from airflow_openai_realtime.switchboard.server.store.schema.tables import feed

PAGE = 1000


@dataclass(frozen=True)
class FeedPage:
    """
    What is new in the feed.

    :param changes: (line, call id) of each row, in the feed's order; a call may come several times.
    :param cursor: The place behind them.
    :param is_full: Whether there may be more.
    """

    changes: tuple[tuple[str, str], ...]
    cursor: Cursor
    is_full: bool


class Feed:
    """
    Reading the feed. Rows are written together with the change that they tell of.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    def since(self, connection: Connection, cursor: Cursor, now: datetime) -> FeedPage:
        """
        What became visible since a cursor, of all lines, at most :data:`PAGE` rows.

        :param connection: A connection with an open transaction; given by the decorator.
        :param cursor: How far the reader is.
        :param now: The time, aware.
        """
        return feed_since(connection, cursor, now)

    @reads
    def end(self, connection: Connection, now: datetime) -> Cursor:
        """
        The place behind everything that is visible now.

        :param connection: A connection with an open transaction; given by the decorator.
        :param now: The time, aware.
        """
        return feed_end(connection, now)


def append(connection: Connection, changes: Iterable[tuple[str, str, str]], at: datetime) -> None:
    """
    Write rows to the feed; the last statement of a transaction, so that it commits soon after.

    :param connection: A connection with an open transaction.
    :param changes: (line, call id, kind).
    :param at: When it happened, aware.
    """
    rows = [{"line": line, "call_id": call_id, "kind": kind, "at": at} for line, call_id, kind in changes]
    if rows:
        connection.execute(feed.insert().inline(), rows)


def feed_end(connection: Connection, now: datetime, *, with_gaps: bool = True) -> Cursor:
    """
    The place behind everything that is visible in this transaction.

    :param connection: A connection with an open transaction.
    :param now: The time, aware.
    :param with_gaps: Whether numbers that are missing below are noted as well. SQLite's writers take turns, so there
        none can be.
    """
    latest = select(feed.c.seq).order_by(feed.c.seq.desc())
    if not with_gaps or connection.dialect.name == "sqlite":
        return Cursor(connection.execute(latest.limit(1)).scalar() or 0)
    return Cursor.at_end(connection.execute(latest.limit(WIDEST_LOOK_BACK)).scalars(), now.timestamp())


def feed_since(connection: Connection, cursor: Cursor, now: datetime) -> FeedPage:
    """
    What is visible in this transaction and was not at the cursor, at most :data:`PAGE` rows.

    :param connection: A connection with an open transaction.
    :param cursor: How far the reader is.
    :param now: The time, aware.
    """
    wanted = feed.c.seq > cursor.high
    if cursor.gaps:
        wanted = or_(wanted, feed.c.seq.in_(cursor.gaps))
    query = select(feed.c.seq, feed.c.line, feed.c.call_id).where(wanted).order_by(feed.c.seq).limit(PAGE)
    rows = connection.execute(query).all()
    moved = cursor.advanced((row.seq for row in rows), now.timestamp())
    return FeedPage(tuple((row.line, row.call_id) for row in rows), moved, is_full=len(rows) == PAGE)
