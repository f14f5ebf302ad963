"""
The dispatcher of a worker: hands new calls to standing orders at once, and looks after those that were missed.

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

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.order import StandingOrder, choose
from airflow_openai_realtime.exceptions import LinesUnavailable, StoreUnavailable
from airflow_openai_realtime.switchboard.server.call_clients import SharedClients
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.orders.order_answering import OrderAnswering
from airflow_openai_realtime.switchboard.server.orders.prepared_answers import PreparedAnswer, PreparedAnswers
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import NewCall, Store
from airflow_openai_realtime.switchboard.server.store.order_taking import CallKey, TakenCall
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

LEFT_SECONDS = 1.0
"""A call that rings for so long unclaimed is not about to be taken by the worker that stored it."""

FORGET_AFTER = timedelta(hours=1)
"""Orders that expired so long ago are deleted, with the credentials in them."""

_FORGET_EVERY = timedelta(minutes=1)


class OrderDispatcher:
    """
    Standing orders as one worker carries them out.

    :param lines: For the key to answer with.
    :param clients: Of OpenAI.
    :param now: The clock.
    :param on_change: Told of the line of each call that changed.
    """

    def __init__(
        self,
        store: Store,
        lines: LineDirectory,
        clients: SharedClients,
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        on_change: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._store = store
        self._directory = lines
        self._clients = clients
        self._settings = settings
        self._now = now
        self._on_change = on_change
        self._threads = Executor(2, "switchboard-orders")
        self._answers = PreparedAnswers(store, self._threads)
        self._answering = OrderAnswering(store, self._threads, clients, self._answers, settings, now, on_change)
        self._taken: dict[CallKey, tuple[Line, TakenCall, PreparedAnswer | None]] = {}  # from store to offer
        self._limited: set[CallKey] = set()
        self._offered: list[CallKey] = []
        self._taking: asyncio.Task[None] | None = None
        self._warm_lines: dict[str, Line] = {}  # those with open orders, as the last sweep found them
        self._seen: set[str] = set()  # revisions that the last sweep knew
        self._looked_for = asyncio.Event()
        self._forgot_at: datetime | None = None
        self._closing = False
        self.last_sweep_at: datetime | None = None

    def store(self, new: Sequence[NewCall]) -> set[CallKey]:
        """
        Store calls as ``calls.add`` does, and take those that an order answers at once. Called in the intake's thread.

        :returns: (line, call id) of those that were new; :meth:`offer` them in the event loop.
        :raises StoreUnavailable: The store does not answer.
        """
        lines, known = self._warm_lines, self._answers.known
        if not any(call.line in lines for call in new):
            return self._store.calls.add(new)
        lease = self._settings.order_lease_seconds
        try:
            stored = self._store.order_taking.store_and_take(new, lines.keys(), self._now(), lease, known.keys())
        except StoreUnavailable:
            raise
        except Exception:
            # Whatever is wrong with an order, no delivery is refused for it.
            log.exception("order.storing_failed")
            return self._store.calls.add(new)
        for key, taken in stored.taken.items():
            self._taken[key] = (lines[key[0]], taken, known.get(taken.order.revision) if taken.order else None)
        self._limited |= stored.limited
        return stored.added

    def offer(self, call: NewCall) -> None:
        """Answer a call that was stored just now, if an order is for it; returns at once."""
        key = (call.line, call.call_id)
        taken = self._taken.pop(key, None)
        if taken is not None:
            self._answering.begin(*taken)
        elif key in self._limited and not self._closing:
            self._offered.append(key)
            if self._taking is None or self._taking.done():
                self._taking = asyncio.ensure_future(self._take_offered())
        self._limited.discard(key)

    def look_soon(self) -> None:
        """Sweep now: an order was made or changed."""
        self._looked_for.set()

    async def run(self) -> None:
        """Sweep for ever."""
        self._closing = False
        while True:
            self._looked_for.clear()
            try:
                await self.sweep()
            except StoreUnavailable as error:
                log.error(logs.line("order.store_unavailable", error=error))
            except Exception:
                log.exception("order.sweep_failed")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._looked_for.wait(), self._settings.order_sweep_seconds)

    async def sweep(self) -> None:
        """
        Look once after all that was missed, and have ready what the next call needs.

        :raises StoreUnavailable: The store does not answer.
        """
        await self._answering.renew()
        orders = await self._threads.run(self._store.orders.open, self._now())
        await self._warm(orders)
        await self._resume_abandoned()
        await self._take_left(orders)
        await self._forget_expired()
        self.last_sweep_at = self._now()

    async def settled(self) -> None:
        """Wait for all that was begun."""
        if self._taking is not None:
            await asyncio.wait([self._taking])
        await self._answering.settled()

    async def close(self) -> None:
        """Take no more calls, and finish those that were taken."""
        self._closing = True
        if self._taking is not None:
            await asyncio.wait([self._taking])
        await self._answering.close()
        self._threads.close()

    async def _take_offered(self) -> None:
        while self._offered:
            keys, self._offered = self._offered, []
            try:
                await self._take(keys)
            except StoreUnavailable as error:
                # The sweep takes them.
                log.error(logs.line("order.store_unavailable", calls=len(keys), error=error))
            except Exception:
                log.exception(logs.line("order.taking_failed", calls=len(keys)))

    async def _take(self, keys: Sequence[CallKey]) -> None:
        lines = {name: await self._line(name) for name in {line for line, _ in keys}}
        usable = [key for key in keys if lines[key[0]] is not None]
        known = self._answers.known
        lease, tried = self._settings.order_lease_seconds, self._answering.tried
        taken = await self._threads.run(self._store.order_taking.take, usable, self._now(), lease, known.keys(), tried)
        for each in taken:
            line = lines[each.call.line]
            assert line is not None  # noqa: S101 - only calls of usable lines were taken
            self._answering.begin(line, each, known.get(each.order.revision) if each.order else None)
            self._on_change(each.call.line)

    async def _line(self, name: str) -> Line | None:
        """A line; ``None`` when it has no key to answer with, or cannot be looked up now."""
        warm = self._warm_lines.get(name)
        if warm is not None:
            return warm
        try:
            return await self._directory.find(name)
        except LinesUnavailable as error:
            log.error(logs.line("order.line_unavailable", line=name, error=error))
            return None

    async def _warm(self, orders: dict[str, list[StandingOrder]]) -> None:
        lines = {name: self._warm_lines.get(name) for name in orders}
        for name in orders:
            with suppress(LinesUnavailable):
                lines[name] = await self._directory.find(name)
        self._warm_lines = {name: line for name, line in lines.items() if line is not None}
        for line in self._warm_lines.values():
            await self._clients.warm(line.api)
        await self._clients.close_idle()
        await self._answers.prepare(orders)

    async def _resume_abandoned(self) -> None:
        lease = self._settings.order_lease_seconds
        for key in await self._threads.run(self._store.order_taking.abandoned, self._now()):
            line = await self._line(key[0])
            if line is None or self._answering.is_busy(key):
                continue
            taken = await self._threads.run(self._store.order_taking.resume, key, self._now(), lease)
            if taken is not None:
                log.warning(logs.line("order.resumed", line=line.name, call_id=key[1]))
                self._answering.begin(line, taken, None, is_resumed=True)

    async def _take_left(self, orders: dict[str, list[StandingOrder]]) -> None:
        """Take what rings unclaimed: at once for an order that is new here, else what nobody is about to take."""
        if not orders:
            return
        now = self._now()
        before = now if self._has_new(orders) else now - timedelta(seconds=LEFT_SECONDS)
        ringing = await self._threads.run(self._store.order_taking.ringing, list(orders), before, now)
        tried = self._answering.tried

        def is_due(call: SwitchboardCall) -> bool:
            failed = tried.get((call.line, call.call_id), ())
            return choose([each for each in orders[call.line] if each.revision not in failed], call, now) is not None

        due = [call for call in ringing if is_due(call)]
        if due:
            await self._take([(call.line, call.call_id) for call in due])

    def _has_new(self, orders: dict[str, list[StandingOrder]]) -> bool:
        """Whether there are orders that the last sweep did not know, or not as they are now."""
        new = [
            (line, order) for line, of_line in orders.items() for order in of_line if order.revision not in self._seen
        ]
        for line, order in new:
            log.info(logs.line("order.known", line=line, order=order.name, action=order.action))
        self._seen = {order.revision for of_line in orders.values() for order in of_line}
        return bool(new)

    async def _forget_expired(self) -> None:
        now = self._now()
        if self._forgot_at is None or now - self._forgot_at >= _FORGET_EVERY:
            self._forgot_at = now
            await self._threads.run(self._store.orders.forget_expired, now - FORGET_AFTER)
