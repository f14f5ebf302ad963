from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls.call import CallPage, SwitchboardCall
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.matching import CallMatch, Match
from airflow_openai_realtime.exceptions import SwitchboardRefused, SwitchboardUnreachable
from airflow_openai_realtime.inbound.feed import HEAD_START_SECONDS, CallFeed, shared_feed
from airflow_openai_realtime.inbound.taking_over import AnsweredMatch

START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


def call(call_id: str, state: str = "ringing", *, to: str = "+1", claimed_by: str | None = None) -> SwitchboardCall:
    at = START + timedelta(seconds=int(call_id.rpartition("_")[2]))
    return SwitchboardCall(
        call_id=call_id,
        line="l",
        state=state,
        received_at=at,
        expires_at=at + timedelta(minutes=1),
        to_number=to,
        claimed_by=claimed_by,
    )


class Switchboard:
    """Answers polls with what a test puts in: pages, and errors."""

    def __init__(self, *now: SwitchboardCall) -> None:
        self.now = list(now)
        self.changes: asyncio.Queue[list[SwitchboardCall] | Exception] = asyncio.Queue()
        self.asked: list[str | None] = []
        self.at_once = 0
        self.most_at_once = 0
        self.failing: Exception | None = None

    async def asend(self, request: Request[CallPage]) -> CallPage:
        assert request.operation == "list_calls"
        after = None if "after" not in request.params else str(request.params["after"])
        self.asked.append(after)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.failing is not None:
                raise self.failing
            if after is None:
                return CallPage(tuple(self.now), "1")
            change = await self.changes.get()
            if isinstance(change, Exception):
                raise change
            return CallPage(tuple(change), "2")
        finally:
            self.at_once -= 1


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in this very loop, and soon
        await asyncio.sleep(0)


