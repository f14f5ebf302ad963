"""
Watching an accepted call until it ends, or ending it when its time is over.

OpenAI has no "call ended" webhook: the end shows on the call's sideband socket. The watch holds that socket; when it
breaks it attaches again, and "no such call" then means that the call is over. At ``hangup_at`` it hangs up itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from airflow_openai_realtime.api.client import HangUpResult
from airflow_openai_realtime.exceptions import CallError, CallGone, SwitchboardError
from airflow_openai_realtime.switchboard.records import SwitchboardCall

ENDED = "ended"
MAX_DURATION = "max_duration"
GONE = "gone"

#: Pauses before the socket is attached again, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
#: How long "no such call" is doubted, in seconds: just after the accept the socket may not be ready yet; later it may
#: be a slip.
FIRST_ATTACH_SECONDS = 3.0
ATTACH_AGAIN_SECONDS = 1.0
#: How much before ``hangup_at`` the watch hangs up, in seconds: so that the switchboard, which does so at that moment,
#: finds the call ended and the reason written.
LEAD_SECONDS = 0.5
#: This close to ``hangup_at`` (in seconds), the end of a call may be the switchboard's doing; it is asked again.
REAPER_MARGIN_SECONDS = 5.0
#: How often, and with what pause, the switchboard is then asked for the reason.
REASON_ATTEMPTS = 4
REASON_PAUSE_SECONDS = 0.5


class Sideband(Protocol):
    """The open socket of a call."""

    @property
    def clean_end(self) -> bool:
        """Whether the socket was closed in the normal way, as it is when the call is over."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the call's events until the socket closes."""


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class WatchPorts:
    """
    What a watch needs of the world.

    :param attach: Opens the sideband socket of a call; raises ``CallGone`` when there is no such call, still so after
        the seconds given.
    :param hang_up: Ends a call; ending one that is over is success.
    :param find: The switchboard's row of a call; None when it has none or cannot be asked.
    :param ended: Tells the switchboard why a call ended; must not raise when it cannot be reached.
    :param report: Called with lines for the log of who watches.
    :param now: The time, aware.
    :param sleep: Waits, in seconds.
    """

    attach: Callable[[str, float], AbstractAsyncContextManager[Sideband]]
    hang_up: Callable[[str], Awaitable[HangUpResult]]
    find: Callable[[str], Awaitable[SwitchboardCall | None]]
    ended: Callable[[str, str], Awaitable[None]]
    report: Callable[[str], None]
    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True)
class CallEnd:
    """
    How a watched call ended.

    :param call_id: The call.
    :param outcome: ``ended`` (by the caller, the model's side or somebody's hang-up), ``max_duration`` (its time was
        over) or ``gone`` (it was over before the watch could attach).
    :param ended_at: When the watch knew, aware, UTC.
    """

    call_id: str
    outcome: str
    ended_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {"call_id": self.call_id, "outcome": self.outcome, "ended_at": self.ended_at.isoformat()}


async def watch_call(ports: WatchPorts, call_id: str, hangup_at: datetime) -> CallEnd:
    """
    Watch a call until it is over; hang it up at ``hangup_at``.

    The time is absolute, so a watch that starts again elsewhere goes on where the first stopped.

    :param ports: The call's socket, OpenAI, the switchboard and the clock.
    :param call_id: The call to watch.
    :param hangup_at: When to hang up, aware.
    :raises AuthenticationError: The key was refused.
    """
    seconds = (hangup_at - ports.now()).total_seconds() - LEAD_SECONDS
    try:
        outcome = await asyncio.wait_for(_until_over(ports, call_id), timeout=max(seconds, 0))
    except asyncio.TimeoutError:
        hung_up = await ports.hang_up(call_id)
        # Over before: by the reaper, for the same reason, or by the caller, unnoticed while no socket was attached.
        by_deadline = not hung_up.gone or await _ended_by_reaper(ports, call_id, hangup_at)
        outcome = MAX_DURATION if by_deadline else ENDED
        await ports.ended(call_id, outcome)
    else:
        if await _ended_by_reaper(ports, call_id, hangup_at):
            outcome = MAX_DURATION
        elif await _certainly_over(ports, call_id):
            await ports.ended(call_id, outcome)
    return CallEnd(call_id=call_id, outcome=outcome, ended_at=ports.now())


async def _until_over(ports: WatchPorts, call_id: str) -> str:
    attached = False
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            doubt_seconds = ATTACH_AGAIN_SECONDS if attached else FIRST_ATTACH_SECONDS
            async with ports.attach(call_id, doubt_seconds) as sideband:
                attached = True
                pause = FIRST_PAUSE_SECONDS
                async for _event in sideband:
                    pass
                if sideband.clean_end:
                    return ENDED
            ports.report("The socket of the call broke, attaching again.")
        except CallGone:
            return ENDED if attached else GONE
        except CallError as error:
            if not error.safe_to_retry:
                raise
            ports.report(f"The socket of the call cannot be opened, trying on: {error}")
        await ports.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _certainly_over(ports: WatchPorts, call_id: str) -> bool:
    """
    Hang up a call that seems to be over. Once it is marked as ended nobody looks after it, so this must be certain.

    A call that cannot be hung up now is left to the switchboard, which does it at its time.
    """
    try:
        await ports.hang_up(call_id)
    except CallError as error:
        ports.report(f"Call {call_id} seems to be over, but OpenAI does not say so: {error}")
        return False
    return True


async def _ended_by_reaper(ports: WatchPorts, call_id: str, hangup_at: datetime) -> bool:
    """Tell whether the switchboard hung up because the time was over: it and this watch act at the same moment."""
    near_deadline = (hangup_at - ports.now()).total_seconds() <= REAPER_MARGIN_SECONDS
    for attempt in range(REASON_ATTEMPTS if near_deadline else 1):
        if attempt:
            # The reaper hangs up first and writes the reason after.
            await ports.sleep(REASON_PAUSE_SECONDS)
        try:
            row = await ports.find(call_id)
        except SwitchboardError:
            row = None
        if row is not None and row.is_over:
            return row.end_reason == MAX_DURATION
    return False
