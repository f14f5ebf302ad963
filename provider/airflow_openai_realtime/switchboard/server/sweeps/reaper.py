"""
The reaper ends calls: those whose end was asked for, at once, and those past their ``hangup_at``. It marks calls that
rang out as missed.

One runs in each worker. It is the last layer that keeps a call from running on, so it never stops trying. Why a call is
hung up is committed before OpenAI is asked, so that the first part that sees the call end knows the cause.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from airflow_openai_realtime.api.call_requests import hang_up_call, reject_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallAlreadyDecided,
    CallGone,
    OpenAIRealtimeError,
    RequestRefused,
)
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS, CallState, EndedBy, EndReason, Witness
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.process.metrics import REAPER_ACTIONS, Counters
from airflow_openai_realtime.switchboard.server.store import OverdueCall, Store
from airflow_openai_realtime.switchboard.server.store.statistics import OTHER, REASONS
from airflow_openai_realtime.switchboard.server.sweeps.sweep import Sweep
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

UNCONFIRMED_SECONDS = 30.0
"""How long after its end was due an accept request may still be on its way, so that "gone" may mean "not there yet"."""


class NoKey(OpenAIRealtimeError):
    """There is no key to hang up with."""


#: Failures after which OpenAI has certainly done nothing.
_NOT_DONE = (AuthenticationError, RequestRefused, NoKey)


class Reaper:
    """
    Ends overdue calls of all lines.

    :param store: Where the calls are.
    :param lines: For the key to hang up with.
    :param threads: To use the store from.
    :param settings: How often it looks, how long its leases and pauses are, and how many calls it ends at once.
    :param now: The clock.
    :param api_client: Lends a client for OpenAI.
    :param on_change: Told of the line of each call that changed.
    :param counters: Where what it does is counted.
    """

    def __init__(
        self,
        store: Store,
        lines: LineDirectory,
        threads: Executor,
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        api_client: Callable[[ApiSettings], AbstractAsyncContextManager[CallsClient]],
        on_change: Callable[[str], None] = lambda line: None,
        counters: Counters | None = None,
    ) -> None:
        self._store = store
        self._lines = lines
        self._threads = threads
        self._settings = settings
        self._now = now
        self._api_client = api_client
        self._on_change = on_change
        self._counters = counters or Counters()
        self.sweep = Sweep(
            "reaper",
            self._look,
            now,
            settings.reaper_interval_seconds,
            calls_at_once=settings.reaper_concurrency,
        )

    def end_now(self, line: str, call_id: str) -> None:
        """
        Begin to end a call whose end is wanted, ahead of the next sweep; one that is not due stays as it is.

        :param line: Its line.
        :param call_id: The call.
        """
        self._begin(OverdueCall(line, call_id, CallState.ACCEPTED, self._now(), tries=0), self._end)

    def seems_over(self, line: str, call_id: str) -> None:
        """
        End a call whose socket has ended while no holder was there, so that it does not stand as live.

        :param line: Its line.
        :param call_id: The call.
        """
        self._begin(OverdueCall(line, call_id, CallState.ACCEPTED, self._now(), tries=0), self._make_certain)

    async def _look(self) -> None:
        """
        Mark what rang out, and begin to hang up what is overdue; a slow hang-up does not hold up the next round.

        :raises StoreUnavailable: The store does not answer.
        """
        for call in await self._threads.run(self._store.reaping.overdue, self._now()):
            self._begin(call, self._end)
        await self._let_claims_lapse()
        grace = self._settings.claim_grace_seconds
        for line, call_id in await self._threads.run(self._store.reaping.rung_out, self._now(), grace):
            await self._move(line, call_id, lambda call: moves.missed(call, self._now(), grace))
            self._counters.add(REAPER_ACTIONS, "missed", line)
            log.info(logs.line("call.missed", line=line, call_id=call_id))
        for line, call_id in await self._threads.run(self._store.reaping.write_late_results, self._now()):
            self._on_change(line)
            log.warning(logs.line("reaper.result_written", line=line, call_id=call_id))

    async def _let_claims_lapse(self) -> None:
        seconds = self._settings.claim_seconds
        for line, call_id in await self._threads.run(self._store.reaping.lapsed, self._now(), seconds):
            moved = await self._move(line, call_id, lambda call: moves.lapse(call, self._now(), seconds))
            if moved.state == CallState.RINGING:
                log.warning(logs.line("call.claim_lapsed", line=line, call_id=call_id))

    def _begin(self, call: OverdueCall, work: Callable[[OverdueCall], Coroutine[Any, Any, None]]) -> None:
        self.sweep.begin((call.line, call.call_id), partial(work, call))

    async def _end(self, call: OverdueCall) -> None:
        lease = self._settings.reaper_lease_seconds
        taken = await self._threads.run(self._store.reaping.take, call, self._now(), lease)
        if taken is None:
            return
        try:
            if taken.may_be_accepted and taken.reason != EndReason.REJECTED:
                await self._hang_up(taken)
            else:
                await self._decline(taken)
        except OpenAIRealtimeError as error:
            await self._failed(taken, error)

    async def _make_certain(self, call: OverdueCall) -> None:
        try:
            async with self._client(await self._line(call)) as client:
                await client.asend(hang_up_call(call.call_id))
        except OpenAIRealtimeError as error:
            log.warning(logs.line("reaper.not_certain", line=call.line, call_id=call.call_id, error=error))
            return
        await self._ended(call, Account(Witness.SOCKET, EndReason.CALLER_HUNG_UP, EndedBy.CALLER))

    async def _hang_up(self, call: OverdueCall) -> None:
        """
        End a call that is live, or may be.

        :raises OpenAIRealtimeError: It could not be hung up.
        """
        async with self._client(await self._line(call)) as client:
            result = await client.asend(hang_up_call(call.call_id))
        if not result.gone:
            await self._ended(call, call.account)
        elif call.state != CallState.ACCEPTED and not self._is_overdue_for_long(call):
            # Its accept request may still be on its way. A call that still rings is declined; else look again.
            await self._decline(call)
        elif result.maybe_by_us or call.maybe_hung_up:
            await self._ended(call, call.account)
        else:
            await self._ended(call, Account(Witness.FOUND_GONE, EndReason.GONE), was_too_late=True)

    async def _decline(self, call: OverdueCall) -> None:
        """
        End a call that rings, as far as is known.

        :raises OpenAIRealtimeError: It could not be declined.
        """
        try:
            async with self._client(await self._line(call)) as client:
                await client.asend(reject_call(call.call_id, call.status_code or DEFAULT_REJECT_STATUS))
        except CallGone:
            if call.state != CallState.ACCEPTED and call.may_be_accepted and not self._is_overdue_for_long(call):
                await self._look_again(call)
            else:
                await self._ended(call, Account(Witness.FOUND_GONE, EndReason.GONE), was_too_late=True)
        except CallAlreadyDecided:
            if call.may_be_accepted:
                await self._look_again(call)  # it was accepted a moment ago: the next try hangs up, if it is to end
            elif call.reason == EndReason.REJECTED and call.maybe_hung_up:
                await self._rejected(call)  # by an earlier request whose answer was lost
            elif call.reason == EndReason.REJECTED:
                await self._move(call.line, call.call_id, partial(moves.not_declined, by=call.by))
            else:
                await self._hang_up(replace(call, may_be_accepted=True, state=CallState.ACCEPTED))
        else:
            await self._rejected(call)

    def _is_overdue_for_long(self, call: OverdueCall) -> bool:
        return (self._now() - call.due_at).total_seconds() >= UNCONFIRMED_SECONDS

    async def _look_again(self, call: OverdueCall) -> None:
        pause = self._settings.reaper_lease_seconds
        await self._threads.run(partial(self._store.reaping.postpone, call, self._now(), pause, maybe_hung_up=False))

    async def _line(self, call: OverdueCall) -> Line:
        line = await self._lines.find(call.line)
        if line is None:
            raise NoKey(f"line {call.line} is not configured any more, so there is no key to hang up with")
        return line

    def _client(self, line: Line) -> AbstractAsyncContextManager[CallsClient]:
        return self._api_client(line.api)

    async def _failed(self, call: OverdueCall, error: OpenAIRealtimeError) -> None:
        late = (self._now() - call.due_at).total_seconds()
        if late > LONGEST_CALL_SECONDS:
            # OpenAI itself has ended it by now.
            log.error(logs.line("reaper.gave_up", line=call.line, call_id=call.call_id, tries=call.tries, error=error))
            await self._ended(call, Account(Witness.FOUND_GONE, EndReason.HANG_UP_FAILED), was_too_late=True)
            return
        self._counters.add(REAPER_ACTIONS, "try_failed", call.line)
        pause = min(self._settings.reaper_backoff_seconds, 2.0 ** min(call.tries, 10))
        log.error(
            logs.line(
                "reaper.hang_up_failed",
                line=call.line,
                call_id=call.call_id,
                tries=call.tries + 1,
                overdue_seconds=round(late),
                next_try_in_seconds=pause,
                error=error,
            )
        )
        is_clear = isinstance(error, _NOT_DONE)
        await self._threads.run(
            partial(self._store.reaping.postpone, call, self._now(), pause, maybe_hung_up=not is_clear)
        )

    async def _ended(self, call: OverdueCall, account: Account, *, was_too_late: bool = False) -> None:
        def rule(current: SwitchboardCall) -> moves.Change:
            return moves.ended(current, self._now(), account, too_late_for=call.by if was_too_late else None)

        ended = await self._move(call.line, call.call_id, rule)
        self._counters.add(REAPER_ACTIONS, account.reason if account.reason in REASONS else OTHER, call.line)
        log.warning(logs.line("reaper.ended", line=call.line, call_id=call.call_id, reason=ended.end_reason))

    async def _rejected(self, call: OverdueCall) -> None:
        def rule(current: SwitchboardCall) -> moves.Change:
            return moves.rejected(current, self._now(), call.status_code or DEFAULT_REJECT_STATUS, call.account)

        await self._move(call.line, call.call_id, rule)
        self._counters.add(REAPER_ACTIONS, EndReason.REJECTED, call.line)
        log.warning(logs.line("reaper.declined", line=call.line, call_id=call.call_id, reason=call.reason))

    async def _move(self, line: str, call_id: str, rule: Callable[[SwitchboardCall], moves.Change]) -> SwitchboardCall:
        moved = await self._threads.run(self._store.calls.move, line, call_id, rule, self._now())
        self._on_change(line)
        return moved
