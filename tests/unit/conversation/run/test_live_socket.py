"""The socket of a call is opened again until the call is over."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.conversation.fake_world import FakeWorld

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    ServiceUnavailable,
)

LISTENING = ConversationPlan.only_listening()


def said(world: FakeWorld, text: str, item_id: str = "item_1") -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    world.socket.hear(kind, item_id=item_id, transcript=text)


async def result_of(world: FakeWorld, task: asyncio.Task[CallResult], *, seconds: float = 30) -> CallResult:
    await world.time.go_on(seconds)
    assert task.done()
    return task.result()


async def test_a_socket_that_breaks_is_opened_again() -> None:
    world = FakeWorld(LISTENING)
    task = world.start()
    await world.time.go_on(3)
    for _ in range(2):
        world.socket.close(clean=False)
        await world.time.go_on(1)
    said(world, "Are you still there?")
    world.end()
    result = await result_of(world, task)
    assert len(world.sockets) == 3
    assert (result.outcome, result.resumed, result.turns["caller"]) == ("caller_hung_up", True, 1)
    assert result.gap_seconds == 0.4
    assert world.reports == ["The socket of the call broke, and was opened again."]


async def test_a_socket_that_cannot_be_opened_is_tried_with_longer_pauses() -> None:
    world = FakeWorld(LISTENING, attach_fails=[ServiceUnavailable("no route")] * 8)
    task = world.start()
    await world.time.go_on(27)
    assert world.sockets == []
    await world.time.go_on(10)
    assert len(world.sockets) == 1
    assert len(world.reports) == 1
    task.cancel()


async def test_a_refused_key_ends_it_and_leaves_the_call_to_the_switchboard() -> None:
    world = FakeWorld(LISTENING, attach_fails=[AuthenticationError("401")])
    task = world.start()
    await world.time.go_on(1)
    with pytest.raises(AuthenticationError):
        task.result()
    assert (world.hung_up, world.finished) == (0, None)
