"""Calls in the store: taking them in, finding them, and moving them by compare-and-set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.calls.call import CallPage, SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.transitions import Change
from airflow_openai_realtime.exceptions import MoveRefused, StoreUnavailable, UnknownCall
from airflow_openai_realtime.states import CallState, RefusalCode
from airflow_openai_realtime.switchboard.server.store.attempt_rows import note_calls
from airflow_openai_realtime.switchboard.server.store.call_ends import lock_conversation, settle
from airflow_openai_realtime.switchboard.server.store.feed_rows import PAGE as MOST_CHANGES
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor, append, feed_end, feed_since
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls

CALL_FIELDS = [calls.c[name] for name in SwitchboardCall.__dataclass_fields__]
"""What a call is read from, by :func:`read_call`."""

_NOT_TAKEN = dict.fromkeys(("claimed_by", "claimed_at", "hangup_at", "order_lease_until"))
_MOST_TRIES = 50
_CORRELATION_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class NewCall:
    """
    A call to store.

    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
    :param received_at: When it came in, aware.
    :param expires_at: Until when it counts as ringing, aware.
    :param webhook_id: Id of the delivery; None for a call that no webhook told of.
    :param state: ``ringing``; ``missed`` when the news came too late; ``claimed`` when an owner told of it.
    :param from_number: Who calls; ``None`` for a hidden caller.
    :param to_number: The number that was called.
    :param headers: SIP headers by lower-case name.
    :param media_security: How the audio is protected, as the event says.
    :param ended_at: When it ended, aware; for a call that is stored as missed.
    """

    line: str
    call_id: str
    received_at: datetime
    expires_at: datetime
    webhook_id: str | None = None
    state: str = CallState.RINGING
    from_number: str | None = field(default=None, repr=False)
    to_number: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    media_security: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class CallFilter:
    """
    Which calls are asked for.

    :param states: In any of these states.
    :param claimed_by: Only this owner's.
    :param call_ids: Only these.
    """

    states: tuple[str, ...] = tuple(CallState)
    claimed_by: str | None = None
    call_ids: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SoleCall:
    """
    An owner that has one call at a time.

    :param owner: Who.
    :param match: Which of its other open calls count; ``None``: all.
    """

    owner: str
    match: CallMatch | None = None


@dataclass(frozen=True)
class CallChanges:
    """
    What changed since a cursor.

    :param calls: Those wanted, each once and as it is now, oldest first.
    :param cursor: The place behind what was looked at.
    :param is_full: Whether there may be more behind it.
    """

    calls: tuple[SwitchboardCall, ...]
    cursor: Cursor
    is_full: bool


class Calls:
    """
    The calls of all lines. A request for a line never finds those of another line.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @writes
    def add(self, connection: Connection, new: Sequence[NewCall]) -> set[tuple[str, str]]:
        """
        Store calls and commit; those known by their call id or webhook id are left as they are.

        :param connection: A connection with an open transaction; given by the decorator.
        :param new: Calls of one or more lines.
        :returns: (line, call id) of those that were new.
        """
        return insert_calls(connection, new)

    @reads
    def find(self, connection: Connection, line: str, call_id: str) -> SwitchboardCall:
        """
        One call.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        :raises UnknownCall: The line has never seen it.
        """
        return find_call(connection, line, call_id)[0]

    @reads
    def select(
        self, connection: Connection, line: str, wanted: CallFilter, limit: int, now: datetime
    ) -> list[SwitchboardCall]:
        """
        Calls as they are now, oldest first; the newest ones when there are more than ``limit``.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param wanted: Which calls.
        :param limit: Most calls to return.
        :param now: The time, aware.
        """
        return _newest(connection, line, wanted, limit, now)

    @reads
    def select_with_cursor(
        self, connection: Connection, line: str, wanted: CallFilter, limit: int, now: datetime
    ) -> CallPage:
        """
        As :meth:`select`, with the place in the feed from which later changes can be read.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param wanted: Which calls.
        :param limit: Most calls to return.
        :param now: The time, aware.
        """
        # The place first: what commits in between is then told twice, not never.
        cursor = feed_end(connection, now)
        return CallPage(tuple(_newest(connection, line, wanted, limit, now)), str(cursor))

    @reads
    def changes(
        self, connection: Connection, line: str, wanted: CallFilter, cursor: Cursor, now: datetime
    ) -> CallChanges:
        """
        Calls that changed since a cursor.

        A cursor ahead of the feed is of another store, for example of one that was deleted: it gets the calls as they
        are now, and a cursor of this store.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param wanted: Which calls.
        :param cursor: How far the reader is.
        :param now: The time, aware.
        """
        page = feed_since(connection, cursor, now)
        call_ids: tuple[str, ...] | None = tuple({call_id for of, call_id in page.changes if of == line})
        end = page.cursor
        if not page.changes:
            latest = feed_end(connection, now, with_gaps=False)
            if latest.high >= cursor.high:
                return CallChanges((), end, is_full=False)
            call_ids, end = None, latest
        query = _matching(line, replace(wanted, call_ids=call_ids), now).order_by(calls.c.received_at)
        found = _read_all(connection, query.limit(MOST_CHANGES)) if call_ids != () else []
        return CallChanges(tuple(found), end, page.is_full)

    @reads
    def counts(self, connection: Connection, line: str) -> tuple[dict[str, int], datetime | None]:
        """
        How many calls of a line are in each state, and since when the oldest ringing one rings.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        """
        by_state = (
            select(calls.c.state, func.count().label("amount")).where(calls.c.line == line).group_by(calls.c.state)
        )
        oldest = select(func.min(calls.c.received_at)).where(calls.c.line == line, calls.c.state == CallState.RINGING)
        found = {row.state: row.amount for row in connection.execute(by_state)}
        return {state: found.get(state, 0) for state in CallState}, connection.execute(oldest).scalar()

    def move(
        self,
        line: str,
        call_id: str,
        rule: Callable[[SwitchboardCall], Change],
        now: datetime,
        if_unknown: NewCall | None = None,
        sole: SoleCall | None = None,
    ) -> SwitchboardCall:
        """
        Apply a rule to a call by compare-and-set; evaluate the rule again if another transaction was faster.

        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        :param rule: Returns the change for the current call; may run several times.
        :param now: The time, aware.
        :param if_unknown: Stored first when the line has never seen the call.
        :param sole: Refuse when this owner has another such call.
        :returns: The call after the move.
        :raises UnknownCall: There is no such call, and ``if_unknown`` is not given.
        :raises MoveRefused: The rule does not allow it.
        :raises StoreUnavailable: The database cannot be reached; nothing is known to be stored.
        """
        for _ in range(_MOST_TRIES):
            moved = self._move(line, call_id, rule, now, if_unknown, sole)
            if moved is not None:
                return moved
        raise StoreUnavailable(f"call {call_id} is changed by too many at once", call_id=call_id)

    @writes
    def _move(
        self,
        connection: Connection,
        line: str,
        call_id: str,
        rule: Callable[[SwitchboardCall], Change],
        now: datetime,
        if_unknown: NewCall | None,
        sole: SoleCall | None,
    ) -> SwitchboardCall | None:
        """The call after the move, or None when it changed between the look and the move."""
        if sole is not None:
            _require_no_other(connection, line, call_id, sole)
        try:
            call, version = find_call(connection, line, call_id)
        except UnknownCall:
            if if_unknown is None:
                raise
            _insert_new(connection, [_row(if_unknown)])
            call, version = find_call(connection, line, call_id)
        change = rule(call)
        after = replace(call, **change.values)
        is_end = after.is_over and bool(change.values)
        if is_end:
            # Before the call: conversations are locked first everywhere.
            lock_conversation(connection, line, call_id)
        if change.values or change.columns:
            same = (calls.c.line == line) & (calls.c.call_id == call_id) & (calls.c.version == version)
            values = {**change.values, **change.columns, "version": version + 1}
            if connection.execute(calls.update().where(same).values(values)).rowcount != 1:
                return None
        if is_end:
            settle(connection, after, now)
        if change.kind:
            append(connection, [(line, call_id, change.kind)], now)
        return after


