"""
Notify of ringing calls without an owner, repeatedly.

A single notification may be lost: a process dies before the event is stored, or Airflow holds an event until another
one comes. Notifications are therefore never taken as delivered. The notifier fires for a call when it comes in, and
again after some seconds, as long as the switchboard reports it as ringing and unclaimed. The claim ends this.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Iterable

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.inbound.feed import CallFeed, Report

#: Seconds between two notifications for a call that is still unclaimed.
RING_AGAIN_SECONDS = 15.0
#: Smallest allowed pause in seconds: Airflow takes about that long to store an event.
LEAST_RING_AGAIN_SECONDS = 1.0


class Notifier:
    """
    Decides when to fire for which call.

    :param ring_again_seconds: Pause between two notifications for the same call, in seconds, above 0.
    """

    def __init__(self, ring_again_seconds: float = RING_AGAIN_SECONDS) -> None:
        self._ring_again_seconds = ring_again_seconds
        self._next: dict[str, float] = {}

    def due(self, ringing: Iterable[SwitchboardCall], now: float) -> list[SwitchboardCall]:
        """
        Return the calls to fire for now, and schedule their next notification.

        :param ringing: All ringing, unclaimed calls.
        :param now: Monotonic time in seconds.
        """
        calls = {call.call_id: call for call in ringing}
        # A missing call is forgotten only after its time: a newly opened feed does not have it at first.
        self._next = {call_id: at for call_id, at in self._next.items() if call_id in calls or at > now}
        due = [call for call in calls.values() if self._next.get(call.call_id, now) <= now]
        for call in due:
            self._next[call.call_id] = now + self._ring_again_seconds
        return due

    def ring_soon(self, call_id: str, now: float) -> None:
        """
        Fire again within a second if the call still rings, since the last event was lost.

        :param call_id: OpenAI's id of the call.
        :param now: Monotonic time in seconds.
        """
        if call_id in self._next:
            self._next[call_id] = min(self._next[call_id], now + LEAST_RING_AGAIN_SECONDS)

    def pause(self, now: float) -> float:
        """
        Return the seconds until the next check: at most one while a call rings, infinite while none does.

        :param now: Monotonic time in seconds.
        """
        if not self._next:
            return math.inf
        # ring_soon may move a notification forward meanwhile.
        return min(max(0.0, min(self._next.values()) - now), LEAST_RING_AGAIN_SECONDS)


async def rings(
    feed: CallFeed, notifier: Notifier, report: Report, *, seconds: float
) -> AsyncGenerator[SwitchboardCall, None]:
    """
    Yield the calls to fire for, as they come.

    :param feed: Feed of the line; all listeners of a process share one.
    :param notifier: Decides when to fire; it does not fire at once for calls that it fired for before.
    :param report: Called with lines for the listener's log.
    :param seconds: Seconds after which to end.
    :raises SwitchboardRefused: The switchboard refused the token.
    """
    until = feed.monotonic() + seconds
    with feed.observer(report) as observer:
        pause = 0.0
        while (now := feed.monotonic()) < until:
            ringing = await observer.ringing(min(pause, until - now))
            if ringing is None:
                # The ringing calls are not known, and none could be claimed. The feed wakes its listeners afterwards.
                pause = math.inf
                continue
            for call in notifier.due(ringing, feed.monotonic()):
                yield call
            pause = notifier.pause(feed.monotonic())
