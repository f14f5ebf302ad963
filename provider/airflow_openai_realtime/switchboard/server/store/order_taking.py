"""
Taking calls for standing orders in the store: no call for two orders, no order beyond its uses.

A new call is taken in the transaction that stores it, if that costs no waiting: then it never rings unclaimed, and one
commit stands between the ring and the answer. For orders with limited uses that is done in a transaction of its own,
since workers wait for each other there, and a delivery must not wait with them.

A worker that has taken a call answers it under a lease, which it renews while it is busy. When the lease runs out, the
worker is dead or cut off, and another one resumes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, tuple_

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import CallKey, SwitchboardCall
from airflow_openai_realtime.calls.order import (
    ACCEPT,
    OrderAnswer,
    StandingOrder,
    choose,
    order_of_owner,
    owner_of_order,
)
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.server.store.call_rows import (
    CALL_FIELDS,
    NewCall,
    as_call,
    insert_calls,
    read_call,
)
from airflow_openai_realtime.switchboard.server.store.feed_rows import append
from airflow_openai_realtime.switchboard.server.store.order_rows import ORDER_FIELDS, read_usable
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls, orders

_MOST_CALLS = 500
"""How many calls one look takes on; the next one takes the rest."""

Tried = Mapping[CallKey, Collection[str]]
"""By call, the revisions of orders that have had it and could not have it answered."""


@dataclass(frozen=True)
class TakenCall:
    """
    A call that an order has taken, to be answered by this worker.

    :param call: The call as it is now, claimed by the order.
    :param order: The order; ``None`` when it was removed since it took the call, or cannot be read.
    :param answer: What the call is accepted with; ``None`` when there is no order.
    """

    call: SwitchboardCall
    order: StandingOrder | None
    answer: OrderAnswer | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Stored:
    """
    What became of calls that were stored.

    :param added: Those that were new.
    :param taken: Those of them that an order has taken.
    :param limited: Those of them that an order with limited uses may take.
    """

    added: set[CallKey]
    taken: Mapping[CallKey, TakenCall] = field(default_factory=dict)
    limited: Collection[CallKey] = ()


class OrderTaking:
    """
    Calls of all lines, as far as standing orders answer them.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @writes
    def store_and_take(
        self,
        connection: Connection,
        new: Sequence[NewCall],
        ready: Collection[str],
        now: datetime,
        lease_seconds: float,
    ) -> Stored:
        """
        Store calls, and take those that an order with unlimited uses answers at once; commits both together.

        :param connection: A connection with an open transaction; given by the decorator.
        :param new: As for :meth:`Calls.add`.
        :param ready: Lines that this worker can answer for at once; calls of others are only stored.
        :param now: The time, aware.
        :param lease_seconds: How long no other worker may answer what this one has taken.
        """
        lines = sorted({call.line for call in new if call.line in ready})
        open_orders = self._read_orders(connection, lines, skip_locked=True)
        taken: dict[CallKey, TakenCall] = {}
        values: dict[CallKey, dict[str, Any]] = {}
        limited: set[CallKey] = set()
        lease = {"order_lease_until": now + timedelta(seconds=lease_seconds)}
        for each in new:
            key, call = (each.line, each.call_id), as_call(each)
            rings = each.state == CallState.RINGING and each.expires_at > now
            order = open_orders.choose(call, now) if rings else None
            if order is not None and order.uses_left is not None:
                limited.add(key)
            elif order is not None:
                changes = _taking(call, order, now)
                values[key] = {**changes, **lease}
                taken[key] = TakenCall(replace(call, **changes), order, open_orders.answers[order.revision])
        added = insert_calls(connection, new, values)
        return Stored(added, {key: taken[key] for key in added & taken.keys()}, added & limited)

    def take(
        self,
        keys: Sequence[CallKey],
        now: datetime,
        lease_seconds: float,
        tried: Tried | None = None,
    ) -> list[TakenCall]:
        """
        Take ringing calls for the orders that answer them, and commit: claim, use of the order and ``hangup_at``.

        A call that is not ringing any more, or that no order fits, is left as it is.

        :param keys: The calls.
        :param now: The time, aware.
        :param lease_seconds: How long no other worker may answer what this one has taken.
        :param tried: By call, revisions of orders that do not take it: they could not have it answered.
        """
        if not keys:
            return []
        return self._database.write(lambda connection: self._take(connection, keys, now, lease_seconds, tried or {}))

    @reads
    def ringing(
        self, connection: Connection, lines: Collection[str], received_before: datetime, now: datetime
    ) -> list[SwitchboardCall]:
        """
        Return ringing calls without an owner that came in before a moment; oldest first.

        :param connection: A connection with an open transaction; given by the decorator.
        :param lines: Names of the lines.
        :param received_before: Aware instant.
        :param now: The time, aware.
        """
        query = (
            select(*CALL_FIELDS)
            .where(calls.c.line.in_(lines), calls.c.received_at <= received_before, *_rings(now))
            .order_by(calls.c.received_at)
            .limit(_MOST_CALLS)
        )
        return [read_call(row) for row in connection.execute(query)]

    @reads
    def abandoned(self, connection: Connection, now: datetime) -> list[CallKey]:
        """
        Calls that an order has taken, and whose worker has let its lease run out.

        :param connection: A connection with an open transaction; given by the decorator.
        :param now: The time, aware.
        """
        query = select(calls.c.line, calls.c.call_id).where(*_is_abandoned(now)).limit(_MOST_CALLS)
        return [(row.line, row.call_id) for row in connection.execute(query)]

    @writes
    def resume(self, connection: Connection, key: CallKey, now: datetime, lease_seconds: float) -> TakenCall | None:
        """
        An abandoned call, for this worker to answer; ``None`` when another one has it, or it is answered.

        :param connection: A connection with an open transaction; given by the decorator.
        :param key: Line and id of the call.
        :param now: The time, aware.
        :param lease_seconds: For how many seconds no other worker takes it.
        """
        until = now + timedelta(seconds=lease_seconds)
        # The new time of the claim tells the other worker, if it lives after all, that it was not alone.
        lease = calls.update().where(*_is(key), *_is_abandoned(now)).values(order_lease_until=until, claimed_at=now)
        if connection.execute(lease).rowcount != 1:
            return None
        call = read_call(connection.execute(select(*CALL_FIELDS).where(*_is(key))).one())
        its_order = (orders.c.line == key[0]) & (orders.c.name == order_of_owner(call.claimed_by))
        row = connection.execute(select(*ORDER_FIELDS, orders.c.answer).where(its_order)).one_or_none()
        usable = read_usable(row, row.answer) if row is not None else None
        return TakenCall(call, *usable) if usable is not None else TakenCall(call, None)

    @writes
    def renew(self, connection: Connection, keys: Sequence[CallKey], now: datetime, lease_seconds: float) -> None:
        """
        Keep the lease on calls that this worker is busy with.

        :param connection: A connection with an open transaction; given by the decorator.
        :param keys: Line and id of each call.
        :param now: The time, aware.
        :param lease_seconds: For how many seconds no other worker takes them.
        """
        until = now + timedelta(seconds=lease_seconds)
        theirs = (tuple_(calls.c.line, calls.c.call_id).in_(list(keys)), calls.c.order_lease_until.is_not(None))
        lease = calls.update().where(*theirs, calls.c.state == CallState.CLAIMED).values(order_lease_until=until)
        connection.execute(lease)

    @writes
    def release(self, connection: Connection, key: CallKey) -> None:
        """
        Stop further tries: if the call is not over, the reaper ends it at its time.

        :param connection: A connection with an open transaction; given by the decorator.
        :param key: Line and id of the call.
        """
        lease = calls.update().where(*_is(key), calls.c.state == CallState.CLAIMED).values(order_lease_until=None)
        connection.execute(lease)

    @writes
    def give_back(
        self, connection: Connection, call: SwitchboardCall, order: StandingOrder | None, reason: str, now: datetime
    ) -> SwitchboardCall | None:
        """
        Give back a call that an order has taken and that was certainly not answered, and commit. It keeps ringing.

        The order regains the use that the call has cost.

        :param connection: A connection with an open transaction; given by the decorator.
        :param call: The call as it was taken.
        :param order: The order, if it is there still.
        :param reason: Why it was not answered.
        :param now: The time, aware.
        :returns: The call; ``None`` when it changed meanwhile, so that it is asked again.
        """
        query = select(*CALL_FIELDS, calls.c.version).where(*_is((call.line, call.call_id)))
        row = connection.execute(query).one()
        found = read_call(row)
        change = moves.release(found, call.claimed_by or "", call.claimed_at, reason)
        if not change.values:
            return found
        values = {**change.values, "order_lease_until": None, "version": row.version + 1}
        same = (*_is((call.line, call.call_id)), calls.c.version == row.version)
        if connection.execute(calls.update().where(*same).values(values)).rowcount != 1:
            return None
        if order is not None:
            _use(connection, call.line, order, +1)
        append(connection, [(call.line, call.call_id, CallState.RINGING)], now)
        return replace(found, **change.values)

    def _take(
        self,
        connection: Connection,
        keys: Sequence[CallKey],
        now: datetime,
        lease_seconds: float,
        tried: Tried,
    ) -> list[TakenCall]:
        open_orders = self._read_orders(connection, sorted({line for line, _ in keys}))
        wanted = tuple_(calls.c.line, calls.c.call_id).in_(list(keys))
        query = select(*CALL_FIELDS, calls.c.version).where(wanted, *_rings(now)).order_by(calls.c.received_at)
        taken: list[TakenCall] = []
        for row in connection.execute(query).all():
            call = read_call(row)
            failed = tried.get((call.line, call.call_id), ())
            won = _take_one(connection, call, row.version, open_orders, now, lease_seconds, failed)
            if won is not None:
                taken.append(won)
        append(connection, [(each.call.line, each.call.call_id, CallState.CLAIMED) for each in taken], now)
        return taken

    def _read_orders(self, connection: Connection, lines: Collection[str], *, skip_locked: bool = False) -> _OpenOrders:
        """
        The orders of some lines.

        :param skip_locked: Leave out orders that are being removed, instead of waiting whether that comes about.
        """
        query = select(*ORDER_FIELDS).where(orders.c.line.in_(lines))
        if connection.dialect.name == "postgresql":
            # An order that is removed meanwhile stays until this is committed, so that none answers after its removal.
            query = query.with_for_update(read=True, key_share=True, skip_locked=skip_locked)
        by_line: dict[str, list[StandingOrder]] = {line: [] for line in lines}
        for row in connection.execute(query):
            usable = read_usable(row)
            if usable is not None:
                by_line[row.line].append(usable[0])
        return _OpenOrders(connection, by_line)


