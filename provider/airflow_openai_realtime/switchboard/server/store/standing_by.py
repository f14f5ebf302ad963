"""
Store of the standby: finds conversations without a listener, leases them to a worker, and saves what the worker hears.

A worker listens under a lease. An owner needs no lease: a new owner writes at once, and the worker stops when that
owner is attached.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, false, func, or_, select

from airflow_openai_realtime.calls.call import CallKey
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, check_entries
from airflow_openai_realtime.states import CallState, EntryKind
from airflow_openai_realtime.switchboard.server.store.conversation_rows import attached_key
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls, conversations, processes, timeline
from airflow_openai_realtime.switchboard.server.store.timeline_rows import (
    Addition,
    add,
    by_line,
    known_keys,
    locked_rows,
)

SWEEP = 1000
"""How many conversations one look finds; the next one finds the rest."""

UNSAVED = timedelta(seconds=1)
"""What a process hears it saves so soon: what it heard shortly before its last sign of life may be lost with it."""


@dataclass(frozen=True)
class SilentCall:
    """
    A conversation that this worker listens to.

    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
    :param generation: Generation of the conversation.
    :param was_attached: Whether its owner was ever attached to the call.
    :param unheard_since: Since when possibly no process has listened, aware.
    :param pressed: Keys of the timeline's key presses.
    """

    line: str
    call_id: str
    generation: int
    was_attached: bool
    unheard_since: datetime
    pressed: frozenset[str] = field(repr=False)

    @property
    def key(self) -> CallKey:
        """Line and call id."""
        return self.line, self.call_id


class Leave(enum.Enum):
    """What becomes of a lease."""

    KEEP = "keep"
    #: Another worker, or this one, may listen at once.
    RELEASE = "release"
    #: No worker listens for a while: there is nothing to hear.
    REST = "rest"


@dataclass(frozen=True)
class Heard:
    """
    What was heard in a call.

    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
    :param entries: In their order.
    :param heard_until: Until when was listened without a gap; ``None``: not yet.
    :param leave: What becomes of the lease.
    """

    line: str
    call_id: str
    entries: Sequence[TimelineEntry] = field(repr=False)
    heard_until: datetime | None
    leave: Leave = Leave.KEEP

    @property
    def key(self) -> CallKey:
        """Line and call id."""
        return self.line, self.call_id


class Standing(enum.Enum):
    """How a conversation is that a worker listens to."""

    #: No other process listens.
    ALONE = "alone"
    #: The owner's process is alive, and the owner attached.
    HELD = "held"
    #: The call is over.
    OVER = "over"
    #: The outcome is written; nothing more is.
    FINISHED = "finished"
    #: The lease is another worker's; nothing was written.
    LOST = "lost"


@dataclass(frozen=True)
class Lease:
    """
    Who listens, and by which rules.

    :param worker: The worker's name.
    :param seconds: How long a lease holds.
    :param rest_seconds: Seconds for which no worker listens to a call whose socket has ended.
    :param silent_after: After how many seconds without a sign of life a process is taken for silent.
    :param up_since: Since when processes could show signs of life here, aware; before that their silence says nothing.
        ``None``: long since.
    """

    worker: str
    seconds: float
    rest_seconds: float
    silent_after: float
    up_since: datetime | None = None

    def is_silent(self, seen_at: datetime | None, now: datetime) -> bool:
        """
        Whether a process is silent that was seen last at a time, or never.

        :param seen_at: When it was last seen, aware; ``None``: it has left.
        :param now: The time, aware.
        """
        if seen_at is None:
            return True  # it has left
        last = now - timedelta(seconds=self.silent_after)
        return seen_at <= last and (self.up_since is None or self.up_since <= last)


class StandingBy:
    """
    Conversations of all lines whose owners are silent.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    def silent(self, connection: Connection, lease: Lease, now: datetime) -> list[CallKey]:
        """
        Return (line, call id) of live conversations whose process is silent and to which no worker listens.

        :param connection: A connection with an open transaction; given by the decorator.
        :param lease: The worker, and when a process counts as silent.
        :param now: The time, aware.
        """
        same_call = and_(conversations.c.line == calls.c.line, conversations.c.call_id == calls.c.call_id)
        same_process = and_(processes.c.line == conversations.c.line, processes.c.process == conversations.c.process)
        last = now - timedelta(seconds=lease.silent_after)
        may_be_silent = lease.up_since is None or lease.up_since <= last
        is_missed = processes.c.seen_at <= last if may_be_silent else false()
        is_silent = and_(conversations.c.process.is_not(None), or_(processes.c.seen_at.is_(None), is_missed))
        query = (
            select(conversations.c.line, conversations.c.call_id)
            .select_from(calls.join(conversations, same_call).outerjoin(processes, same_process))
            .where(
                calls.c.state == CallState.ACCEPTED,
                conversations.c.finished_at.is_(None),
                or_(conversations.c.standby_until.is_(None), conversations.c.standby_until <= now),
                or_(is_silent, conversations.c.standby_by.is_not(None)),  # or another worker died meanwhile
            )
            .limit(SWEEP)
        )
        return [(row.line, row.call_id) for row in connection.execute(query)]

    @writes
    def take(self, connection: Connection, keys: Collection[CallKey], lease: Lease, now: datetime) -> list[SilentCall]:
        """
        Lease conversations that no other worker has leased and whose owners are still silent.

        :param connection: A connection with an open transaction; given by the decorator.
        :param keys: Line and id of each call.
        :param lease: The worker, and how long it has them.
        :param now: The time, aware.
        """
        rows = {key: row for key, row in locked_rows(connection, keys).items() if _is_free(row, now)}
        holders = _holders(connection, rows, lease, now)
        without = {key: row for key, row in rows.items() if not holders[key].is_there}
        until = now + timedelta(seconds=lease.seconds)
        taken = {"standby_by": lease.worker, "standby_until": until}
        left = {"standby_by": None, "standby_until": None}
        add(connection, [Addition(row, values=taken if key in without else left) for key, row in rows.items()])
        return _silent_calls(connection, without, holders, now)

    @writes
    def hold(
        self, connection: Connection, heard: Sequence[Heard], lease: Lease, now: datetime
    ) -> dict[CallKey, tuple[Standing, int]]:
        """
        Write what was heard, and renew or give up the leases; in one transaction.

        Entries beyond a timeline's limits are left out.

        :param connection: A connection with an open transaction; given by the decorator.
        :param heard: What was heard in each call.
        :param lease: The worker, and how long it has them.
        :param now: The time, aware.
        :returns: State and generation of each conversation.
        """
        rows = locked_rows(connection, [each.key for each in heard])
        ours = {key: row for key, row in rows.items() if _is_ours(row, lease.worker)}
        additions = [_addition(ours[each.key], each, lease, now) for each in heard if each.key in ours]
        add(connection, additions, cut=True)
        standings = _standings(connection, ours, lease, now)
        return {key: (standings.get(key) or _without_lease(row), row.generation) for key, row in rows.items()}


