"""
One accepted call, run to its end: a coroutine that listens, carries out what the rules want, and returns a result.

It may be stopped at any moment and started elsewhere: it then goes on from what was saved. Cancelling it closes the
socket and leaves the call alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from airflow_openai_realtime.api.sideband.events import SidebandEvent
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.outcome import account_of, outcome_of, restated
from airflow_openai_realtime.calls.result import CallResult, result_of
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.calls.witnesses import Account, intended, kept_account
from airflow_openai_realtime.conversation.rules import effects
from airflow_openai_realtime.conversation.rules.decisions import ConversationRules
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.live_socket import LiveSocket, SocketEnd
from airflow_openai_realtime.conversation.run.ports import CallPorts, wait_for_any
from airflow_openai_realtime.conversation.run.saving import Resync, Saving
from airflow_openai_realtime.conversation.run.tool_tasks import ToolTasks
from airflow_openai_realtime.exceptions import CallError, ConversationSuperseded, InvalidInput, SwitchboardError
from airflow_openai_realtime.states import EndReason, Outcome

#: How long the call waits for its conversation to be opened, in seconds; then it goes on without.
OPEN_SECONDS = 3.0
#: A call accepted so shortly before is certainly not greeted yet, in seconds.
NEW_SECONDS = 10.0
#: How long a greeting, or hanging up, waits until it is noted, in seconds. Better twice than not.
NOTE_SECONDS = 2.0
#: Seconds after ``hangup_at`` for which a failed hang-up is retried; the switchboard retries as well.
HANG_UP_SECONDS = 30.0
#: Pauses before a hang-up is retried, in seconds: the first, and the longest.
HANG_UP_PAUSE_SECONDS = 1.0
LONGEST_HANG_UP_PAUSE_SECONDS = 8.0
#: How long the socket is listened to after hanging up, for what was said last, in seconds.
DRAIN_SECONDS = 3.0
#: How long tools that still run when the call is over are waited for, in seconds.
TOOLS_SECONDS = 5.0
#: How long after ``hangup_at`` the result is tried to be saved, in seconds.
FINISH_SECONDS = 60.0
#: How long a coroutine that is cancelled may take to save what it has, in seconds.
LAST_SAVE_SECONDS = 1.0


async def run_call(ports: CallPorts, plan: ConversationPlan, call: SwitchboardCall) -> CallResult:
    """
    Run an accepted call until it is over; hang up when the rules say so, at ``hangup_at`` at the latest.

    :param ports: The call's socket, OpenAI, the switchboard and the clock.
    :param plan: What is to happen.
    :param call: The accepted call, as the switchboard has it.
    :raises ConversationSuperseded: Another holder runs it now: nothing was hung up.
    :raises AuthenticationError: The key was refused; the switchboard ends the call at its time.
    :raises InvalidInput: The call was not accepted.

    Retries: run again, also elsewhere and while the first still runs, it takes the call over; of a call whose result is
    written it returns that.
    """
    if call.hangup_at is None:
        raise InvalidInput(f"call {call.call_id} is {call.state}, not accepted", field="call", call_id=call.call_id)
    running = _RunningCall(ports, plan, call, call.hangup_at)
    try:
        return await running.run()
    except ConversationSuperseded as error:
        if error.code != "finished":
            raise
        kept = await ports.open(call.call_id)
        if kept.result is None:
            raise
        return CallResult.from_dict(kept.result)
    except (asyncio.CancelledError, Exception):
        await running.leave()
        raise
    finally:
        await running.stop()


class _RunningCall:
    """The tasks around the rules of one call."""

    def __init__(self, ports: CallPorts, plan: ConversationPlan, call: SwitchboardCall, hangup_at: datetime) -> None:
        self._ports = ports
        self._plan = plan
        self._call = call
        self._hangup_at = hangup_at
        self._tasks = Tasks()
        self._saving = Saving(ports, call.call_id, self._opened)
        self._tools = ToolTasks(ports, plan, call, self._saving, self._tasks.start, self._answered)
        self._resync = Resync(ports, call.call_id, self._tasks.start, self._caught_up)
        self._end = CallEnding(ports, call.call_id, hangup_at)
        self._alarm = Alarm(self._wake, ports.now, ports.sleep, self._tasks.start)
        self._is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hanging_up: asyncio.Task[Any] | None = None
        self._began_hanging_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rules: ConversationRules | None = None
        self._socket: LiveSocket | None = None
        self._started_at = ports.now()

    async def run(self) -> CallResult:
        self._tasks.start(self._saving.run())
        await wait_for_any({self._tasks.failed, self._is_open}, OPEN_SECONDS, self._ports.sleep)
        if self._tasks.failed.done():
            self._tasks.failed.result()
        rules = self._rules = self._new_rules()
        self._socket = self._new_socket(rules)
        self._started_at = self._ports.now()
        self._carry_out(rules.woken(self._started_at))
        socket_end = await self._until_over()
        ended_at = self._ports.now()
        if socket_end is SocketEnd.CLOSED and self._hanging_up is None and rules.broke_at is not None:
            # Finding out that it is over, and has not only broken, takes seconds.
            ended_at = rules.broke_at
        self._alarm.stop()
        if self._hanging_up is None:
            await self._end.make_certain()
        await self._resync.make_sure(is_due=rules.is_taken_over)
        await self._tools.wait(TOOLS_SECONDS)
        accepted_at = self._call.accepted_at
        last_effects, end = rules.ended(
            ended_at,
            was_over=self._end.was_over,
            was_new=accepted_at is not None and self._started_at - accepted_at <= timedelta(seconds=NEW_SECONDS),
            was_refused=socket_end is not None,
        )
        self._carry_out(last_effects)
        outcome = outcome_of(end)
        row = await self._end.tell(account_of(*outcome), ended_at)
        return await self._finish(rules, outcome, ended_at, row)

    async def leave(self) -> None:
        """Save what is not saved yet, quickly; from now on the switchboard listens, until the next holder does."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._saving.leave(), LAST_SAVE_SECONDS)

    async def stop(self) -> None:
        """Stop everything, the alarm included; the call is left alone."""
        await self._tasks.stop()

    async def _until_over(self) -> SocketEnd | None:
        """Listen until the call is over; ``None``: it was hung up, and the socket said no more."""
        listening: asyncio.Task[Any] | None = None
        if self._socket is not None and self._hanging_up is None:
            listening = self._tasks.start(self._socket.run())
            await asyncio.wait(
                {listening, self._began_hanging_up, self._tasks.failed}, return_when=asyncio.FIRST_COMPLETED
            )
        if self._hanging_up is not None:
            await asyncio.wait({self._hanging_up, self._tasks.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self._tasks.failed.done():
            self._tasks.failed.result()
        if self._hanging_up is not None and listening is not None:
            await wait_for_any({listening}, DRAIN_SECONDS, self._ports.sleep)
        return listening.result() if listening is not None and listening.done() else None

    async def _finish(
        self,
        rules: ConversationRules,
        outcome: tuple[Outcome, str],
        ended_at: datetime,
        row: SwitchboardCall | None,
    ) -> CallResult:
        opened = self._saving.conversation
        resumed = opened is not None and opened.generation > 1 and bool(opened.entries)
        if row is not None and row.ended_at is not None:
            ended_at = min(ended_at, row.ended_at)
        call, prices = self._call, self._ports.prices
        result = result_of(call, rules.summary, outcome, ended_at=ended_at, resumed=resumed, prices=prices)
        if row is not None:
            result = restated(result, kept_account(row) if row.is_over else intended(row, ended_at))
        # What saves progress must not do so at the same time.
        await self.stop()
        until = max(self._hangup_at, ended_at) + timedelta(seconds=FINISH_SECONDS)
        return await self._saving.finish(result, until)

    # -- what happens meanwhile ------------------------------------------------------------------------------------

    def _opened(self, conversation: Conversation) -> None:
        if self._rules is not None:
            self._rules.merge(conversation.entries, conversation.heard_until)
            self._carry_out(self._rules.opened_late(conversation.generation, self._ports.now()))
            if conversation.generation > 1:
                self._resync.begin()
        if not self._is_open.done():
            self._is_open.set_result(None)

    def _heard(self, event: SidebandEvent) -> None:
        if self._rules is not None:
            self._carry_out(self._rules.heard(event, self._ports.now()))

    def _broken(self) -> None:
        if self._rules is not None:
            self._carry_out(self._rules.detached(self._ports.now()))

    def _answered(self, tool_call_id: str, answer: ToolAnswer) -> None:
        if self._rules is not None:
            self._carry_out(self._rules.answered(tool_call_id, answer, self._ports.now()))

    def _caught_up(self, conversation: Conversation) -> None:
        if self._rules is not None:
            read = conversation.entries, conversation.heard_until
            self._carry_out(self._rules.caught_up(*read, self._ports.now()))

    def _wake(self) -> None:
        if self._rules is not None:
            self._carry_out(self._rules.woken(self._ports.now()))

    def _carry_out(self, wanted: Iterable[effects.Effect]) -> None:
        for effect in wanted:
            if isinstance(effect, effects.Keep):
                self._saving.add(effect.entry, at_once=effect.at_once)
            elif isinstance(effect, effects.Send) and self._socket is not None:
                self._socket.send(effect.command, effect.after)
            elif isinstance(effect, (effects.RunFunction, effects.CheckResult, effects.Refer)):
                self._tools.start(effect)
            elif isinstance(effect, effects.HangUp):
                self._hanging_up = self._tasks.start(self._hang_up(effect))
                self._began_hanging_up.set_result(None)
            elif isinstance(effect, effects.ResyncTools):
                self._resync.begin()
            elif isinstance(effect, effects.Report):
                self._ports.report(effect.line)
        self._alarm.set(self._rules.wakes_at() if self._rules is not None else None)

    async def _hang_up(self, effect: effects.HangUp) -> None:
        if effect.after is not None:
            await self._saving.is_saved(effect.after, NOTE_SECONDS)
        if self._socket is not None:
            self._socket.expect_end()
        await self._end.hang_up()
        if effect.why == EndReason.MAX_DURATION and not self._end.was_over:
            # At this moment the switchboard hangs up as well; it is to find the reason.
            await self._end.tell(account_of(Outcome.MAX_DURATION, EndReason.MAX_DURATION), self._ports.now())

    # -- the parts -------------------------------------------------------------------------------------------------

    def _new_rules(self) -> ConversationRules:
        call, opened = self._call, self._saving.conversation
        now = self._ports.now()
        is_new = call.accepted_at is None or now - call.accepted_at <= timedelta(seconds=NEW_SECONDS)
        return ConversationRules(
            self._plan,
            hangup_at=self._hangup_at,
            now=now,
            began_at=call.accepted_at,
            summary=Summary.of(opened.entries, opened.heard_until) if opened is not None else None,
            generation=opened.generation if opened is not None else 0,
            may_greet=opened is not None or is_new,
        )

    def _new_socket(self, rules: ConversationRules) -> LiveSocket:
        return LiveSocket(
            self._ports,
            self._call.call_id,
            on_event=self._heard,
            on_broken=self._broken,
            before=partial(self._saving.is_saved, seconds=NOTE_SECONDS),
            is_known=rules.summary.attachments > 0,
        )


class Tasks:
    """A group of tasks. The future ``failed`` gets the error of the first task that fails."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """
        Start a task.

        :param work: Its coroutine.
        """
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._over)
        return task

    async def stop(self) -> None:
        """Cancel the running tasks, and wait until they have ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.failed.cancel()

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)
            # Retrieved here, so that asyncio logs no warning if the future is not awaited.
            self.failed.exception()


class Alarm:
    """
    Calls back at a set time. It may fire too early, never too late, so that moving the time back costs nothing.

    :param ring: Called without arguments; it must check the time itself.
    :param now: Returns the current time, aware.
    :param sleep: Sleeps for a number of seconds.
    :param start: Starts a task.
    """

    def __init__(
        self,
        ring: Callable[[], None],
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[Any]],
    ) -> None:
        self._ring = ring
        self._now = now
        self._sleep = sleep
        self._start = start
        self._at: datetime | None = None
        self._task: asyncio.Task[Any] | None = None

    def set(self, at: datetime | None) -> None:
        """
        Fire at a time, or before.

        :param at: The time, aware; ``None``: it no longer needs to fire.
        """
        if at is None or (self._at is not None and self._at <= at):
            return
        self.stop()
        self._at = at
        self._task = self._start(self._wait(at))

    def stop(self) -> None:
        """Cancel the alarm."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._at = None, None

    async def _wait(self, at: datetime) -> None:
        while (seconds := (at - self._now()).total_seconds()) > 0:
            await self._sleep(seconds)
        # Reset first: the callback may set or stop the alarm.
        self._task, self._at = None, None
        self._ring()


class CallEnding:
    """
    Ends one call.

    :param ports: OpenAI, the switchboard and the clock.
    :param call_id: The call.
    :param hangup_at: When the switchboard ends it, aware.
    """

    def __init__(self, ports: CallPorts, call_id: str, hangup_at: datetime) -> None:
        self._ports = ports
        self._call_id = call_id
        self._hangup_at = hangup_at
        #: Whether OpenAI confirmed that the call is over. Only then may it be marked as ended, since no process watches
        #: an ended call.
        self.is_certain = False
        #: Whether it was certainly over before we hung up.
        self.was_over = False

    async def hang_up(self) -> None:
        """Hang up. Raises nothing; retries with pauses of 1 to 8 s until 30 s after ``hangup_at``."""
        until = max(self._hangup_at, self._ports.now()) + timedelta(seconds=HANG_UP_SECONDS)
        pause = HANG_UP_PAUSE_SECONDS
        while not await self._hang_up_once("cannot be hung up"):
            if self._ports.now() >= until:
                return
            await self._ports.sleep(pause)
            pause = min(pause * 2, LONGEST_HANG_UP_PAUSE_SECONDS)

    async def make_certain(self) -> None:
        """Hang up a call that seems to be over, without a retry; if that fails, the switchboard ends it at its time."""
        await self._hang_up_once("seems to be over, but OpenAI does not confirm it")

    async def tell(self, account: Account, ended_at: datetime) -> SwitchboardCall | None:
        """
        Report to the switchboard how the call ended, if it certainly did.

        :param account: The owner's account.
        :param ended_at: When it ended, aware.
        :return: The switchboard's row, which may hold the account of a stronger witness; ``None``: not known.
        """
        if self.is_certain:
            return await self._ports.ended(self._call_id, account, ended_at)
        try:
            return await self._ports.find(self._call_id)
        except SwitchboardError:
            return None

    async def _hang_up_once(self, trouble: str) -> bool:
        """Return whether there is nothing more to try."""
        try:
            hung_up = await self._ports.hang_up(self._call_id)
        except CallError as error:
            self._ports.report(f"Call {self._call_id} {trouble}; the switchboard ends it at its time: {error}")
            return not error.safe_to_retry
        self.is_certain, self.was_over = True, hung_up.gone and not hung_up.maybe_by_us
        return True
