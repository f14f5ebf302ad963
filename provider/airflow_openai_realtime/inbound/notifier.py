"""
Ringing for calls that nobody has yet, again and again.

Whoever is told of a call once may lose it: a process dies before the news is stored, or Airflow keeps an event until
another one comes. So nothing here counts as told. A call is rung for when it comes, and again after some seconds, as
long as the switchboard says that it rings and nobody has claimed it. The claim is what ends the ringing.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Iterable

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.inbound.feed import CallFeed, Report

#: After how long a call that still is unclaimed is rung for again, in seconds.
RING_AGAIN_SECONDS = 15.0
#: The least that can be chosen, in seconds: Airflow takes about that long to store an event.
LEAST_RING_AGAIN_SECONDS = 1.0


class Notifier:
    """
    When to ring for which call.

    :param ring_again_seconds: Pause between two rings for the same call, in seconds, above 0.
    """

    def __init__(self, ring_again_seconds: float = RING_AGAIN_SECONDS) -> None:
        self._ring_again_seconds = ring_again_seconds
        self._next: dict[str, float] = {}

    def due(self, ringing: Iterable[SwitchboardCall], now: float) -> list[SwitchboardCall]:
        """
        Return the calls to ring for now; they are taken as rung for.

        :param ringing: All calls that ring and are unclaimed.
        :param now: The time, in seconds that only grow.
        """
        calls = {call.call_id: call for call in ringing}
        # A call that is missing is forgotten only after its time: when the feed is opened anew, it is missing at first.
        self._next = {call_id: at for call_id, at in self._next.items() if call_id in calls or at > now}
        due = [call for call in calls.values() if self._next.get(call.call_id, now) <= now]
        for call in due:
            self._next[call.call_id] = now + self._ring_again_seconds
        return due

    def ring_soon(self, call_id: str, now: float) -> None:
        """
        Ring again in a second at the latest, if the call still rings: the last ring was not heard.

        :param call_id: OpenAI's id of the call.
        :param now: The time by the clock of the loop, in seconds.
        """
        if call_id in self._next:
            self._next[call_id] = min(self._next[call_id], now + LEAST_RING_AGAIN_SECONDS)

    def pause(self, now: float) -> float:
        """
        Return after how many seconds to look again: at most one while anything rings, endless while nothing does.

        :param now: The time by the clock of the loop, in seconds.
        """
        if not self._next:
            return math.inf
        # Another ring may be asked for meanwhile, by ring_soon.
        return min(max(0.0, min(self._next.values()) - now), LEAST_RING_AGAIN_SECONDS)


async def rings(
    feed: CallFeed, notifier: Notifier, report: Report, *, seconds: float
) -> AsyncGenerator[SwitchboardCall, None]:
    """
    Go through the calls to ring for, as they come.

    :param feed: Feed of the line; all that listen in a process share one.
    :param notifier: Says when; what it has rung for before is not rung for at once.
    :param report: Called with lines for the log of who listens.
    :param seconds: After how long to end, in seconds.
    :raises SwitchboardRefused: The switchboard refused the token.
    """
    until = feed.monotonic() + seconds
    with feed.observer(report) as observer:
        pause = 0.0
        while (now := feed.monotonic()) < until:
            ringing = await observer.ringing(min(pause, until - now))
            if ringing is None:
                # Nobody knows what rings, and nobody could take a call. The feed wakes its listeners when that ends.
                pause = math.inf
                continue
            for call in notifier.due(ringing, feed.monotonic()):
                yield call
            pause = notifier.pause(feed.monotonic())