@dataclass
class _OpenOrders:
    """
    The orders of some lines within one transaction.

    :param answers: What calls are accepted with, by revision; read for an order when it is chosen, since the answers of
        all orders of a line can be megabytes.
    """

    connection: Connection
    by_line: dict[str, list[StandingOrder]]
    answers: dict[str, OrderAnswer] = field(default_factory=dict)

    def choose(self, call: SwitchboardCall, now: datetime, tried: Collection[str] = ()) -> StandingOrder | None:
        """The order that answers a call; one whose answer cannot be read is left out, so that the others go on."""
        of_line = self.by_line.get(call.line, [])
        while (order := choose([each for each in of_line if each.revision not in tried], call, now)) is not None:
            if order.revision in self.answers or self._read_answer(call.line, order):
                return order
            of_line.remove(order)
        return None

    def used(self, line: str, order: StandingOrder) -> None:
        """Take in that an order has one use less."""
        of_line = self.by_line[line]
        of_line.remove(order)
        left = None if order.uses_left is None else order.uses_left - 1
        of_line.append(replace(order, uses_left=left))

    def _read_answer(self, line: str, order: StandingOrder) -> bool:
        same = (orders.c.line == line, orders.c.name == order.name, orders.c.revision == order.revision)
        row = self.connection.execute(select(*ORDER_FIELDS, orders.c.answer).where(*same)).one_or_none()
        usable = read_usable(row, row.answer) if row is not None else None
        if usable is None or usable[1] is None:
            return False
        self.answers[order.revision] = usable[1]
        return True


