from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow_world import CALLER, World
from tests.unit.airflow_world import instead_of_asending

from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls.call import CallPage, SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import CarrierUnavailable, ClaimLost, SwitchboardUnreachable
from airflow_openai_realtime.inbound import waiting
from airflow_openai_realtime.inbound.feed import CallFeed
from airflow_openai_realtime.inbound.waiting import (
    CarrierWatch,
    Waited,
    accepted_before,
    look_for_call,
    newest_accepted,
    wait_for_call,
)
from airflow_openai_realtime.outbound.carriers.port import CarrierCall
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    end_call,
    list_calls,
    report_accepted,
)

ANY = CallMatch()


@pytest.fixture
async def feed(world: World) -> AsyncIterator[CallFeed]:
    feed = CallFeed(SwitchboardClient(world.url, world.token))
    yield feed
    await feed.close()


async def wait(feed: CallFeed, *, owner: str = "me", seconds: float = 60, **kwargs: object) -> Waited:
    return await wait_for_call(
        feed,
        match=ANY,
        owner=owner,
        seconds=seconds,
        report=print,
        **kwargs,  # type: ignore[arg-type]
    )


async def test_a_call_is_claimed(world: World, feed: CallFeed) -> None:
    waiting_task = asyncio.create_task(wait(feed))
    call_id = await asyncio.to_thread(world.ring)
    waited = await waiting_task
    assert waited.status == "claimed"
    assert waited.call is not None
    assert (waited.call.call_id, waited.call.claimed_by) == (call_id, "me")


async def test_a_call_that_was_left_for_the_next_try_goes_on_once_that_has_it(world: World, feed: CallFeed) -> None:
    call_id = await asyncio.to_thread(world.ring)
    await feed.client.asend(announce_accept(call_id, "me", 600))
    await feed.client.asend(report_accepted(call_id, "me"))
    await feed.client.asend(end_call(call_id, reason="killed", by="me", after_seconds=60))
    waited = await wait(feed)
    assert waited.call is not None
    assert (waited.call.call_id, world.row(call_id).end_wanted) == (call_id, None)


async def test_twenty_waiters_and_twenty_calls_get_one_each(world: World, feed: CallFeed) -> None:
    tasks = [asyncio.create_task(wait(feed, owner=f"task{number}", seconds=60)) for number in range(20)]
    calls = {await asyncio.to_thread(world.ring, f"+141555502{number:02}") for number in range(20)}
    got = [waited.call.call_id for waited in await asyncio.gather(*tasks) if waited.call is not None]
    assert sorted(got) == sorted(calls)


async def test_waiters_of_two_processes_get_different_calls(world: World, feed: CallFeed) -> None:
    other = CallFeed(SwitchboardClient(world.url, world.token))
    tasks = [asyncio.create_task(wait(each, owner=f"{id(each)}")) for each in (feed, other)]
    calls = {await asyncio.to_thread(world.ring, f"+141555502{number:02}") for number in range(2)}
    assert {waited.call.call_id for waited in await asyncio.gather(*tasks) if waited.call} == calls
    await other.close()


async def test_the_wait_ends_in_time(feed: CallFeed) -> None:
    assert await wait(feed, seconds=0.05) == Waited("timeout")


async def test_a_claim_whose_answer_was_lost_is_made_again(
    world: World, feed: CallFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "CLAIM_AGAIN_SECONDS", 0.01)
    tries = []

    async def losing_answers(asend: Callable[[Any], Any], request: Any) -> SwitchboardCall:
        claimed: SwitchboardCall = await asend(request)
        tries.append(request.call_id)
        if len(tries) < 3:
            raise SwitchboardUnreachable("no answer")
        return claimed

    instead_of_asending(feed.client, "claim", losing_answers)
    call_id = await asyncio.to_thread(world.ring)
    waited = await wait(feed)
    assert waited.call is not None
    assert waited.call.call_id == call_id
    assert len(tries) == 3


