"""Hanging up, and whether it is certain that the call is over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.conversation.fake_world import CALL, START, FakeWorld

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.call_ending import CallEnding
from airflow_openai_realtime.exceptions import AuthenticationError, CallError, RequestRefused, ServiceUnavailable
from airflow_openai_realtime.states import Witness

LISTENING = ConversationPlan.only_listening()


async def result_of(world: FakeWorld, task: asyncio.Task[CallResult], *, seconds: float = 30) -> CallResult:
    await world.time.go_on(seconds)
    assert task.done()
    return task.result()


async def test_a_hang_up_that_fails_is_tried_again() -> None:
    world = FakeWorld(LISTENING, seconds=20, hang_up_fails=[ServiceUnavailable("503")] * 3)
    result = await result_of(world, world.start(), seconds=60)
    assert (result.outcome, world.hung_up) == ("max_duration", 4)


async def test_a_call_that_cannot_be_hung_up_is_left_to_the_switchboard_and_not_marked_as_ended() -> None:
    world = FakeWorld(LISTENING, seconds=20, hang_up_fails=[ServiceUnavailable("503")] * 100)
    result = await result_of(world, world.start(), seconds=120)
    assert result.outcome == "max_duration"
    assert world.reasons == []
    assert "the switchboard ends it at its time" in world.reports[0]


async def test_a_call_that_only_seems_to_be_over_is_not_marked_as_ended() -> None:
    world = FakeWorld(LISTENING, hang_up_fails=[ServiceUnavailable("503")])
    task = world.start()
    await world.time.settle()
    world.end()
    assert (await result_of(world, task)).outcome == "caller_hung_up"
    assert world.reasons == []


# -- by itself -----------------------------------------------------------------------------------------------------


def ending(world: FakeWorld, seconds: float = 20) -> CallEnding:
    return CallEnding(world.ports(), CALL, START + timedelta(seconds=seconds))


async def hung_up(world: FakeWorld, end: CallEnding, seconds: float = 200) -> None:
    task = asyncio.ensure_future(end.hang_up())
    await world.time.go_on(seconds)
    await task


async def test_a_call_that_was_hung_up_is_certainly_over_and_was_not_before() -> None:
    world = FakeWorld()
    end = ending(world)
    await hung_up(world, end)
    assert (end.is_certain, end.was_over, world.hung_up, world.is_alive) == (True, False, 1, False)


async def test_a_call_that_was_over_before_is_told_apart_unless_an_earlier_try_may_have_ended_it() -> None:
    for maybe_by_us in (False, True):
        world = FakeWorld(is_alive=False)

        async def gone(call_id: str, maybe_by_us: bool = maybe_by_us) -> HangUpResult:
            return HangUpResult(gone=True, maybe_by_us=maybe_by_us)

        end = CallEnding(replace(world.ports(), hang_up=gone), CALL, START)
        await end.make_certain()
        assert (end.is_certain, end.was_over) == (True, not maybe_by_us)


async def test_pauses_grow_and_end_half_a_minute_after_the_call_should_be_over() -> None:
    world = FakeWorld(hang_up_fails=[ServiceUnavailable("503")] * 100)
    end, began = ending(world, 20), world.time.now
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        world.time.now += timedelta(seconds=seconds)

    await CallEnding(replace(world.ports(), sleep=sleep), CALL, began + timedelta(seconds=20)).hang_up()
    assert pauses == [1, 2, 4, 8, 8, 8, 8, 8, 8]
    assert not end.is_certain


@pytest.mark.parametrize("error", [AuthenticationError("401"), RequestRefused("400")])
async def test_a_refusal_is_not_tried_again(error: CallError) -> None:
    world = FakeWorld(hang_up_fails=[error])
    end = ending(world)
    await hung_up(world, end, 1)
    assert (world.hung_up, end.is_certain) == (1, False)
    assert "the switchboard ends it at its time" in world.reports[0]


async def test_only_what_is_certain_is_told_as_the_end() -> None:
    account = Account(Witness.SOCKET, "socket_closed")
    row = SwitchboardCall(CALL, "l", "ended", START, START, end_reason="hung_up")
    world = FakeWorld(row=row, hang_up_fails=[ServiceUnavailable("503")])
    end = ending(world)
    await end.make_certain()
    assert await end.tell(account, START) == row
    assert world.reasons == []
    await end.make_certain()
    assert await end.tell(account, START) == row
    assert world.reasons == ["socket_closed"]


async def test_a_switchboard_that_is_away_says_nothing_of_an_end_that_is_not_certain() -> None:
    world = FakeWorld(is_board_away=True)
    assert await ending(world).tell(Account(Witness.SOCKET, "socket_closed"), START) is None
