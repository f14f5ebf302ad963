"""
Taking calls for standing orders in the store: no call for two orders, no order beyond its uses.

A worker that has taken a call answers it under a lease, which it renews while it is busy. When the lease runs out, the
worker is dead or cut off, and another one resumes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, select, tuple_

from airflow_openai_realtime.switchboard import moves
from airflow_openai_realtime.switchboard.orders import (
    ACCEPT,
    OrderAnswer,
    StandingOrder,
    choose,
    claimant_of_order,
    order_of_claimant,
)
from airflow_openai_realtime.switchboard.records import CLAIMED, RINGING, SwitchboardCall
from airflow_openai_realtime.switchboard.store.calls import CALL_FIELDS, read_call
from airflow_openai_realtime.switchboard.store.database import Database
from airflow_openai_realtime.switchboard.store.feed import append
from airflow_openai_realtime.switchboard.store.orders import ORDER_FIELDS, read_answer, read_order
from airflow_openai_realtime.switchboard.store.tables import calls, orders

_MOST_CALLS = 500
"""How many calls one look takes on; the next one takes the rest."""

CallKey = tuple[str, str]
"""Line and call id."""


@dataclass(frozen=True)
class TakenCall:
    """
    A call that an order has taken, to be answered by this worker.

    :param call: The call as it is now, claimed by the order.
    :param order: The order; ``None`` when it was removed since it took the call.
    :param answer: What the call is accepted with; ``None`` when whoever asked knows it already.
    """

    call: SwitchboardCall
    order: StandingOrder | None
    answer: OrderAnswer | None = field(default=None, repr=False)


class OrderTaking:
    """Calls of all lines, as far as standing orders answer them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self, keys: Sequence[CallKey], now: datetime, lease_seconds: float, known: Collection[str] = ()
    ) -> list[TakenCall]:
        """
        Take ringing calls for the orders that answer them, and commit: claim, use of the order and ``hangup_at``.

        A call that is not ringing any more, or that no order fits, is left as it is.

        :param keys: The calls.
        :param lease_seconds: How long no other worker may answer what this one has taken.
        :param known: Revisions whose answers need not be read.
        """
        if not keys:
            return []
        return self._database.write(lambda connection: self._take(connection, keys, now, lease_seconds, known))

    def ringing(self, lines: Collection[str], received_before: datetime, now: datetime) -> list[SwitchboardCall]:
        """Calls of some lines that ring, are nobody's, and came in before a moment; oldest first."""
        query = (
            select(*CALL_FIELDS)
            .where(calls.c.line.in_(lines), calls.c.received_at <= received_before, *_rings(now))
            .order_by(calls.c.received_at)
            .limit(_MOST_CALLS)
        )
        return self._database.read(lambda connection: [read_call(row) for row in connection.execute(query)])

    def abandoned(self, now: datetime) -> list[CallKey]:
        """Calls that an order has taken, and whose worker has let its lease run out."""
        query = select(calls.c.line, calls.c.call_id).where(*_is_abandoned(now)).limit(_MOST_CALLS)
        return self._database.read(lambda connection: [(row.line, row.call_id) for row in connection.execute(query)])

    def resume(self, key: CallKey, now: datetime, lease_seconds: float) -> TakenCall | None:
        """An abandoned call, for this worker to answer; ``None`` when another one has it, or it is answered."""
        until = now + timedelta(seconds=lease_seconds)
        # The new time of the claim tells the other worker, if it lives after all, that it was not alone.
        lease = calls.update().where(*_is(key), *_is_abandoned(now)).values(order_lease_until=until, claimed_at=now)

        def work(connection: Connection) -> TakenCall | None:
            if connection.execute(lease).rowcount != 1:
                return None
            call = read_call(connection.execute(select(*CALL_FIELDS).where(*_is(key))).one())
            its_order = (orders.c.line == key[0]) & (orders.c.name == order_of_claimant(call.claimed_by))
            row = connection.execute(select(*ORDER_FIELDS, orders.c.answer).where(its_order)).one_or_none()
            return TakenCall(call, None) if row is None else TakenCall(call, read_order(row), read_answer(row.answer))

        return self._database.write(work)

    def renew(self, keys: Sequence[CallKey], now: datetime, lease_seconds: float) -> None:
        """Keep the lease on calls that this worker is busy with."""
        until = now + timedelta(seconds=lease_seconds)
        theirs = (tuple_(calls.c.line, calls.c.call_id).in_(list(keys)), calls.c.order_lease_until.is_not(None))
        lease = calls.update().where(*theirs, calls.c.state == CLAIMED).values(order_lease_until=until)
        self._database.write(lambda connection: connection.execute(lease).rowcount)

    def release(self, key: CallKey) -> None:
        """Let nobody try again: if the call is not over, the reaper ends it at its time."""
        lease = calls.update().where(*_is(key), calls.c.state == CLAIMED).values(order_lease_until=None)
        self._database.write(lambda connection: connection.execute(lease).rowcount)

    def _take(
        self,
        connection: Connection,
        keys: Sequence[CallKey],
        now: datetime,
        lease_seconds: float,
        known: Collection[str],
    ) -> list[TakenCall]:
        of_line: dict[str, list[StandingOrder]] = {line: [] for line, _ in keys}
        answers: dict[str, OrderAnswer] = {}
        for row in connection.execute(self._orders_of(sorted(of_line), known)):
            order = read_order(row)
            of_line[row.line].append(order)
            if row.unknown_answer is not None:
                answers[order.revision] = read_answer(row.unknown_answer)
        wanted = tuple_(calls.c.line, calls.c.call_id).in_(list(keys))
        query = select(*CALL_FIELDS, calls.c.version).where(wanted, *_rings(now)).order_by(calls.c.received_at)
        taken: list[TakenCall] = []
        for row in connection.execute(query).all():
            call = read_call(row)
            won = _take_one(connection, call, row.version, of_line[call.line], now, lease_seconds)
            if won is not None:
                taken.append(TakenCall(*won, answers.get(won[1].revision)))
        append(connection, [(each.call.line, each.call.call_id, CLAIMED) for each in taken], now)
        return taken

    def _orders_of(self, lines: Collection[str], known: Collection[str]) -> Select[Any]:
        """Orders, and in the same look the answers of those that are not known, so that the two belong together."""
        unknown = case((orders.c.revision.in_(known), None), else_=orders.c.answer).label("unknown_answer")
        query = select(*ORDER_FIELDS, unknown).where(orders.c.line.in_(lines))
        if self._database.dialect == "postgresql":
            # An order that somebody removes stays until this is committed, so that none answers after its removal.
            query = query.with_for_update(read=True, key_share=True)
        return query


