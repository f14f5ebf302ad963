"""
One long poll for all tasks of this process that wait for calls of a line.

A :class:`CallFeed` follows the switchboard's feed and keeps the calls that are open now. A task that looks for a call
registers a :class:`Waiter`; matching is done here, so 500 waiters cost one request at a time. A ringing call is offered
to one waiter at a time, the one that has waited longest: the claim at the switchboard decides, and a hundred local
claims for one call would only delay the one that counts. A call that a waiter owns already (the waiter was moved here
from another process) is offered to it first. Calls that a standing order has answered are offered in the same way to
waiters that look for those.

An :class:`Observer` only sees the ringing calls, and takes no offer away from waiters.

When the switchboard cannot be reached, the feed retries, and all waiters and observers report that in their own logs.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from airflow_openai_realtime.api.network import SharedResources
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.matching import Match
from airflow_openai_realtime.calls.order import order_of_owner
from airflow_openai_realtime.exceptions import OpenAIRealtimeError, SwitchboardRefused
from airflow_openai_realtime.states import OPEN_CALL_STATES, CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls

#: How long one long poll may last, in seconds; Airflow's API server ends idle requests after its worker time-out.
POLL_SECONDS = 20.0
#: Pauses after failed polls, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
#: How long the next poll is held back when a call was offered, in seconds: its waiter then sends its request
#: over the open connection that the poll has just left, and the poll opens another one.
HEAD_START_SECONDS = 0.002
#: Most calls to read at once; the switchboard's limit.
PAGE_LIMIT = 1000
#: A log hears of a switchboard that cannot be reached at most this often, in seconds.
REPORT_EVERY_SECONDS = 60.0

Report = Callable[[str], None]
"""Takes a line for the log of who waits."""


class CallFeed:
    """
    The open calls of one line, followed by one long poll.

    :param client: Client of the line at its switchboard; claims of the waiters go through it too.
    :param sleep: Waits between failed polls; for tests.
    :param monotonic: Seconds that only grow; for tests.
    """

    def __init__(
        self,
        client: SwitchboardClient,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.monotonic = monotonic
        #: Why the last poll failed; ``None`` while polls succeed.
        self.trouble: str | None = None
        #: Set when going on makes no sense; every listener raises it.
        self.failure: OpenAIRealtimeError | None = None
        self._sleep = sleep
        self._ringing: dict[str, SwitchboardCall] = {}
        self._answered: dict[str, SwitchboardCall] = {}  # by standing orders, and not taken over
        self._taken: dict[str, dict[str, SwitchboardCall]] = {}  # by owner, then by call id
        self._taker_of: dict[str, str] = {}
        self._offered: dict[str, Waiter] = {}
        self._waiters: dict[Waiter, None] = {}
        self._observers: dict[Observer, None] = {}
        self._poll: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def waiter(self, match: Match, owner: str, report: Report) -> AsyncIterator[Waiter]:
        """
        Wait for calls. The first waiter starts the poll.

        Leaving with an exception gives a call that was on offer to the next waiter; leaving without one says that it
        was taken.

        :param match: What is looked for.
        :param owner: Stable name of who waits.
        :param report: Called in the waiter's task with lines for its log.
        """
        waiter = Waiter(self, match, owner, report)
        self._waiters[waiter] = None
        self._start()
        self._match_all()
        try:
            yield waiter
        except BaseException:
            self._leave(waiter, taken=False)
            raise
        else:
            self._leave(waiter, taken=True)

    @contextmanager
    def observer(self, report: Report) -> Iterator[Observer]:
        """
        Look on, without taking offers from those who wait. The first listener starts the poll.

        :param report: Called in the observer's task with lines for its log.
        """
        observer = Observer(self, report)
        self._observers[observer] = None
        self._start()
        try:
            yield observer
        finally:
            del self._observers[observer]

    @property
    def ringing(self) -> tuple[SwitchboardCall, ...]:
        """The calls that ring, as far as is known here, oldest first."""
        return tuple(self._ringing.values())

    def refuse(self, waiter: Waiter) -> None:
        """
        Forget the call on offer to this waiter: it cannot have it. Then offer it another.

        :param waiter: The waiter that cannot have its call.
        """
        if waiter.offer is not None:
            # Else an own call would be offered again at once, until the switchboard says that it is over.
            self._forget_taken(waiter.offer.call_id)
        self._settle(waiter, forget=True)
        self._match_all()

    async def close(self) -> None:
        """End the poll."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.wait([self._poll])

    # -- the poll -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._poll is None:
            # An empty context: the poll serves everybody, so its log lines must not carry the first listener's task.
            self._poll = contextvars.Context().run(asyncio.get_running_loop().create_task, self._follow())

    async def _follow(self) -> None:
        cursor: str | None = None
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                cursor = await self._read(cursor)
            except SwitchboardRefused as error:
                if cursor is None:
                    self.failure = error
                    self._wake_all()
                    return
                cursor = None
            except Exception as error:
                # A feed that ended on an error would leave all waiters without calls, so it goes on after any error.
                self.trouble = f"{type(error).__name__}: {error}"
                self._wake_all()
                # After a break the state is read anew: a switchboard that restarted may not know the cursor, and
                # calls that have stopped ringing meanwhile are useless.
                cursor = None
                await self._sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                pause = FIRST_PAUSE_SECONDS

    async def _read(self, cursor: str | None) -> str | None:
        if cursor is None:
            page = await self.client.asend(list_calls(state=",".join(OPEN_CALL_STATES), limit=PAGE_LIMIT))
            self._ringing.clear()
            self._answered.clear()
            self._taken.clear()
            self._taker_of.clear()
        else:
            page = await self.client.asend(list_calls(after=cursor, wait_seconds=POLL_SECONDS, limit=PAGE_LIMIT))
        if self.trouble is not None:
            self.trouble = None
            self._wake_all()
        for call in page.calls:
            self._note(call)
        offered_before = len(self._offered)
        self._match_all()
        for observer in self._observers:
            observer.wake()
        if len(self._offered) > offered_before:
            await self._sleep(HEAD_START_SECONDS)
        return page.cursor

    def _note(self, call: SwitchboardCall) -> None:
        """Keep what is new about a call."""
        self._forget_taken(call.call_id)
        if call.state == CallState.RINGING:
            # Perhaps again: a claim that came to nothing was given back.
            self._ringing[call.call_id] = call
            return
        self._ringing.pop(call.call_id, None)
        self._answered.pop(call.call_id, None)
        if order_of_owner(call.claimed_by) is not None:
            if call.state == CallState.ACCEPTED:
                self._answered[call.call_id] = call
        elif call.claimed_by is not None and call.state in OPEN_CALL_STATES:
            self._taken.setdefault(call.claimed_by, {})[call.call_id] = call
            self._taker_of[call.call_id] = call.claimed_by

    def _forget_taken(self, call_id: str) -> None:
        owner = self._taker_of.pop(call_id, None)
        if owner is not None:
            del self._taken[owner][call_id]
            if not self._taken[owner]:
                del self._taken[owner]

    # -- offers ---------------------------------------------------------------------------------------------------

    def _match_all(self) -> None:
        idle = [waiter for waiter in self._waiters if waiter.offer is None]
        for waiter in list(idle):
            own = newest_own(self._taken.get(waiter.owner, {}).values(), waiter.match)
            if own is not None:
                self._offer(own, waiter, idle)
        self._match(self._ringing, [waiter for waiter in idle if not waiter.takes_answered])
        self._match(self._answered, [waiter for waiter in idle if waiter.takes_answered])

    def _match(self, calls: Mapping[str, SwitchboardCall], idle: list[Waiter]) -> None:
        for call in calls.values():
            if not idle:
                return
            if call.call_id not in self._offered:
                wanting = next((waiter for waiter in idle if waiter.match.matches(call)), None)
                if wanting is not None:
                    self._offer(call, wanting, idle)

    def _offer(self, call: SwitchboardCall, waiter: Waiter, idle: list[Waiter]) -> None:
        self._offered[call.call_id] = waiter
        waiter.offer = call
        waiter.wake()
        idle.remove(waiter)

    def _settle(self, waiter: Waiter, *, forget: bool) -> None:
        """Withdraw a waiter's offer, and forget the call if no waiter here can get it."""
        if waiter.offer is None:
            return
        call_id = waiter.offer.call_id
        waiter.offer = None
        self._offered.pop(call_id, None)
        if forget:
            (self._answered if waiter.takes_answered else self._ringing).pop(call_id, None)

    def _leave(self, waiter: Waiter, *, taken: bool) -> None:
        del self._waiters[waiter]
        self._settle(waiter, forget=taken)
        self._match_all()

    def _wake_all(self) -> None:
        for each in (*self._waiters, *self._observers):
            each.wake()