async def _no_pause(_: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def feed_of(switchboard: Switchboard, **kwargs: Any) -> Any:
    feed = CallFeed(switchboard, **{"sleep": _no_pause, **kwargs})  # type: ignore[arg-type]
    try:
        yield feed
    finally:
        await feed.close()
        assert switchboard.at_once == 0


def ignore(_: str) -> None:
    pass


async def got(feed: CallFeed, owner: str = "me", match: Match | None = None) -> str:
    async with feed.waiter(match or CallMatch(), owner, ignore) as waiter:
        return (await asyncio.wait_for(waiter.next_call(), 30)).call_id


async def test_a_call_that_rings_already_is_offered() -> None:
    async with feed_of(Switchboard(call("rtc_1"))) as feed:
        assert await got(feed) == "rtc_1"


async def test_a_call_that_comes_later_is_offered() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed:
        waiting = asyncio.create_task(got(feed))
        await asyncio.sleep(0)
        switchboard.changes.put_nowait([call("rtc_2")])
        assert await waiting == "rtc_2"


async def test_a_call_that_began_to_ring_while_nobody_wanted_it_is_offered_to_who_comes_later() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed, feed.waiter(CallMatch(to="+9"), "other", ignore):
        switchboard.changes.put_nowait([call("rtc_1", to="+1")])
        await until(lambda: "rtc_1" in feed._ringing)
        assert await got(feed, match=CallMatch(to="+1")) == "rtc_1"


async def test_a_waiter_that_comes_after_the_call_began_to_ring_is_offered_it() -> None:
    async with feed_of(Switchboard(call("rtc_1"))) as feed, feed.waiter(CallMatch(to="+9"), "other", ignore):
        await until(lambda: "rtc_1" in feed._ringing)
        assert await got(feed) == "rtc_1"


async def test_only_what_matches_is_offered() -> None:
    async with feed_of(Switchboard(call("rtc_1", to="+1"), call("rtc_2", to="+2"))) as feed:
        assert await got(feed, match=CallMatch(to="+2")) == "rtc_2"


async def test_however_many_wait_one_poll_serves_them() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed:
        waiting = [asyncio.create_task(got(feed, f"task{number}")) for number in range(500)]
        await until(lambda: len(switchboard.asked) == 2)
        switchboard.changes.put_nowait([call(f"rtc_{number}") for number in range(500)])
        calls = await asyncio.gather(*waiting)
    assert len(set(calls)) == 500
    assert switchboard.most_at_once == 1
    assert len(switchboard.asked) <= 3


async def test_a_call_is_offered_to_one_waiter_the_one_that_waits_longest() -> None:
    switchboard = Switchboard()
    async with (
        feed_of(switchboard) as feed,
        feed.waiter(CallMatch(), "first", ignore) as first,
        feed.waiter(CallMatch(), "second", ignore) as second,
    ):
        switchboard.changes.put_nowait([call("rtc_1")])
        assert (await first.next_call()).call_id == "rtc_1"
        assert second.offer is None


async def test_asking_again_says_that_the_call_went_to_somebody_else() -> None:
    async with feed_of(Switchboard(call("rtc_1"), call("rtc_2"))) as feed, feed.waiter(CallMatch(), "me", ignore) as me:
        assert (await me.next_call()).call_id == "rtc_1"
        assert (await me.next_call()).call_id == "rtc_2"


async def test_a_waiter_that_is_cancelled_leaves_its_call_to_the_next() -> None:
    async with feed_of(Switchboard(call("rtc_1"))) as feed:
        held = asyncio.Event()

        async def hold() -> None:
            async with feed.waiter(CallMatch(), "first", ignore) as waiter:
                await waiter.next_call()
                held.set()
                await asyncio.Event().wait()

        holding = asyncio.create_task(hold())
        await held.wait()
        waiting = asyncio.create_task(got(feed, "second"))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        holding.cancel()
        assert await waiting == "rtc_1"


def answered(call_id: str, order: str = "day") -> SwitchboardCall:
    return call(call_id, "accepted", claimed_by=f"order:{order}")


DAY = AnsweredMatch("day", CallMatch())


async def test_what_an_order_has_answered_is_offered_to_who_looks_for_it_and_to_nobody_else() -> None:
    switchboard = Switchboard(call("rtc_1"), answered("rtc_2", "night"), answered("rtc_3"))
    async with feed_of(switchboard) as feed:
        assert await got(feed, "claimer", match=DAY) == "rtc_3"
        assert await got(feed, "claimer") == "rtc_1"
        async with feed.waiter(DAY, "late", ignore) as late, feed.waiter(CallMatch(), "claimer", ignore) as claimer:
            switchboard.changes.put_nowait([answered("rtc_4")])
            assert (await late.next_call()).call_id == "rtc_4"
            assert claimer.offer is None


async def test_an_answered_call_that_somebody_has_taken_over_is_not_offered() -> None:
    switchboard = Switchboard(answered("rtc_1"), answered("rtc_2"))
    async with feed_of(switchboard) as feed, feed.waiter(CallMatch(to="+9"), "other", ignore):
        switchboard.changes.put_nowait([call("rtc_1", "accepted", claimed_by="task"), answered("rtc_3")])
        await until(switchboard.changes.empty)
        assert await got(feed, match=DAY) == "rtc_2"


async def test_a_call_that_an_order_snatched_from_a_claimer_goes_to_who_takes_it_over() -> None:
    """The claimer has it on offer, and lets go of it only after the order has answered it."""
    switchboard = Switchboard(call("rtc_1"))
    async with feed_of(switchboard) as feed, feed.waiter(CallMatch(), "claimer", ignore) as claimer:
        assert (await claimer.next_call()).call_id == "rtc_1"
        async with feed.waiter(DAY, "successor", ignore) as successor:
            switchboard.changes.put_nowait([answered("rtc_1")])
            await until(switchboard.changes.empty)
            waiting_on = asyncio.create_task(claimer.next_call())
            assert (await asyncio.wait_for(successor.next_call(), 30)).call_id == "rtc_1"
            waiting_on.cancel()
            await asyncio.wait([waiting_on])


async def test_a_call_that_rings_no_more_is_not_offered() -> None:
    switchboard = Switchboard(call("rtc_1"))
    async with feed_of(switchboard) as feed, feed.waiter(CallMatch(to="+9"), "other", ignore):
        switchboard.changes.put_nowait([call("rtc_1", "missed")])
        switchboard.changes.put_nowait([call("rtc_2")])
        await until(switchboard.changes.empty)
        assert await got(feed) == "rtc_2"


async def test_a_call_that_the_owner_has_already_comes_first() -> None:
    mine = call("rtc_1", "claimed", claimed_by="me")
    async with feed_of(Switchboard(mine, call("rtc_2"))) as feed:
        assert await got(feed) == "rtc_1"


async def test_a_claim_that_shows_up_later_is_found_too() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed:
        waiting = asyncio.create_task(got(feed))
        await asyncio.sleep(0)
        switchboard.changes.put_nowait([call("rtc_1", "accepted", claimed_by="me")])
        assert await waiting == "rtc_1"


async def test_a_call_of_the_owner_that_is_over_does_not_count() -> None:
    switchboard = Switchboard(call("rtc_1", "claimed", claimed_by="me"))
    async with feed_of(switchboard) as feed, feed.waiter(CallMatch(to="+9"), "other", ignore):
        switchboard.changes.put_nowait([call("rtc_1", "ended", claimed_by="me"), call("rtc_2")])
        await until(switchboard.changes.empty)
        assert await got(feed) == "rtc_2"


async def test_an_own_call_that_cannot_be_had_is_not_offered_over_and_over() -> None:
    mine = call("rtc_1", "claimed", claimed_by="me")
    async with feed_of(Switchboard(mine, call("rtc_2"))) as feed, feed.waiter(CallMatch(), "me", ignore) as me:
        assert (await me.next_call()).call_id == "rtc_1"
        assert (await me.next_call()).call_id == "rtc_2"


async def test_whoever_was_offered_a_call_sends_before_the_next_poll() -> None:
    switchboard = Switchboard()
    pauses: list[float] = []
    asked_when_offered: list[int] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        asked_when_offered.append(len(switchboard.asked))
        await asyncio.sleep(0)

    async with feed_of(switchboard, sleep=pause) as feed:
        waiting = asyncio.create_task(got(feed))
        await until(lambda: len(switchboard.asked) == 2)
        assert pauses == []
        switchboard.changes.put_nowait([call("rtc_1")])
        assert await waiting == "rtc_1"
    assert (pauses, asked_when_offered) == ([HEAD_START_SECONDS], [2])


async def test_after_a_break_it_looks_at_what_rings_now() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed:
        waiting = asyncio.create_task(got(feed))
        await until(lambda: len(switchboard.asked) == 2)
        switchboard.now = [call("rtc_3")]
        switchboard.changes.put_nowait(SwitchboardUnreachable("restarting"))
        assert await waiting == "rtc_3"
        assert switchboard.asked[:3] == [None, "1", None]


async def test_a_cursor_that_is_refused_is_forgotten() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed:
        waiting = asyncio.create_task(got(feed))
        await until(lambda: len(switchboard.asked) == 2)
        switchboard.now = [call("rtc_4")]
        switchboard.changes.put_nowait(SwitchboardRefused("what cursor?", status=400))
        assert await waiting == "rtc_4"


async def test_a_refused_token_ends_the_wait_of_all() -> None:
    switchboard = Switchboard()
    switchboard.failing = SwitchboardRefused("wrong token", status=401)
    async with feed_of(switchboard) as feed:
        results = await asyncio.gather(got(feed, "a"), got(feed, "b"), return_exceptions=True)
        assert results == [switchboard.failing] * 2
        with pytest.raises(SwitchboardRefused):
            await got(feed, "late")


async def test_a_switchboard_that_cannot_be_reached_is_reported_once_a_minute_and_when_it_is_back() -> None:
    switchboard = Switchboard()
    switchboard.failing = SwitchboardUnreachable("no answer")
    seconds, said = [0.0], []

    async def pause(_: float) -> None:
        seconds[0] += 20
        await asyncio.sleep(0)

    async with feed_of(switchboard, sleep=pause, monotonic=lambda: seconds[0]) as feed:

        async def wait() -> None:
            async with feed.waiter(CallMatch(), "me", said.append) as waiter:
                await waiter.next_call()

        waiting = asyncio.create_task(wait())
        await until(lambda: seconds[0] >= 200)
        switchboard.now, switchboard.failing = [call("rtc_1")], None
        await waiting
    assert 3 <= len([line for line in said if "no answer" in line]) <= 4
    assert said[-1] == "The switchboard can be reached again."


async def test_pauses_between_failed_polls_grow_up_to_a_limit() -> None:
    switchboard = Switchboard()
    switchboard.failing = SwitchboardUnreachable("no answer")
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with feed_of(switchboard, sleep=pause) as feed, feed.waiter(CallMatch(), "me", ignore):
        await until(lambda: len(pauses) >= 10)
    assert pauses[0] <= 0.6
    assert 12 <= pauses[-1] <= 18


async def test_the_poll_carries_no_log_context_of_the_first_waiter() -> None:
    task: ContextVar[str] = ContextVar("task", default="nobody")
    seen: list[str] = []

    class Watched(Switchboard):
        async def asend(self, request: Request[CallPage]) -> CallPage:
            seen.append(task.get())
            return await super().asend(request)

    task.set("the first waiter")
    async with feed_of(Watched(call("rtc_1"))) as feed:
        await got(feed)
    assert set(seen) == {"nobody"}


async def test_who_asks_for_the_same_line_shares_its_feed_as_long_as_it_is_used() -> None:
    one, other = (SwitchboardAddress(f"http://127.0.0.1:9/{name}", "token", "support") for name in ("one", "other"))
    async with shared_feed(one) as first:
        async with shared_feed(one) as second, shared_feed(other) as different:
            assert second is first
            assert different is not first
        async with shared_feed(one) as third:
            assert third is first
    async with shared_feed(one) as later:
        assert later is not first
