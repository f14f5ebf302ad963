"""Standing orders in the store: making, replacing, finding and removing them."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import MOST_ORDERS, OrderAnswer, OrderDraft, StandingOrder
from airflow_openai_realtime.exceptions import InvalidInput, UnknownCall
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, upserts, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import orders

log = logging.getLogger(__name__)

_SHOWN = [orders.c[name] for name in StandingOrder.__dataclass_fields__ if name != "match"]
ORDER_FIELDS = [orders.c.line, orders.c.conditions, *_SHOWN]
"""What an order is read from, by :func:`read_order`; what calls are accepted with is not among it."""


class Orders:
    """
    The standing orders of all lines. A request for a line never finds those of another line.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @upserts
    def put(self, connection: Connection, line: str, draft: OrderDraft, now: datetime) -> StandingOrder:
        """
        Make an order, or replace the one of this name.

        With the same edition as before, the uses that were made count on.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param draft: Checked.
        :param now: The time, aware.
        :raises InvalidInput: The line has as many orders as it can have.
        """
        return _put(connection, line, draft, now)

    @reads
    def find(self, connection: Connection, line: str, name: str) -> StandingOrder:
        """
        One order.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param name: Name of the order.
        :raises UnknownCall: The line has no such order.
        """
        found = _find(connection, line, name)
        if found is None:
            raise UnknownCall(f"line {line} has no standing order {name}")
        return found

    @reads
    def all(self, connection: Connection, line: str) -> list[StandingOrder]:
        """
        All orders of a line, also those that have expired or are used up, by name.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        """
        query = select(*ORDER_FIELDS).where(orders.c.line == line).order_by(orders.c.name)
        rows = connection.execute(query).all()
        return [usable[0] for row in rows if (usable := read_usable(row)) is not None]

    @writes
    def remove(self, connection: Connection, line: str, name: str) -> bool:
        """
        Remove an order; it takes no further call. Returns whether there was one.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param name: Name of the order.
        """
        delete = orders.delete().where(orders.c.line == line, orders.c.name == name)
        return connection.execute(delete).rowcount == 1

    @reads
    def open(
        self, connection: Connection, now: datetime, lines: Collection[str] | None = None
    ) -> dict[str, list[StandingOrder]]:
        """
        The orders that still answer calls, by line.

        :param connection: A connection with an open transaction; given by the decorator.
        :param now: The time, aware.
        :param lines: Only those of these lines; ``None``: of all.
        """
        query = select(*ORDER_FIELDS).where(or_(orders.c.expires_at.is_(None), orders.c.expires_at > now))
        if lines is not None:
            query = query.where(orders.c.line.in_(lines))
        rows = connection.execute(query).all()
        by_line: dict[str, list[StandingOrder]] = {}
        for row in rows:
            usable = read_usable(row)
            if usable is not None and usable[0].is_open(now):
                by_line.setdefault(row.line, []).append(usable[0])
        return by_line

    @reads
    def answer(self, connection: Connection, line: str, name: str) -> tuple[str, OrderAnswer] | None:
        """
        Revision of an order, and what it accepts calls with; ``None`` when there is no such order.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param name: Name of the order.
        """
        query = select(orders.c.revision, orders.c.answer).where(orders.c.line == line, orders.c.name == name)
        row = connection.execute(query).one_or_none()
        return None if row is None else (row.revision, read_answer(row.answer))

    @writes
    def forget_expired(self, connection: Connection, before: datetime) -> int:
        """
        Delete the orders that expired before a moment, with the credentials in them; returns how many.

        :param connection: A connection with an open transaction; given by the decorator.
        :param before: Instant, aware: only what is older.
        """
        delete = orders.delete().where(orders.c.expires_at < before)
        return connection.execute(delete).rowcount


def read_order(row: Any) -> StandingOrder:
    """
    An order from a row with at least :data:`ORDER_FIELDS`.

    :param row: Row of the table.
    :raises InvalidInput: This release cannot read it; perhaps a later one has made it.
    """
    values = {column.name: row._mapping[column.name] for column in _SHOWN}
    try:
        return StandingOrder(**values, match=CallMatch.from_dict(json.loads(row.conditions)))
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"the conditions of order {row.name} cannot be read", field="match") from error


def read_answer(text: str) -> OrderAnswer:
    """
    What calls are accepted with, as the store has it.

    :param text: What the column holds.
    :raises InvalidInput: This release cannot read it.
    """
    try:
        return OrderAnswer(**json.loads(text))
    except (ValueError, TypeError):
        # Without the cause: it may quote the session.
        raise InvalidInput("what the order accepts calls with cannot be read", field="session") from None


def read_usable(row: Any, answer: str | None = None) -> tuple[StandingOrder, OrderAnswer | None] | None:
    """
    An order, and what it accepts calls with; ``None`` when they cannot be read, so that the other orders go on.

    :param row: As for :func:`read_order`.
    :param answer: As for :func:`read_answer`; ``None``: not asked for.
    """
    try:
        return read_order(row), None if answer is None else read_answer(answer)
    except InvalidInput as error:
        log.error(logs.line("order.unreadable", line=row.line, order=row.name, field=error.field))
        return None


def _put(connection: Connection, line: str, draft: OrderDraft, now: datetime) -> StandingOrder:
    values = _values(draft, now)
    same = (orders.c.line == line) & (orders.c.name == draft.name)
    # The weaker lock does not block workers that take calls for the order meanwhile.
    locked = select(*ORDER_FIELDS, orders.c.edition).where(same).with_for_update(key_share=True)
    row = connection.execute(locked).one_or_none()
    if row is None:
        amount = connection.execute(select(func.count()).where(orders.c.line == line)).scalar() or 0
        if amount >= MOST_ORDERS:
            raise InvalidInput(f"line {line} has {amount} standing orders; remove some first", field="name")
        connection.execute(orders.insert(), {"line": line, "name": draft.name, "created_at": now, **values})
    else:
        if row.edition == draft.edition and row.uses is not None and draft.uses is not None:
            values["uses_left"] = max(0, draft.uses - (row.uses - row.uses_left))
        connection.execute(orders.update().where(same).values(values))
    found = _find(connection, line, draft.name)
    assert found is not None  # noqa: S101 - written above
    return found


def _values(draft: OrderDraft, now: datetime) -> dict[str, Any]:
    return {
        "revision": uuid.uuid4().hex,
        "edition": draft.edition,
        "conditions": json.dumps(draft.match.to_dict()),
        "action": draft.action,
        "answer": json.dumps(draft.answer.__dict__),
        "max_duration_seconds": draft.max_duration_seconds,
        "status_code": draft.status_code,
        "priority": draft.priority,
        "uses": draft.uses,
        "uses_left": draft.uses,
        "expires_at": draft.expires_at,
        "unclaimed_after_seconds": draft.unclaimed_after_seconds,
        "updated_at": now,
    }


def _find(connection: Connection, line: str, name: str) -> StandingOrder | None:
    row = connection.execute(select(*ORDER_FIELDS).where(orders.c.line == line, orders.c.name == name)).one_or_none()
    return None if row is None else read_order(row)