class Observer:
    """
    A party that follows a feed and sees what rings; made by :meth:`CallFeed.observer`.

    :param feed: The feed.
    :param report: Called in the party's own task with a line for its log.
    """

    def __init__(self, feed: CallFeed, report: Report) -> None:
        self._feed = feed
        self._report = report
        self._changed = asyncio.Event()
        self._changed.set()
        self._last_report: float | None = None
        self._reported: str | None = None

    def wake(self) -> None:
        """Let it look at what has changed."""
        self._changed.set()

    async def ringing(self, seconds: float) -> tuple[SwitchboardCall, ...] | None:
        """
        Return the calls that ring now, oldest first: at once the first time, later when something has changed.

        :param seconds: How long to wait for a change, at most, in seconds.
        :return: ``None`` while the switchboard cannot be reached, since the ringing calls are not known then.
        :raises SwitchboardRefused: The switchboard refused the token; waiting longer cannot help.
        """
        await wait_at_most(self._changed, seconds)
        self._changed.clear()
        self._tell()
        if self._feed.failure is not None:
            raise self._feed.failure
        return None if self._feed.trouble is not None else self._feed.ringing

    def _tell(self) -> None:
        trouble, now = self._feed.trouble, self._feed.monotonic()
        if trouble is not None:
            if self._last_report is None or now - self._last_report >= REPORT_EVERY_SECONDS:
                self._last_report, self._reported = now, trouble
                self._report(f"The switchboard cannot be reached, trying on: {trouble}")
        elif self._reported is not None:
            self._reported = None
            self._report("The switchboard can be reached again.")


