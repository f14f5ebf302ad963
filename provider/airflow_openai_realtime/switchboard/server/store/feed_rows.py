"""
The append-only log of what happened to calls, and reading it without stepping over anything.

The feed's numbers are given when a row is written, but rows become visible when they are committed: number 1041 can
appear after 1042. So a reader's place is the highest number seen *and* the numbers below it that were missing, each
with the moment it was first missed. A missing number is looked for again for some seconds, then given up: its writer
failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, or_, select

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads
from airflow_openai_realtime.switchboard.server.store.schema.tables import feed

PAGE = 1000


GAP_SECONDS = 10.0
"""How long a missing number is looked for: far longer than any of our transactions lasts."""

WIDEST_LOOK_BACK = 1000
"""How many numbers below the highest one can be missing; more are not in flight at once."""

_RUN = re.compile(r"([0-9]{1,18})-([0-9]{1,18})@([0-9]{1,15})")
_LONGEST_TEXT = 16_000


@dataclass(frozen=True)
class Cursor:
    """
    A place in the feed. Clients see it as an opaque text such as ``1042~1035-1039@1764000000123``.

    :param high: The highest number seen.
    :param gaps: Missing numbers below it, each with the moment it was first missed, in seconds since 1970.
    """

    high: int = 0
    gaps: Mapping[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        runs: list[list[int]] = []  # first number, last number, milliseconds
        for seq, at in sorted(self.gaps.items()):
            milliseconds = round(at * 1000)
            if runs and runs[-1][1] == seq - 1 and runs[-1][2] == milliseconds:
                runs[-1][1] = seq
            else:
                runs.append([seq, seq, milliseconds])
        text = str(self.high)
        for first, last, at in runs:
            text += f"~{first}-{last}@{at}"
        return text

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """
        Read a cursor that a client brings back.

        :param text: What the client sent.
        :raises InvalidInput: It was not made by a switchboard.
        """
        high, *parts = text[:_LONGEST_TEXT].split("~")
        runs = [_RUN.fullmatch(part) for part in parts]
        if not re.fullmatch(r"[0-9]{1,18}", high) or not all(runs) or len(text) > _LONGEST_TEXT:
            raise _no_cursor()
        gaps: dict[int, float] = {}
        for run in runs:
            assert run is not None  # noqa: S101 - checked above
            first, last = int(run[1]), int(run[2])
            if last - first >= WIDEST_LOOK_BACK or len(gaps) > 2 * WIDEST_LOOK_BACK:
                raise _no_cursor()
            gaps.update(dict.fromkeys(range(first, last + 1), int(run[3]) / 1000))
        return cls(int(high), gaps)

    def advanced(self, seen: Iterable[int], now: float) -> Cursor:
        """
        The place after having asked for all numbers above ``high`` and for all gaps.

        :param seen: The numbers that were there, in any order.
        :param now: Seconds since 1970.
        """
        found = set(seen)
        high = max(found | {self.high})
        fresh = range(max(self.high + 1, high - WIDEST_LOOK_BACK), high)
        gaps = {seq: at for seq, at in self.gaps.items() if seq not in found and now - at < GAP_SECONDS}
        # A moment ahead of now is another machine's clock: count from here.
        gaps = {seq: min(at, now) for seq, at in gaps.items()}
        return Cursor(high, gaps | {seq: now for seq in fresh if seq not in found})

    @classmethod
    def at_end(cls, latest: Iterable[int], now: float) -> Cursor:
        """
        The place behind everything that is there.

        :param latest: The latest numbers, in any order, as many as :data:`WIDEST_LOOK_BACK` or all.
        :param now: The time, in seconds since 1970.
        """
        found = set(latest)
        if not found:
            return cls()
        return Cursor(max(0, max(found) - WIDEST_LOOK_BACK)).advanced(found, now)


def _no_cursor() -> InvalidInput:
    return InvalidInput("after must be a cursor from an earlier answer, unchanged", field="after")


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
    moved = cursor.advanced([row.seq for row in rows], now.timestamp())
    return FeedPage(tuple((row.line, row.call_id) for row in rows), moved, is_full=len(rows) == PAGE)
