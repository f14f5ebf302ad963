"""Announcing an accept: who is first, and one call at a time for an owner."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from tests.unit.switchboard.support import START, Switchboard, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.exceptions import MoveRefused
from airflow_openai_realtime.states import RefusalCode
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    get_call,
    list_calls,
    report_ended,
)
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.call_rows import SoleCall

AT = START + timedelta(seconds=1)


async def test_the_first_learns_that_openai_was_not_asked_and_the_second_that_it_may_have_been(
    switchboard: Switchboard,
) -> None:
    await switchboard.deliver(1)
    async with switchboard.client() as client:
        assert (await client.asend(announce_accept("rtc_1", "me", 60))).asked_before is False
        again = await client.asend(announce_accept("rtc_1", "me", 60))
    assert (again.asked_before, again.call.state) == (True, "claimed")


async def test_a_claim_alone_asks_nobody(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    async with switchboard.client() as client:
        await client.asend(claim_call("rtc_1", "me"))
        assert (await client.asend(announce_accept("rtc_1", "me", 60))).asked_before is False


async def test_a_second_announcement_renews_the_time_of_the_claim(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    async with switchboard.client() as client:
        first = await client.asend(announce_accept("rtc_1", "me", 60))
        switchboard.clock.move(2)
        await client.asend(announce_accept("rtc_1", "me", 60))
        row = await client.asend(get_call("rtc_1"))
    assert first.call.claimed_at is not None
    assert row.claimed_at == first.call.claimed_at + timedelta(seconds=2)
    assert row.hangup_at == first.call.hangup_at


async def test_a_sole_owner_gets_no_second_call_while_its_first_is_open(switchboard: Switchboard) -> None:
    for number in (1, 2):
        await switchboard.deliver(number)
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60, True))
        with pytest.raises(MoveRefused) as error:
            await client.asend(announce_accept("rtc_2", "me", 60, True))
        assert error.value.code == RefusalCode.HAS_ANOTHER
        assert (await client.asend(get_call("rtc_2"))).state == "ringing"
        assert (await client.asend(announce_accept("rtc_1", "me", 60, True))).asked_before is True
        assert (await client.asend(announce_accept("rtc_2", "you", 60, True))).asked_before is False
        await client.asend(report_ended("rtc_1", "hung_up"))
        await switchboard.deliver(3)
        assert (await client.asend(announce_accept("rtc_3", "me", 60, True))).call.claimed_by == "me"


async def test_whoever_does_not_ask_for_it_may_have_several(switchboard: Switchboard) -> None:
    for number in (1, 2):
        await switchboard.deliver(number)
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60))
        assert (await client.asend(announce_accept("rtc_2", "me", 60))).call.claimed_by == "me"


async def test_an_unknown_call_is_not_even_registered_for_who_has_another(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60, True))
        with pytest.raises(MoveRefused):
            await client.asend(announce_accept("rtc_unheard_of", "me", 60, True))
        assert [call.call_id for call in (await client.asend(list_calls(state="all"))).calls] == ["rtc_1"]


def test_of_many_at_once_with_the_same_owner_one_gets_a_call(store: Store) -> None:
    numbers = range(8)
    store.calls.add([a_call(number) for number in numbers])
    rule = partial(moves.accepting, owner="me", now=AT, max_duration_seconds=60)
    start, got, refused = threading.Barrier(len(numbers)), [], []

    def announce(number: int) -> None:
        start.wait()
        try:
            store.calls.move("support", f"rtc_{number}", rule, AT, sole=SoleCall("me"))
        except MoveRefused as error:
            refused.append(error.code)
        else:
            got.append(number)

    threads = [threading.Thread(target=announce, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert refused == [RefusalCode.HAS_ANOTHER] * 7
