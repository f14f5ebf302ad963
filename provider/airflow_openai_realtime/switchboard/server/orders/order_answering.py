"""
Answering the calls that a worker has taken for standing orders: each in a task of its own, under a lease.

A call that takes long to answer keeps its lease; one whose worker is gone is answered by another. Nothing that goes
wrong with one call reaches another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.order import ACCEPT, StandingOrder
from airflow_openai_realtime.exceptions import CallError, InvalidInput, OpenAIRealtimeError, StoreUnavailable
from airflow_openai_realtime.switchboard.server.call_clients import SharedClients
from airflow_openai_realtime.switchboard.server.orders.greeting import greet
from airflow_openai_realtime.switchboard.server.orders.order_execution import OrderExecution
from airflow_openai_realtime.switchboard.server.orders.prepared_answers import PreparedAnswer, PreparedAnswers
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store, TakenCall
from airflow_openai_realtime.switchboard.server.store.order_taking import CallKey, Tried
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""How long a worker that stops waits for what it has begun; after that, another one resumes."""


class OrderAnswering:
    """
    Answers of one worker.

    :param threads: To use the store from.
    :param clients: Of OpenAI.
    :param answers: What orders accept calls with.
    :param now: The clock.
    :param on_change: Told of the line of each call that changed.
    """

    def __init__(
        self,
        store: Store,
        threads: Executor,
        clients: SharedClients,
        answers: PreparedAnswers,
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        on_change: Callable[[str], None],
    ) -> None:
        self._store = store
        self._threads = threads
        self._clients = clients
        self._answers = answers
        self._settings = settings
        self._now = now
        self._on_change = on_change
        self._busy: dict[CallKey, asyncio.Task[None]] = {}
        self._renewable: set[CallKey] = set()
        self._tried: dict[CallKey, tuple[datetime, set[str]]] = {}
        self._greetings: set[asyncio.Task[bool]] = set()
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(settings.order_concurrency)
        )

    def is_busy(self, key: CallKey) -> bool:
        """Whether this worker is answering a call just now."""
        return key in self._busy

    def begin(self, line: Line, taken: TakenCall, prepared: PreparedAnswer | None, *, is_resumed: bool = False) -> None:
        """
        Answer a call that was taken; returns at once.

        :param line: The call's line.
        :param prepared: What it is accepted with, if that is known; else ``taken`` says it.
        :param is_resumed: Whether another worker may have begun before.
        """
        key = (taken.call.line, taken.call.call_id)
        if key not in self._busy:
            task = asyncio.ensure_future(self._answer(line, taken, prepared, is_resumed))
            self._busy[key] = task
            task.add_done_callback(lambda _: self._done(key))

    async def renew(self) -> None:
        """
        Keep the leases on what was begun before the last time this was called.

        :raises StoreUnavailable: The store does not answer.
        """
        keys = [key for key in self._busy if key in self._renewable]
        self._renewable = set(self._busy)
        if keys:
            await self._threads.run(
                self._store.order_taking.renew, keys, self._now(), self._settings.order_lease_seconds
            )

    async def settled(self) -> None:
        """Wait for all that was begun."""
        while self._busy or self._greetings:
            await asyncio.wait([*self._busy.values(), *self._greetings])

    async def close(self) -> None:
        """Finish what was begun, if it does not take too long; the rest is left to other workers."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.settled(), CLOSE_SECONDS)
        rest = [*self._busy.values(), *self._greetings]
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)

    def _done(self, key: CallKey) -> None:
        self._busy.pop(key, None)
        self._renewable.discard(key)

    async def _answer(self, line: Line, taken: TakenCall, prepared: PreparedAnswer | None, is_resumed: bool) -> None:
        told = {"line": line.name, "call_id": taken.call.call_id, "order": taken.order and taken.order.name}
        try:
            await self._try(line, taken, prepared, is_resumed)
        except StoreUnavailable as error:
            log.error(logs.line("order.store_unavailable", **told, error=error))
        except OpenAIRealtimeError as error:
            # Without its text: what OpenAI says may quote the session.
            code = error.code if isinstance(error, CallError) else None
            log.warning(logs.line("order.failed", **told, error=type(error).__name__, status=error.status, code=code))
        except Exception:
            log.exception(logs.line("order.failed", **told))

    async def _try(self, line: Line, taken: TakenCall, prepared: PreparedAnswer | None, is_resumed: bool) -> None:
        async with self._slots[line.name], self._clients.use(line.api) as client:
            execution = OrderExecution(
                store=self._store,
                threads=self._threads,
                now=self._now,
                client=client,
                call=taken.call,
                is_resumed=is_resumed,
                default_duration_seconds=self._settings.default_max_duration_seconds,
                on_change=self._on_change,
                order=taken.order,
            )
            try:
                await self._carry_out(line, execution, taken, prepared, is_resumed)
            finally:
                if execution.is_given_back and taken.order is not None:
                    self._note_tried(taken.call, taken.order)

    async def _carry_out(
        self,
        line: Line,
        execution: OrderExecution,
        taken: TakenCall,
        prepared: PreparedAnswer | None,
        is_resumed: bool,
    ) -> None:
        order = taken.order
        if order is None or (is_resumed and not self._may_resume(taken, order)):
            await execution.give_up()
            await self._threads.run(self._store.order_taking.release, (taken.call.line, taken.call.call_id))
            log.warning(logs.line("order.gave_up", line=line.name, call_id=taken.call.call_id))
        elif order.action == ACCEPT:
            await self._accept(line, execution, order, taken, prepared)
        else:
            await execution.reject(order.status_code or 603)
            self._tell("order.rejected", line, taken, order)

    @property
    def tried(self) -> Tried:
        """By call, the orders that could not have it answered here: they do not take it again while it rings."""
        now = self._now()
        self._tried = {key: value for key, value in self._tried.items() if value[0] > now}
        return {key: revisions for key, (_, revisions) in self._tried.items()}

    def _note_tried(self, call: SwitchboardCall, order: StandingOrder) -> None:
        _, revisions = self._tried.setdefault((call.line, call.call_id), (call.expires_at, set()))
        revisions.add(order.revision)

    def _may_resume(self, taken: TakenCall, order: StandingOrder) -> bool:
        """Whether a call that was left behind still rings, and the order still says what it said when it took it."""
        was_to_be_accepted = taken.call.hangup_at is not None
        return taken.call.expires_at > self._now() and was_to_be_accepted == (order.action == ACCEPT)

    async def _accept(
        self,
        line: Line,
        execution: OrderExecution,
        order: StandingOrder,
        taken: TakenCall,
        prepared: PreparedAnswer | None,
    ) -> None:
        if prepared is None:
            assert taken.answer is not None  # noqa: S101 - whoever took the call read it, unless it was known
            try:
                prepared = await self._answers.add(order.revision, taken.answer)
            except InvalidInput:
                await execution.give_up()
                raise
        is_first = await execution.accept(order, prepared)
        self._tell("order.accepted", line, taken, order)
        if is_first and prepared.answer.greeting is not None:
            task = asyncio.ensure_future(greet(line.api, taken.call.call_id, prepared.answer.greeting))
            self._greetings.add(task)
            task.add_done_callback(self._greetings.discard)

    def _tell(self, event: str, line: Line, taken: TakenCall, order: StandingOrder) -> None:
        after_ms = (self._now() - taken.call.received_at).total_seconds() * 1000
        log.info(
            logs.line(event, line=line.name, call_id=taken.call.call_id, order=order.name, after_ms=round(after_ms))
        )
