from __future__ import annotations

import asyncio
import contextlib
import math
from contextlib import aclosing

import pytest
from tests.unit.inbound.test_feed import Switchboard, call, feed_of, ignore

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import SwitchboardRefused, SwitchboardUnreachable
from airflow_openai_realtime.inbound import feed as module
from airflow_openai_realtime.inbound.feed import CallFeed, wait_at_most
from airflow_openai_realtime.inbound.notifier import Notifier, rings


def due(notifier: Notifier, now: float, *call_ids: str) -> list[str]:
    return [each.call_id for each in notifier.due([call(call_id) for call_id in call_ids], now)]


def test_it_rings_at_once_for_a_call_that_is_new() -> None:
    assert due(Notifier(15), 100, "rtc_1", "rtc_2") == ["rtc_1", "rtc_2"]


def test_it_rings_again_after_its_pause_while_the_call_rings() -> None:
    notifier = Notifier(15)
    assert due(notifier, 100, "rtc_1") == ["rtc_1"]
    assert due(notifier, 114.9, "rtc_1", "rtc_2") == ["rtc_2"]
    assert due(notifier, 115, "rtc_1", "rtc_2") == ["rtc_1"]
    assert due(notifier, 130, "rtc_1", "rtc_2") == ["rtc_1", "rtc_2"]


def test_it_does_not_ring_for_a_call_that_rings_no_more() -> None:
    notifier = Notifier(15)
    due(notifier, 100, "rtc_1")
    assert due(notifier, 200) == []
    assert notifier.pause(200) == math.inf


def test_a_call_that_is_missing_for_a_moment_is_not_new_again() -> None:
    notifier = Notifier(15)
    due(notifier, 100, "rtc_1")
    assert due(notifier, 101) == []
    assert due(notifier, 102, "rtc_1") == []
    assert due(notifier, 115, "rtc_1") == ["rtc_1"]


def test_a_ring_that_was_not_heard_is_repeated_after_a_second() -> None:
    notifier = Notifier(15)
    due(notifier, 100, "rtc_1")
    notifier.ring_soon("rtc_1", 103)
    notifier.ring_soon("rtc_unknown", 103)
    assert due(notifier, 103.9, "rtc_1") == []
    assert due(notifier, 104, "rtc_1") == ["rtc_1"]


def test_it_looks_again_within_a_second_while_anything_rings_and_not_while_nothing_does() -> None:
    notifier = Notifier(15)
    assert notifier.pause(100) == math.inf
    due(notifier, 100, "rtc_1")
    assert notifier.pause(100) == 1
    assert notifier.pause(114.5) == 0.5
    assert notifier.pause(999) == 0


class Clock:
    """Seconds that only a test lets pass; looks of observers take no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(module, "wait_at_most", self.wait)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """As the real one, on this clock."""
        for _ in range(5):
            await asyncio.sleep(0)
        if not event.is_set():
            if seconds == math.inf:
                await event.wait()
            self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def collected(feed: CallFeed, clock: Clock, *, seconds: float, again: float = 15) -> list[tuple[float, str]]:
    """When the notifier named which call."""
    return [(round(clock.now), each.call_id) async for each in rings(feed, Notifier(again), ignore, seconds=seconds)]


async def test_calls_are_rung_for_until_they_are_claimed(clock: Clock) -> None:
    switchboard = Switchboard(call("rtc_1"))
    async with feed_of(switchboard, monotonic=clock) as feed:
        ringing = []
        async with aclosing(rings(feed, Notifier(15), ignore, seconds=100)) as rung:
            async for each in rung:
                ringing.append((round(clock.now), each.call_id))
                if clock.now >= 30:
                    switchboard.changes.put_nowait([call("rtc_1", "claimed", claimed_by="somebody")])
    assert ringing == [(0, "rtc_1"), (15, "rtc_1"), (30, "rtc_1")]


async def test_it_ends_after_its_time(clock: Clock) -> None:
    async with feed_of(Switchboard(), monotonic=clock) as feed:
        assert await collected(feed, clock, seconds=7) == []
    assert clock.now == pytest.approx(7)


async def test_nothing_is_rung_for_while_the_switchboard_cannot_be_reached(clock: Clock) -> None:
    switchboard = Switchboard(call("rtc_1"))

    async def outage(_: float) -> None:
        clock.now += 40
        if clock.now >= 100:
            switchboard.failing = None
        await asyncio.sleep(0)

    async with feed_of(switchboard, monotonic=clock, sleep=outage) as feed:
        rung = rings(feed, Notifier(15), ignore, seconds=200)
        assert (await anext(rung)).call_id == "rtc_1"
        switchboard.failing = SwitchboardUnreachable("away")
        switchboard.changes.put_nowait(switchboard.failing)
        await anext(rung)
        assert clock.now >= 100
        await rung.aclose()


async def test_a_refused_token_is_raised() -> None:
    switchboard = Switchboard()
    switchboard.failing = SwitchboardRefused("wrong token", status=401)
    async with feed_of(switchboard) as feed:
        with pytest.raises(SwitchboardRefused):
            async for _ in rings(feed, Notifier(), ignore, seconds=10):
                pass


async def test_looking_on_takes_no_offer_from_those_who_wait() -> None:
    switchboard = Switchboard()
    async with feed_of(switchboard) as feed, feed.waiter(CallMatch(), "me", ignore) as waiter:
        with feed.observer(ignore) as observer:
            assert await observer.ringing(0) == ()
            switchboard.changes.put_nowait([call("rtc_1")])
            assert (await waiter.next_call()).call_id == "rtc_1"
            assert [each.call_id for each in await observer.ringing(5) or ()] == ["rtc_1"]
        assert switchboard.most_at_once == 1


async def test_an_observer_alone_starts_the_poll_and_is_told_of_trouble() -> None:
    switchboard, said = Switchboard(call("rtc_1")), []
    switchboard.failing = SwitchboardUnreachable("no answer")
    async with feed_of(switchboard) as feed:
        with feed.observer(said.append) as observer:
            while await observer.ringing(5) is not None:
                pass
            switchboard.failing = None
            while not await observer.ringing(5):
                pass
    assert len(said) == 2
    assert "no answer" in said[0]


async def test_waiting_ends_with_the_time_and_with_a_cancellation() -> None:
    event = asyncio.Event()
    await wait_at_most(event, 0.01)
    event.clear()
    waiting = asyncio.create_task(wait_at_most(event, math.inf))
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
