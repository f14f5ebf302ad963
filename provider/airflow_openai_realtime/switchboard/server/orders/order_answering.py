"""
Answering a call that a worker has taken for a standing order, under the lease that it has on it.

Nothing that goes wrong with one call reaches another one. Who an order could not get answered rings on for others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.api.sideband.socket import load
from airflow_openai_realtime.calls.call import CallKey, SwitchboardCall
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.order import ACCEPT, OrderAnswer, StandingOrder
from airflow_openai_realtime.exceptions import CallError, InvalidInput, OpenAIRealtimeError, StoreUnavailable
from airflow_openai_realtime.switchboard.server.orders.order_execution import OrderExecution
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store, TakenCall
from airflow_openai_realtime.switchboard.server.store.order_taking import Tried
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

log = logging.getLogger(__name__)

GREETING_SECONDS = 8.0
"""For attaching, telling and hearing that it was understood; after that the caller is left to speak first."""


def checked_session(answer: OrderAnswer) -> RealtimeSession:
    """
    The session that an order accepts calls with, checked; loads what answering needs, so the first time takes long.

    :param answer: As it was put.
    :raises InvalidSession: It is not one that this release knows.
    """
    if answer.greeting is not None:
        load()
    return answer.parsed()


class OrderAnswering:
    """
    Answers of one worker.

    :param store: Where the calls are.
    :param threads: To use the store from.
    :param clients: Makes a client of OpenAI.
    :param settings: How long a call may last whose order does not say it.
    :param now: The clock.
    :param on_change: Called with the line of each call that changed.
    """

    def __init__(
        self,
        store: Store,
        threads: Executor,
        clients: Callable[[ApiSettings], CallsClient],
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        on_change: Callable[[str], None],
    ) -> None:
        self._store = store
        self._threads = threads
        self._clients = clients
        self._settings = settings
        self._now = now
        self._on_change = on_change
        self._tried: dict[CallKey, tuple[datetime, set[str]]] = {}
        self._greetings: set[asyncio.Task[bool]] = set()

    @property
    def tried(self) -> Tried:
        """By call, the orders that could not have it answered here: they do not take it again while it rings."""
        now = self._now()
        self._tried = {key: value for key, value in self._tried.items() if value[0] > now}
        return {key: revisions for key, (_, revisions) in self._tried.items()}

    async def answer(self, line: Line, taken: TakenCall, *, is_resumed: bool = False) -> None:
        """
        Answer a call; what OpenAI refuses is logged.

        :param line: The call's line.
        :param taken: The call, under a lease of this worker.
        :param is_resumed: Whether another worker may have begun before.
        :raises StoreUnavailable: What became of the call is not stored; it is resumed when the lease has run out.
        """
        try:
            await self._answer(line, taken, is_resumed)
        except StoreUnavailable:
            raise
        except OpenAIRealtimeError as error:
            # Without its text: what OpenAI says may quote the session.
            what = {"order": taken.order and taken.order.name, "error": type(error).__name__, "status": error.status}
            code = error.code if isinstance(error, CallError) else None
            log.warning(logs.line("order.failed", line=line.name, call_id=taken.call.call_id, **what, code=code))

    async def settled(self) -> None:
        """Wait for the greetings that were begun."""
        while self._greetings:
            await asyncio.wait(self._greetings)

    async def close(self) -> None:
        """Break off the greetings; the calls go on."""
        for task in self._greetings:
            task.cancel()
        await self.settled()

    async def _answer(self, line: Line, taken: TakenCall, is_resumed: bool) -> None:
        async with self._clients(line.api) as client:
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
                await self._carry_out(line, execution, taken, is_resumed)
            finally:
                if execution.is_given_back and taken.order is not None:
                    self._note_tried(taken.call, taken.order)

    async def _carry_out(self, line: Line, execution: OrderExecution, taken: TakenCall, is_resumed: bool) -> None:
        order, answer = taken.order, taken.answer
        if order is None or answer is None or (is_resumed and not self._may_resume(taken, order)):
            await execution.give_up()
            await self._threads.run(self._store.order_taking.release, (taken.call.line, taken.call.call_id))
            log.warning(logs.line("order.gave_up", line=line.name, call_id=taken.call.call_id))
        elif order.action == ACCEPT:
            await self._accept(line, execution, order, taken.call, answer)
        else:
            await execution.reject(order.status_code or 603)
            self._tell("order.rejected", line, taken.call, order)

    def _note_tried(self, call: SwitchboardCall, order: StandingOrder) -> None:
        _, revisions = self._tried.setdefault((call.line, call.call_id), (call.expires_at, set()))
        revisions.add(order.revision)

    def _may_resume(self, taken: TakenCall, order: StandingOrder) -> bool:
        """Whether a call that was left behind still rings, and the order still says what it said when it took it."""
        was_to_be_accepted = taken.call.hangup_at is not None
        return taken.call.expires_at > self._now() and was_to_be_accepted == (order.action == ACCEPT)

    async def _accept(
        self, line: Line, execution: OrderExecution, order: StandingOrder, call: SwitchboardCall, answer: OrderAnswer
    ) -> None:
        try:
            session = await self._threads.run(checked_session, answer)
        except InvalidInput:
            await execution.give_up()
            raise
        is_first = await execution.accept(order, answer, session)
        self._tell("order.accepted", line, call, order)
        if is_first and answer.greeting is not None:
            task = asyncio.ensure_future(greet(line.api, call.call_id, answer.greeting))
            self._greetings.add(task)
            task.add_done_callback(self._greetings.discard)

    def _tell(self, event: str, line: Line, call: SwitchboardCall, order: StandingOrder) -> None:
        after_ms = (self._now() - call.received_at).total_seconds() * 1000
        log.info(logs.line(event, line=line.name, call_id=call.call_id, order=order.name, after_ms=round(after_ms)))


async def greet(settings: ApiSettings, call_id: str, instructions: str) -> bool:
    """
    Let the model speak first in a call that was accepted just now. Never raises: a call goes on without its greeting.

    Attaches the sideband, asks for one response, and closes the socket once the response has begun; that does not end
    the call.

    :param settings: How to reach OpenAI.
    :param call_id: The call.
    :param instructions: What to say.
    :returns: Whether the model began to speak.

    Without a request, the model waits until the caller says something.
    Source: https://developers.openai.com/api/docs/guides/voice-sip
    """
    try:
        return await asyncio.wait_for(_ask_for_response(settings, call_id, instructions), GREETING_SECONDS)
    except (CallError, asyncio.TimeoutError) as error:
        log.warning(logs.line("order.not_greeted", call_id=call_id, error=type(error).__name__))
    except Exception:
        log.exception(logs.line("order.greeting_failed", call_id=call_id))
    return False


async def _ask_for_response(settings: ApiSettings, call_id: str, instructions: str) -> bool:
    async with attach(settings, call_id) as sideband:
        await sideband.send({"type": "response.create", "response": {"instructions": instructions}})
        async for event in sideband:
            if event.get("type") == "response.created":
                return True
            if event.get("type") == "error":
                # Without its text, which may quote the instructions.
                code = (event.get("error") or {}).get("code")
                log.warning(logs.line("order.not_greeted", call_id=call_id, error="refused", code=code))
                return False
    log.warning(logs.line("order.not_greeted", call_id=call_id, error="closed"))
    return False