@dataclass(frozen=True)
class _Holder:
    seen_at: datetime | None
    is_attached: bool
    is_silent: bool

    @property
    def is_there(self) -> bool:
        return self.is_attached and not self.is_silent


def _is_free(row: Any, now: datetime) -> bool:
    return row.finished_at is None and (row.standby_until is None or row.standby_until <= now)


def _is_ours(row: Any, worker: str) -> bool:
    # A lapsed lease is still ours until another worker takes it.
    return row.finished_at is None and bool(row.standby_by == worker)


def _without_lease(row: Any) -> Standing:
    return Standing.LOST if row.finished_at is None else Standing.FINISHED


def _holders(
    connection: Connection, rows: Mapping[CallKey, Any], lease: Lease, now: datetime
) -> dict[CallKey, _Holder]:
    """Return the states of the owners; an owner whose process shows no signs of life by design counts as alive."""
    attached = known_keys(connection, [(*key, attached_key(row.generation)) for key, row in rows.items()])
    seen: dict[tuple[str, str], datetime] = {}
    for line, names in by_line((row.line, row.process) for row in rows.values() if row.process):
        query = select(processes).where(processes.c.line == line, processes.c.process.in_(names))
        seen.update({(line, row.process): row.seen_at for row in connection.execute(query)})
    found: dict[CallKey, _Holder] = {}
    for key, row in rows.items():
        seen_at = seen.get((row.line, row.process))
        is_silent = row.process is not None and lease.is_silent(seen_at, now)
        found[key] = _Holder(seen_at, (*key, attached_key(row.generation)) in attached, is_silent)
    return found


def _silent_calls(
    connection: Connection, rows: Mapping[CallKey, Any], holders: Mapping[CallKey, _Holder], now: datetime
) -> list[SilentCall]:
    last: dict[CallKey, datetime] = {}
    pressed: dict[CallKey, set[str]] = defaultdict(set)
    for line, ids in by_line(rows):
        of_calls = (timeline.c.line == line) & timeline.c.call_id.in_(ids)
        latest = select(timeline.c.call_id, func.max(timeline.c.at).label("at")).where(of_calls)
        for row in connection.execute(latest.group_by(timeline.c.call_id)):
            last[line, row.call_id] = row.at
        keys = select(timeline.c.call_id, timeline.c.key).where(of_calls, timeline.c.kind == EntryKind.KEY)
        for row in connection.execute(keys):
            pressed[line, row.call_id].add(row.key)
    return [
        SilentCall(
            line=row.line,
            call_id=row.call_id,
            generation=row.generation,
            was_attached=holders[key].is_attached,
            unheard_since=_unheard_since(row, last.get(key), holders[key], now),
            pressed=frozenset(pressed[key]),
        )
        for key, row in rows.items()
    ]


def _unheard_since(row: Any, last_at: datetime | None, holder: _Holder, now: datetime) -> datetime:
    times = [row.opened_at, last_at, row.heard_until]
    if holder.seen_at is not None and holder.is_attached:
        times.append(holder.seen_at - UNSAVED)
    latest: datetime = max(at for at in times if at is not None)
    return min(latest, now)


def _addition(row: Any, heard: Heard, lease: Lease, now: datetime) -> Addition:
    until = max((at for at in (row.heard_until, heard.heard_until) if at is not None), default=None)
    values: dict[str, Any] = {"heard_until": until, **({"saved_at": now} if heard.entries else {})}
    if heard.leave is Leave.KEEP:
        values |= {"standby_by": lease.worker, "standby_until": now + timedelta(seconds=lease.seconds)}
    else:
        rest = now + timedelta(seconds=lease.rest_seconds)
        values |= {"standby_by": None, "standby_until": rest if heard.leave is Leave.REST else None}
    return Addition(row, check_entries(heard.entries), values)


def _standings(
    connection: Connection, rows: Mapping[CallKey, Any], lease: Lease, now: datetime
) -> dict[CallKey, Standing]:
    holders = _holders(connection, rows, lease, now)
    accepted: set[CallKey] = set()
    for line, ids in by_line(rows):
        query = select(calls.c.call_id, calls.c.state).where(calls.c.line == line, calls.c.call_id.in_(ids))
        accepted |= {(line, row.call_id) for row in connection.execute(query) if row.state == CallState.ACCEPTED}
    standings = {key: Standing.HELD if holders[key].is_there else Standing.ALONE for key in rows}
    return {key: standing if key in accepted else Standing.OVER for key, standing in standings.items()}