class Waiter(Observer):
    """
    One party that waits for a call; made by :meth:`CallFeed.waiter`.

    :param feed: The feed.
    :param match: What it looks for: ringing calls, or with ``takes_answered`` those that standing orders have answered.
    :param owner: Stable name of who waits.
    :param report: Called in the waiter's own task with a line for its log.
    """

    def __init__(self, feed: CallFeed, match: Match, owner: str, report: Report) -> None:
        super().__init__(feed, report)
        self.match = match
        self.owner = owner
        self.offer: SwitchboardCall | None = None
        #: Whether it looks for calls that a standing order has answered, not for those that ring.
        self.takes_answered = match.takes_answered
        self._was_given_one = False

    async def next_call(self) -> SwitchboardCall:
        """
        Wait for a call that matches, or one that the owner has already.

        A second request means that another owner got the call that was returned before.

        :raises SwitchboardRefused: The switchboard refused the token; waiting longer cannot help.
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


def newest_own(calls: Iterable[SwitchboardCall], match: Match) -> SwitchboardCall | None:
    """
    Return the newest live call of an owner that matches.

    :param calls: The owner's calls.
    :param match: What is asked for now. Calls of another contact, who stood in the task's place before, do not count.
    """
    alive = [call for call in calls if call.state in (CallState.CLAIMED, CallState.ACCEPTED) and match.meets(call)]
    return max(alive, key=lambda call: call.received_at, default=None)


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """
    Wait until an event is set, and set it when the time is over.

    Not ``asyncio.wait_for``: before Python 3.12 that can swallow a cancellation, and a trigger would never end.

    :param event: The event; the caller clears it afterwards.
    :param seconds: Longest wait in seconds; infinity is allowed.
    """
    timer = asyncio.get_running_loop().call_later(max(seconds, 0), event.set) if seconds < math.inf else None
    try:
        await event.wait()
    finally:
        if timer is not None:
            timer.cancel()


_FEEDS: SharedResources[CallFeed] = SharedResources(CallFeed.close)


@asynccontextmanager
async def shared_feed(address: SwitchboardAddress) -> AsyncIterator[CallFeed]:
    """
    Use the feed of a line; one long poll serves all that use it in this event loop.

    :param address: The line at its switchboard.
    """
    client = SwitchboardClient.at(address)
    async with client, _FEEDS.use(address, lambda: CallFeed(client)) as feed:
        yield feed