def as_call(new: NewCall) -> SwitchboardCall:
    """
    A new call as it will be found once it is stored.

    :param new: The call to store.
    """
    return SwitchboardCall(**{name: value for name, value in new.__dict__.items() if name != "webhook_id"})


def insert_calls(
    connection: Connection,
    new: Sequence[NewCall],
    taken: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
) -> set[tuple[str, str]]:
    """
    Store calls that are not there yet, and tell the feed of them.

    :param connection: A connection with an open transaction.
    :param new: The calls.
    :param taken: By line and call id, the fields of those that are a standing order's from the start.
    :returns: (line, call id) of those that were new.
    """
    # In one order everywhere, so that two workers with the same calls do not wait for each other in a circle.
    rows = {(call.line, call.call_id): _row(call) for call in sorted(new, key=lambda call: (call.line, call.call_id))}
    if taken:
        rows = {key: {**row, **_NOT_TAKEN, **taken.get(key, {})} for key, row in rows.items()}
    added = _insert_new(connection, list(rows.values()))
    if added:
        append(connection, [(*key, rows[key]["state"]) for key in rows if key in added], new[0].received_at)
        note_calls(connection, _correlated(call for call in new if (call.line, call.call_id) in added))
    if len(added) < len(rows):
        known = {(call.line, call.call_id): call for call in new if call.webhook_id is not None}
        for key in sorted(known.keys() - added):
            _complete(connection, known[key])
    return added


