"""
Who follows a feed of calls: a :class:`Waiter` is offered one call at a time, an :class:`Observer` only looks on.

Both hear in their own log when the switchboard cannot be reached.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from airflow_openai_realtime.calls.call import SwitchboardCall

if TYPE_CHECKING:
    from airflow_openai_realtime.inbound.feed import CallFeed

#: A listener's log hears of a switchboard that cannot be reached at most this often, in seconds.
REPORT_EVERY_SECONDS = 60.0


class Match(Protocol):
    """What a waiter looks for."""

    def matches(self, call: SwitchboardCall, /) -> bool:
        """
        Tell whether this call, on offer, is wanted.

        :param call: A call that rings, or that a standing order has answered.
        """

    def meets(self, call: SwitchboardCall, /) -> bool:
        """
        Tell whether a call that the claimant has already is the one that is asked for.

        A claimant is named by the place of its task, and another contact may stand there by now: a mapped task whose
        list was read again.

        :param call: A call that the claimant has.
        """


Report = Callable[[str], None]


class Listener:
    """
    One party that follows a feed.

    :param feed: The feed.
    :param report: Called in the listener's own task with a line for its log.
    """

    def __init__(self, feed: CallFeed, report: Report) -> None:
        self._feed = feed
        self._report = report
        self._changed = asyncio.Event()
        self._last_report: float | None = None
        self._reported: str | None = None

    def wake(self) -> None:
        """Make the listener look at what has changed."""
        self._changed.set()

    def _tell(self) -> None:
        trouble, now = self._feed.trouble, self._feed.monotonic()
        if trouble is not None:
            if self._last_report is None or now - self._last_report >= REPORT_EVERY_SECONDS:
                self._last_report, self._reported = now, trouble
                self._report(f"The switchboard cannot be reached, trying on: {trouble}")
        elif self._reported is not None:
            self._reported = None
            self._report("The switchboard can be reached again.")


class Waiter(Listener):
    """
    One party that waits for a call; made by :meth:`CallFeed.waiter`.

    :param feed: The feed.
    :param match: What it looks for: ringing calls, or with ``takes_answered`` those that standing orders have answered.
    :param claimant: Stable name of who waits.
    :param report: Called in the waiter's own task with a line for its log.
    """

    def __init__(self, feed: CallFeed, match: Match, claimant: str, report: Report) -> None:
        super().__init__(feed, report)
        self.match = match
        self.claimant = claimant
        self.offer: SwitchboardCall | None = None
        #: Whether it looks for calls that a standing order has answered, not for those that ring.
        self.takes_answered: bool = getattr(match, "takes_answered", False)
        self._was_given_one = False

    async def next_call(self) -> SwitchboardCall:
        """
        Wait for a call that matches, or one that the claimant has already.

        Asking again says that the call got before went to somebody else.

        :raises SwitchboardRefused: The switchboard refused the token; waiting on cannot help.
        """
        if self._was_given_one:
            self._feed.refuse(self)
        while True:
            self._changed.clear()
            self._tell()
            if self._feed.failure is not None:
                raise self._feed.failure
            if self.offer is not None:
                self._was_given_one = True
                return self.offer
            await self._changed.wait()


class Observer(Listener):
    """
    One party that looks on; made by :meth:`CallFeed.observer`.

    :param feed: The feed.
    :param report: Called in the observer's own task with a line for its log.
    """

    def __init__(self, feed: CallFeed, report: Report) -> None:
        super().__init__(feed, report)
        self._changed.set()

    async def ringing(self, seconds: float) -> tuple[SwitchboardCall, ...] | None:
        """
        Return the calls that ring now, oldest first: at once the first time, later when something has changed.

        :param seconds: How long to wait for a change, at most, in seconds.
        :return: ``None`` while the switchboard cannot be reached: nobody knows what rings.
        :raises SwitchboardRefused: The switchboard refused the token; looking on cannot help.
        """
        await wait_at_most(self._changed, seconds)
        self._changed.clear()
        self._tell()
        if self._feed.failure is not None:
            raise self._feed.failure
        return None if self._feed.trouble is not None else self._feed.ringing


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """
    Wait until an event is set, and set it when the time is over.

    Not ``asyncio.wait_for``: before Python 3.12 that can swallow a cancellation, and a trigger would run on for ever.

    :param event: Whoever waits for it clears it afterwards.
    :param seconds: How long to wait, in seconds; endless is allowed.
    """
    timer = asyncio.get_running_loop().call_later(max(seconds, 0), event.set) if seconds < math.inf else None
    try:
        await event.wait()
    finally:
        if timer is not None:
            timer.cancel()