def _take_one(
    connection: Connection,
    call: SwitchboardCall,
    version: int,
    open_orders: _OpenOrders,
    now: datetime,
    lease_seconds: float,
    tried: Collection[str],
) -> TakenCall | None:
    """The call as taken by an order; ``None`` when none takes it."""
    while (order := open_orders.choose(call, now, tried)) is not None:
        if not _use(connection, call.line, order, -1):
            open_orders.by_line[call.line].remove(order)
            continue  # used up, replaced or removed a moment ago
        values = _taking(call, order, now)
        lease = {"order_lease_until": now + timedelta(seconds=lease_seconds), "version": version + 1}
        same = (*_is((call.line, call.call_id)), calls.c.version == version)
        if connection.execute(calls.update().where(*same).values({**values, **lease})).rowcount != 1:
            # Another client has claimed it a moment ago.
            _use(connection, call.line, order, +1)
            return None
        open_orders.used(call.line, order)
        return TakenCall(replace(call, **values), order, open_orders.answers[order.revision])
    return None


def _taking(call: SwitchboardCall, order: StandingOrder, now: datetime) -> dict[str, Any]:
    """The fields of a call that change when an order takes it; one that is to be accepted gets its end as well."""
    owner = owner_of_order(order.name)
    if order.action == ACCEPT and order.max_duration_seconds is not None:
        return dict(moves.accepting(call, owner, now, order.max_duration_seconds).values)
    return dict(moves.claim(call, owner, now).values)


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
    return (calls.c.state == CallState.RINGING, calls.c.expires_at > now)


def _is_abandoned(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (calls.c.state == CallState.CLAIMED, calls.c.order_lease_until <= now)