def _take_one(
    connection: Connection,
    call: SwitchboardCall,
    version: int,
    of_line: list[StandingOrder],
    now: datetime,
    lease_seconds: float,
) -> tuple[SwitchboardCall, StandingOrder] | None:
    """The call as taken, and its order; the use that this costs is taken off ``of_line`` too."""
    while (order := choose(of_line, call, now)) is not None:
        of_line.remove(order)
        if not _use(connection, call.line, order, -1):
            continue  # used up, replaced or removed a moment ago
        values = _taking(call, order, now)
        lease = {"order_lease_until": now + timedelta(seconds=lease_seconds), "version": version + 1}
        same = (*_is((call.line, call.call_id)), calls.c.version == version)
        if connection.execute(calls.update().where(*same).values({**values, **lease})).rowcount != 1:
            # Somebody else has claimed it a moment ago.
            _use(connection, call.line, order, +1)
            of_line.append(order)
            return None
        left = None if order.uses_left is None else order.uses_left - 1
        of_line.append(replace(order, uses_left=left))
        return replace(call, **values), order
    return None


def _taking(call: SwitchboardCall, order: StandingOrder, now: datetime) -> dict[str, Any]:
    """The fields of a call that change when an order takes it; one that is to be accepted gets its end as well."""
    claimant = claimant_of_order(order.name)
    if order.action == ACCEPT and order.max_duration_seconds is not None:
        return dict(moves.accepting(call, claimant, now, order.max_duration_seconds).values)
    return dict(moves.claim(call, claimant, now).values)


def _use(connection: Connection, line: str, order: StandingOrder, change: int) -> bool:
    """Take a use off an order, or give one back; whether there was one to take."""
    if order.uses_left is None:
        return True
    same = [orders.c.line == line, orders.c.name == order.name, orders.c.revision == order.revision]
    if change < 0:
        same.append(orders.c.uses_left > 0)
    statement = orders.update().where(*same).values(uses_left=orders.c.uses_left + change)
    return connection.execute(statement).rowcount == 1


def _is(key: CallKey) -> tuple[ColumnElement[bool], ...]:
    return (calls.c.line == key[0], calls.c.call_id == key[1])


def _rings(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (calls.c.state == RINGING, calls.c.expires_at > now)


def _is_abandoned(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (calls.c.state == CLAIMED, calls.c.order_lease_until <= now)
