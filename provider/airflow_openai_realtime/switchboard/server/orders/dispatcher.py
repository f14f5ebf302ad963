"""
The dispatcher of a worker: answers new calls by standing orders at once, and looks after those that were missed.

A call that this worker stores is taken in the same transaction and answered without a detour. Everything else is found
by a sweep: calls that a dead worker stored but did not take, calls that it took but did not answer, fallbacks that are
due, and calls that rang already when an order was made. Who takes a call is decided by the store, so any number of
workers can sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls.call import CallKey, SwitchboardCall
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.order import ACCEPT, StandingOrder, choose
from airflow_openai_realtime.exceptions import InvalidInput, LinesUnavailable, StoreUnavailable
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.orders.order_answering import OrderAnswering, checked_session
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.process.metrics import NO_LINE
from airflow_openai_realtime.switchboard.server.store import NewCall, Store
from airflow_openai_realtime.switchboard.server.store.order_taking import Stored, TakenCall
from airflow_openai_realtime.switchboard.server.sweeps.sweep import Sweep
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

LEFT_SECONDS = 1.0
"""A call that rings for so long unclaimed is not about to be taken by the worker that stored it."""

CLOSE_SECONDS = 5.0
"""How long a worker that stops waits for what it has begun; after that, another one resumes."""

FORGET_AFTER = timedelta(hours=1)
"""Orders that expired so long ago are deleted, with the credentials in them."""

_FORGET_EVERY = timedelta(minutes=1)

Orders = dict[str, list[StandingOrder]]
"""Open orders by line."""


class OrderDispatcher:
    """
    Standing orders as one worker carries them out.

    :param store: Where orders and calls are.
    :param lines: For the key to answer with.
    :param clients: Makes a client of OpenAI.
    :param settings: How often it sweeps, how long its leases are, and how many calls it answers at once.
    :param now: The clock.
    :param on_change: Called with the line of each call that changed.
    """

    def __init__(
        self,
        store: Store,
        lines: LineDirectory,
        clients: Callable[[ApiSettings], CallsClient],
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        on_change: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._store = store
        self._directory = lines
        self._lease_seconds = settings.order_lease_seconds
        self._now = now
        self._on_change = on_change
        self._threads = Executor(2, "switchboard-orders")
        self._answering = OrderAnswering(store, self._threads, clients, settings, now, on_change)
        self._lines: dict[str, Line] = {}  # those with open orders and a key, as the last sweep found them
        self._known: set[str] = set()  # revisions of the orders that the last sweep found
        self._forgot_at: datetime | None = None
        self._is_closing = False
        self.sweep = Sweep(
            "order",
            self._look,
            now,
            settings.order_sweep_seconds,
            calls_at_once=settings.order_concurrency,
            renew=self._renew,
        )

    def store(self, new: Sequence[NewCall]) -> Stored:
        """
        Store calls as ``calls.add`` does, and take those that an order answers at once. Called in the intake's thread.

        :param new: As for ``calls.add``.
        :returns: What became of them; :meth:`answer` it in the event loop.
        :raises StoreUnavailable: The store does not answer.
        """
        lines = self._lines
        if any(call.line in lines for call in new):
            try:
                return self._store.order_taking.store_and_take(new, lines.keys(), self._now(), self._lease_seconds)
            except StoreUnavailable:
                raise
            except Exception:
                # Whatever is wrong with an order, no delivery is refused for it.
                log.exception("order.storing_failed")
        return Stored(self._store.calls.add(new))

    def answer(self, stored: Stored) -> None:
        """
        Answer the calls that were stored just now, as far as orders are for them; returns at once.

        :param stored: From :meth:`store`.
        """
        for taken in stored.taken.values():
            self._begin(taken)
        if stored.limited and not self._is_closing:
            # Of no line: it must neither wait for the calls that a line answers, nor have a lease renewed that it has
            # not got yet.
            keys = sorted(stored.limited)
            self.sweep.begin((NO_LINE, keys[0][1]), partial(self._take_and_begin, keys))

    async def settled(self) -> None:
        """Wait for all that was begun."""
        await self.sweep.settled()
        await self._answering.settled()

    async def close(self) -> None:
        """Take no more calls, and finish those that were taken if that does not take too long; others do the rest."""
        self._is_closing = True
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.settled(), CLOSE_SECONDS)
        await self.sweep.close()
        await self._answering.close()
        self._threads.close()

    # -- one round ------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """
        Look once after all that was missed, and have ready what the next call needs.

        :raises StoreUnavailable: The store does not answer.
        """
        orders: Orders = await self._threads.run(self._store.orders.open, self._now())
        has_new = await self._prepare(orders)
        await self._resume_abandoned()
        await self._take_left(orders, has_new)
        await self._forget_expired()

    async def _renew(self, keys: Sequence[CallKey]) -> None:
        await self._threads.run(self._store.order_taking.renew, keys, self._now(), self._lease_seconds)

    async def _prepare(self, orders: Orders) -> bool:
        """
        Look up lines, make clients and check sessions before a phone rings.

        :returns: Whether there are orders that the last sweep did not know, or not as they are now.
        """
        lines = {name: self._lines.get(name) for name in orders}
        for name in orders:
            with suppress(LinesUnavailable):
                lines[name] = await self._directory.find(name)
        usable = {name: line for name, line in lines.items() if line is not None}
        new = [(line, each) for line, of_line in orders.items() for each in of_line if each.revision not in self._known]
        for name, order in new:
            await self._check(name, order)
        self._lines = usable
        self._known = {order.revision for of_line in orders.values() for order in of_line}
        for name, order in new:
            log.info(logs.line("order.known", line=name, order=order.name, action=order.action))
        return bool(new)

    async def _check(self, line: str, order: StandingOrder) -> None:
        """Log when an order cannot accept calls. The first check loads modules for hundreds of milliseconds."""
        if order.action != ACCEPT:
            return
        try:
            found = await self._threads.run(self._store.orders.answer, line, order.name)
            if found is not None and found[0] == order.revision:  # else it was removed or replaced meanwhile
                await self._threads.run(checked_session, found[1])
        except InvalidInput as error:
            log.error(logs.line("order.unusable", line=line, order=order.name, field=error.field))

    async def _resume_abandoned(self) -> None:
        for key in await self._threads.run(self._store.order_taking.abandoned, self._now()):
            if self.sweep.is_working_on(key) or await self._line(key[0]) is None:
                continue
            taken = await self._threads.run(self._store.order_taking.resume, key, self._now(), self._lease_seconds)
            if taken is not None:
                log.warning(logs.line("order.resumed", line=key[0], call_id=key[1]))
                self._begin(taken, is_resumed=True)

    async def _take_left(self, orders: Orders, has_new: bool) -> None:
        """Take what rings unclaimed: at once for an order that is new here, else what no worker is about to take."""
        if not orders:
            return
        now = self._now()
        before = now if has_new else now - timedelta(seconds=LEFT_SECONDS)
        ringing = await self._threads.run(self._store.order_taking.ringing, list(orders), before, now)
        tried = self._answering.tried

        def is_due(call: SwitchboardCall) -> bool:
            failed = tried.get((call.line, call.call_id), ())
            return choose([each for each in orders[call.line] if each.revision not in failed], call, now) is not None

        keys = [(call.line, call.call_id) for call in ringing if is_due(call)]
        await self._take_and_begin(keys)

    async def _forget_expired(self) -> None:
        now = self._now()
        if self._forgot_at is None or now - self._forgot_at >= _FORGET_EVERY:
            self._forgot_at = now
            await self._threads.run(self._store.orders.forget_expired, now - FORGET_AFTER)

    # -- taking and answering -------------------------------------------------------------------------------------

    async def _take(self, keys: Sequence[CallKey]) -> list[TakenCall]:
        usable = [key for key in keys if await self._line(key[0]) is not None]
        taking, tried = self._store.order_taking, self._answering.tried
        taken = await self._threads.run(taking.take, usable, self._now(), self._lease_seconds, tried)
        for each in taken:
            self._on_change(each.call.line)
        return taken

    async def _take_and_begin(self, keys: Sequence[CallKey]) -> None:
        for taken in await self._take(keys):
            self._begin(taken)

    def _begin(self, taken: TakenCall, *, is_resumed: bool = False) -> None:
        key = (taken.call.line, taken.call.call_id)
        self.sweep.begin(key, partial(self._answer, taken, is_resumed))

    async def _answer(self, taken: TakenCall, is_resumed: bool) -> None:
        line = await self._line(taken.call.line)
        if line is not None:  # else its lease runs out, and a worker that knows the line resumes
            await self._answering.answer(line, taken, is_resumed=is_resumed)

    async def _line(self, name: str) -> Line | None:
        """A line; ``None`` when it has no key to answer with, or cannot be looked up now."""
        known = self._lines.get(name)
        if known is not None:
            return known
        try:
            return await self._directory.find(name)
        except LinesUnavailable as error:
            log.error(logs.line("order.line_unavailable", line=name, error=error))
            return None
