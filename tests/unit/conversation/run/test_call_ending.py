"""Hanging up, and whether it is certain that the call is over."""

from __future__ import annotations

import asyncio

from tests.unit.conversation.fake_world import FakeWorld

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.exceptions import (
    ServiceUnavailable,
)

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
