"""Recent calls with what became of them, for people who look at a page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, not_, or_, select, tuple_

from airflow_openai_realtime.calls.recent import (
    MOST_LIVE,
    UNDER_WAY,
    UNDER_WAY_STATES,
    ConversationSummary,
    Place,
    RecentCall,
    RecentPage,
    UnreachedAttempt,
    page_of,
)
from airflow_openai_realtime.states import FINAL_CALL_STATES, OPEN_CALL_STATES
from airflow_openai_realtime.switchboard.server.store.attempt_rows import attempts_of_calls, read_attempt
from airflow_openai_realtime.switchboard.server.store.call_rows import CALL_FIELDS, read_call
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads
from airflow_openai_realtime.switchboard.server.store.schema.tables import attempts, calls, conversations, processes

_SUMMARY = tuple(name for name in ConversationSummary.__dataclass_fields__ if name != "seen_at")
_FIELDS = [
    *CALL_FIELDS,
    *(conversations.c[name].label(f"conversation_{name}") for name in _SUMMARY),
    processes.c.seen_at.label("conversation_seen_at"),
]
_ORDER = (calls.c.received_at.desc(), calls.c.line.desc(), calls.c.call_id.desc())


class RecentCalls:
    """
    The latest calls of some lines.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    def page(
        self, connection: Connection, lines: Collection[str] | None, before: Place | None, limit: int, now: datetime
    ) -> RecentPage:
        """
        Live calls and the newest of those that are over; with ``before`` only older ones that are over.

        :param connection: A connection with an open transaction; given by the decorator.
        :param lines: Of these lines; ``None``: of all.
        :param before: From an earlier page.
        :param limit: How many that are over, at most.
        :param now: The time, which decides whether an attempt may still be ringing.
        """
        live = _joined(lines).where(calls.c.state.in_(OPEN_CALL_STATES)).limit(MOST_LIVE)
        over = _joined(lines).where(calls.c.state.in_(FINAL_CALL_STATES)).limit(limit + 1)
        ringing = and_(attempts.c.state.in_(UNDER_WAY_STATES), attempts.c.updated_at > now - UNDER_WAY)
        live_attempts = _unreached(lines).where(ringing).limit(MOST_LIVE)
        over_attempts = _unreached(lines).where(not_(ringing)).limit(limit + 1)
        if before is not None:
            over = over.where(_is_older(before, calls.c.received_at, calls.c.line, calls.c.call_id))
            at = (attempts.c.created_at, attempts.c.line, attempts.c.attempt_id)
            over_attempts = over_attempts.where(_is_older(before, *at))
        queries = (over, over_attempts) if before is not None else (live, over, live_attempts, over_attempts)
        found = [connection.execute(query).all() for query in queries]
        half = len(found) // 2
        recent = [_read(row) for rows in found[:half] for row in rows]
        unreached = [UnreachedAttempt.of(row.line, read_attempt(row), now) for rows in found[half:] for row in rows]
        return page_of(_with_attempts(connection, recent), unreached, limit)

    @reads
    def one(self, connection: Connection, line: str, call_id: str) -> RecentCall | None:
        """
        One call; ``None`` when the line has never seen it.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        """
        query = _joined([line]).where(calls.c.call_id == call_id)
        row = connection.execute(query).one_or_none()
        return None if row is None else _with_attempts(connection, [_read(row)])[0]


def _with_attempts(connection: Connection, recent: Sequence[RecentCall]) -> list[RecentCall]:
    """Give each call the attempt from which it came."""
    found = attempts_of_calls(connection, [(each.call.line, each.call.call_id) for each in recent])
    return [replace(each, attempt=found.get((each.call.line, each.call.call_id))) for each in recent]


def _joined(lines: Collection[str] | None) -> Select[Any]:
    same_call = and_(conversations.c.line == calls.c.line, conversations.c.call_id == calls.c.call_id)
    same_process = and_(processes.c.line == conversations.c.line, processes.c.process == conversations.c.process)
    joined = calls.outerjoin(conversations, same_call).outerjoin(processes, same_process)
    query = select(*_FIELDS).select_from(joined).order_by(*_ORDER)
    return query if lines is None else query.where(calls.c.line.in_(sorted(lines)))


def _unreached(lines: Collection[str] | None) -> Select[Any]:
    """Attempts that have not become a call, the newest first."""
    newest = (attempts.c.created_at.desc(), attempts.c.line.desc(), attempts.c.attempt_id.desc())
    query = select(attempts).where(attempts.c.call_id.is_(None)).order_by(*newest)
    return query if lines is None else query.where(attempts.c.line.in_(sorted(lines)))


def _is_older(than: Place, at: Any, line: Any, name: Any) -> ColumnElement[bool]:
    later_named = tuple_(line, name) < tuple_(than.line, than.call_id)
    return or_(at < than.received_at, and_(at == than.received_at, later_named))


def _read(row: Any) -> RecentCall:
    values = row._mapping
    summary = None
    if values["conversation_holder"] is not None:
        names = (*_SUMMARY, "seen_at")
        summary = ConversationSummary(**{name: values[f"conversation_{name}"] for name in names})
    return RecentCall(read_call(_CallColumns(values)), summary)


class _CallColumns:
    """The columns of a row that are the call's."""

    def __init__(self, values: Any) -> None:
        self._mapping = {column.name: values[column.name] for column in CALL_FIELDS}