async def test_a_claim_that_is_under_way_when_the_wait_ends_counts(
    world: World, feed: CallFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_answer(asend: Callable[[Any], Any], request: Any) -> Any:
        await asend(request)
        return await asyncio.Event().wait()

    instead_of_asending(feed.client, "claim", slow_answer)
    await asyncio.to_thread(world.ring)
    assert (await wait(feed, seconds=3)).status == "claimed"


async def test_a_waiter_that_starts_again_gets_the_call_it_had(world: World, feed: CallFeed) -> None:
    first = await asyncio.to_thread(world.ring)
    await wait(feed)
    await asyncio.to_thread(world.ring, "+14155550199")
    waited = await wait(feed)
    assert waited.call is not None
    assert waited.call.call_id == first


class Carrier:
    def __init__(self, *statuses: str | Exception) -> None:
        self.statuses = list(statuses)

    def look(self, carrier_call_id: str) -> str:
        return carrier_call_id

    async def asend(self, carrier_call_id: str) -> CarrierCall:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(status, Exception):
            raise status
        return CarrierCall(carrier_call_id, status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("completed", "gone"),
    ],
)
async def test_what_the_carrier_says_at_last_ends_the_wait(feed: CallFeed, status: str, outcome: str) -> None:
    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    carrier = CarrierWatch(Carrier("queued", "ringing", status), "CA1")  # type: ignore[arg-type]
    assert await wait(feed, carrier=carrier, sleep=no_pause) == Waited("not_answered", outcome=outcome)


async def test_after_an_answered_call_the_late_webhook_is_awaited(world: World, feed: CallFeed) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.to_thread(world.ring)
        while (await feed.client.asend(list_calls(state=CallState.RINGING))).calls:  # noqa: ASYNC110 - it is over HTTP
            await asyncio.sleep(0.01)

    carrier = CarrierWatch(Carrier("completed"), "CA1")  # type: ignore[arg-type]
    assert (await wait(feed, carrier=carrier, sleep=pause)).status == "claimed"
    assert pauses == [5.0]


async def test_a_carrier_that_cannot_say_is_reported_once_and_asked_on(world: World, feed: CallFeed) -> None:
    said: list[str] = []

    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    carrier = CarrierWatch(Carrier(CarrierUnavailable("500"), CarrierUnavailable("500"), "busy"), "CA1")  # type: ignore[arg-type]
    waited = await wait_for_call(
        feed, match=ANY, owner="me", seconds=60, report=said.append, carrier=carrier, sleep=no_pause
    )
    assert waited.outcome == "busy"
    assert len(said) == 1


def test_looking_takes_the_next_call_when_one_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = world.ring(), world.ring("+14155550199")
    with world.client() as client:
        send = client.send

        def losing(request: Request[Any]) -> Any:
            if (request.operation, request.call_id) == ("claim", first):
                raise ClaimLost("somebody was quicker")
            return send(request)

        monkeypatch.setattr(client, "send", losing)
        found = look_for_call(client, ANY, "me")
    assert found is not None
    assert found.call_id == second


def test_looking_finds_nothing_when_nothing_fits(world: World) -> None:
    world.ring(CALLER)
    with world.client() as client:
        assert look_for_call(client, CallMatch(from_number="+49*"), "me") is None


NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
ALL = CallMatch()


def accepted_call(number: int, *, accepted: bool = True, state: str = "ended") -> SwitchboardCall:
    at = NOW + timedelta(seconds=number)
    return SwitchboardCall(f"rtc_{number}", "default", state, at, at, accepted_at=at if accepted else None)


def test_the_newest_that_was_accepted_counts_live_or_over() -> None:
    calls = [accepted_call(1), accepted_call(3, accepted=False, state="missed"), accepted_call(2, state="accepted")]
    found = newest_accepted(calls, ALL)
    assert found is not None
    assert found.call_id == "rtc_2"
    assert newest_accepted([accepted_call(1, accepted=False, state="claimed")], ALL) is None


def test_a_task_that_wants_another_call_now_does_not_get_the_old_one() -> None:
    assert newest_accepted([accepted_call(1)], CallMatch(headers={"X-Correlation-Id": "another"})) is None


class Client:
    """Is away for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def asend(self, request: Request[CallPage]) -> CallPage:
        assert (request.operation, request.params["claimed_by"]) == ("list_calls", "me")
        self.failures -= 1
        if self.failures >= 0:
            raise SwitchboardUnreachable("away")
        return CallPage((accepted_call(1),), "cursor")


async def no_pause(_: float) -> None:
    return None


async def test_it_asks_on_while_the_switchboard_is_away() -> None:
    found = await accepted_before(Client(3), "me", ALL, seconds=60, sleep=no_pause)  # type: ignore[arg-type]
    assert found == accepted_call(1)


async def test_it_gives_up_when_the_time_is_over() -> None:
    with pytest.raises(SwitchboardUnreachable):
        await accepted_before(Client(3), "me", ALL, seconds=0, sleep=no_pause)  # type: ignore[arg-type]