def _complete(connection: Connection, late: NewCall) -> None:
    """
    Add what a webhook says of a call that was registered before it came, for example by the accept of its id.

    :param late: The call as the webhook describes it. The state stays; a call with another webhook is not changed.
    """
    same = (calls.c.line == late.line) & (calls.c.call_id == late.call_id) & calls.c.webhook_id.is_(None)
    row = _row(late)
    values = {name: row[name] for name in ("webhook_id", "from_number", "to_number", "headers", "media_security")}
    is_taken = select(calls.c.call_id).where(calls.c.line == late.line, calls.c.webhook_id == late.webhook_id)
    if connection.execute(is_taken).first() is not None:
        return
    # Before the call: conversations are locked first everywhere.
    lock_conversation(connection, late.line, late.call_id)
    if connection.execute(calls.update().where(same).values({**values, "version": calls.c.version + 1})).rowcount != 1:
        return
    note_calls(connection, _correlated([late]))
    call, _ = find_call(connection, late.line, late.call_id)
    append(connection, [(call.line, call.call_id, call.state)], late.received_at)
    if call.is_over:
        settle(connection, call, late.received_at)


def _correlated(new: Iterable[NewCall]) -> dict[str, tuple[str, str]]:
    """The new calls that may have been placed by us, by the correlation id that they came with."""
    given = ((call.headers.get(CORRELATION_HEADER.lower(), ""), call) for call in new)
    return {text: (call.line, call.call_id) for text, call in given if _CORRELATION_ID.fullmatch(text)}


def find_call(connection: Connection, line: str, call_id: str) -> tuple[SwitchboardCall, int]:
    """
    One call, and its version, which counts changes.

    :param connection: A connection with an open transaction.
    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
    :raises UnknownCall: The line has never seen it.
    """
    query = select(*CALL_FIELDS, calls.c.version).where(calls.c.line == line, calls.c.call_id == call_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownCall(f"line {line} has no call {call_id}", call_id=call_id)
    return read_call(row), row.version


def _require_no_other(connection: Connection, line: str, call_id: str, sole: SoleCall) -> None:
    """
    A second request of the same owner waits here until the first has committed.

    SQLite's writers take turns anyway. MySQL locks the part of the index that it reads; two that both got that far end
    in a deadlock, and one of them tries again.

    :raises MoveRefused: The owner has another open call.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{line}\n{sole.owner}", 0))))
    others = select(*CALL_FIELDS).where(
        calls.c.line == line,
        calls.c.claimed_by == sole.owner,
        calls.c.call_id != call_id,
        calls.c.state.in_((CallState.CLAIMED, CallState.ACCEPTED)),
    )
    if dialect in ("mysql", "mariadb"):
        others = others.with_for_update()
    if any(sole.match is None or sole.match.meets(read_call(row)) for row in connection.execute(others)):
        raise MoveRefused(
            f"call {call_id} is not for an owner that has another open call",
            code=RefusalCode.HAS_ANOTHER,
            call_id=call_id,
        )


def _matching(line: str, wanted: CallFilter, now: datetime) -> Select[Any]:
    query = select(*CALL_FIELDS).where(calls.c.line == line)
    if set(wanted.states) != set(CallState):
        query = query.where(calls.c.state.in_(wanted.states))
    if CallState.RINGING in wanted.states and CallState.MISSED not in wanted.states:
        # A call past its ringing time counts as missed, also before the reaper has seen it.
        query = query.where(or_(calls.c.state != CallState.RINGING, calls.c.expires_at > now))
    if wanted.claimed_by is not None:
        query = query.where(calls.c.claimed_by == wanted.claimed_by)
    if wanted.call_ids is not None:
        query = query.where(calls.c.call_id.in_(wanted.call_ids))
    return query


def _newest(connection: Connection, line: str, wanted: CallFilter, limit: int, now: datetime) -> list[SwitchboardCall]:
    query = _matching(line, wanted, now).order_by(calls.c.received_at.desc(), calls.c.call_id.desc()).limit(limit)
    return _read_all(connection, query)[::-1]


def _read_all(connection: Connection, query: Select[Any]) -> list[SwitchboardCall]:
    return [read_call(row) for row in connection.execute(query)]


def read_call(row: Any) -> SwitchboardCall:
    """
    A call from a row with at least :data:`CALL_FIELDS`.

    :param row: Row of the table.
    """
    values = dict(row._mapping)
    values.pop("version", None)
    return SwitchboardCall(**{**values, "headers": json.loads(values["headers"])})


def _row(call: NewCall) -> dict[str, Any]:
    # Escaped to ASCII: PostgreSQL cannot store a NUL in a text, and no database a lone surrogate.
    values = {**call.__dict__, "headers": json.dumps(dict(call.headers))}
    return {**values, "version": 0, "hangup_tries": 0}


def _insert_new(connection: Connection, rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Insert what is not there yet; rows that break a unique key are left out."""
    dialect = connection.dialect.name
    if dialect in ("mysql", "mariadb"):
        ignore = mysql.insert(calls).prefix_with("IGNORE")
        added = (row for row in rows if connection.execute(ignore, row).rowcount == 1)
        return {(row["line"], row["call_id"]) for row in added}
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(calls)
    statement = insert.on_conflict_do_nothing().returning(calls.c.line, calls.c.call_id)
    return {(line, call_id) for line, call_id in connection.execute(statement, rows)}
