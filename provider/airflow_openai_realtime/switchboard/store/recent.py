"""Recent calls with what became of them, for people who look at a page."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, tuple_

from airflow_openai_realtime.switchboard.recent import (
    MOST_LIVE,
    ConversationSummary,
    Place,
    RecentCall,
    RecentPage,
)
from airflow_openai_realtime.switchboard.records import CALL_STATES, OPEN_CALL_STATES
from airflow_openai_realtime.switchboard.store.calls import CALL_FIELDS, read_call
from airflow_openai_realtime.switchboard.store.database import Database
from airflow_openai_realtime.switchboard.store.tables import calls, conversations

_FINAL_STATES = tuple(state for state in CALL_STATES if state not in OPEN_CALL_STATES)
_SUMMARY = tuple(ConversationSummary.__dataclass_fields__)
_FIELDS = [*CALL_FIELDS, *(conversations.c[name].label(f"conversation_{name}") for name in _SUMMARY)]
_ORDER = (calls.c.received_at.desc(), calls.c.line.desc(), calls.c.call_id.desc())


class RecentCalls:
    """The latest calls of some lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, lines: Collection[str] | None, before: Place | None, limit: int) -> RecentPage:
        """
        Live calls and the newest of those that are over; with ``before`` only older ones that are over.

        :param lines: Of these lines; ``None``: of all.
        :param before: From an earlier page.
        :param limit: How many that are over, at most.
        """
        live = _joined(lines).where(calls.c.state.in_(OPEN_CALL_STATES)).limit(MOST_LIVE)
        over = _joined(lines).where(calls.c.state.in_(_FINAL_STATES)).limit(limit + 1)
        if before is not None:
            over = over.where(_is_older(before))

        def work(connection: Connection) -> RecentPage:
            first = [] if before is not None else [_read(row) for row in connection.execute(live)]
            rest = [_read(row) for row in connection.execute(over)]
            there_is_more = len(rest) > limit
            return RecentPage((*first, *rest[:limit]), rest[limit - 1].place if there_is_more else None)

        return self._database.read(work)

    def one(self, line: str, call_id: str) -> RecentCall | None:
        """One call; ``None`` when the line has never seen it."""
        query = _joined([line]).where(calls.c.call_id == call_id)

        def work(connection: Connection) -> RecentCall | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _read(row)

        return self._database.read(work)


def _joined(lines: Collection[str] | None) -> Select[Any]:
    same_call = and_(conversations.c.line == calls.c.line, conversations.c.call_id == calls.c.call_id)
    query = select(*_FIELDS).select_from(calls.outerjoin(conversations, same_call)).order_by(*_ORDER)
    return query if lines is None else query.where(calls.c.line.in_(sorted(lines)))


def _is_older(than: Place) -> ColumnElement[bool]:
    later_named = tuple_(calls.c.line, calls.c.call_id) < tuple_(than.line, than.call_id)
    return or_(calls.c.received_at < than.received_at, and_(calls.c.received_at == than.received_at, later_named))


def _read(row: Any) -> RecentCall:
    values = row._mapping
    summary = None
    if values["conversation_holder"] is not None:
        summary = ConversationSummary(**{name: values[f"conversation_{name}"] for name in _SUMMARY})
    return RecentCall(read_call(_CallColumns(values)), summary)


class _CallColumns:
    """The columns of a row that are the call's."""

    def __init__(self, values: Any) -> None:
        self._mapping = {column.name: values[column.name] for column in CALL_FIELDS}
