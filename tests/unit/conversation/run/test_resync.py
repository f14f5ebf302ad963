"""What the switchboard heard while no owner listened is read before it is too late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.conversation.fake_world import CALL, START, FakeWorld
from tests.unit.conversation.talk import PLAN

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.conversation.run.resync import Resync
from airflow_openai_realtime.conversation.run.timers import Tasks

TALKING = replace(PLAN, greeting=None)


def said(world: FakeWorld, text: str, item_id: str = "item_1") -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    world.socket.hear(kind, item_id=item_id, transcript=text)


async def result_of(world: FakeWorld, task: asyncio.Task[CallResult], *, seconds: float = 30) -> CallResult:
    await world.time.go_on(seconds)
    assert task.done()
    return task.result()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what happens in real time, in a thread."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def heard_meanwhile(world: FakeWorld, kind: str, after: float, name: str, /, **body: Any) -> None:
    """The switchboard writes what it has heard itself."""
    world.entries.append(entry_of(kind, START + timedelta(seconds=after), name, **body))


async def taken_over(world: FakeWorld, after: float) -> asyncio.Task[CallResult]:
    """A holder dies after a second, and some time later another one has taken over."""
    first = world.start()
    await world.time.go_on(1)
    first.cancel()
    await world.time.go_on(after - 1)
    task = world.start()
    await world.time.settle()
    return task


async def test_what_the_switchboard_writes_when_it_is_relieved_is_read_a_moment_later() -> None:
    world = FakeWorld(TALKING)
    task = await taken_over(world, 20)
    heard_meanwhile(world, "note", 3, "stood_by", what="stood_by", lease="1", gap_seconds=3)
    heard_meanwhile(world, "caller", 19.5, "item_1", text="Hello?")
    heard_meanwhile(world, "usage", 19.6, "resp_1", of="response", usage={"total_tokens": 7, "input_tokens": 7})
    world.heard_until = START + timedelta(seconds=21)
    await world.time.go_on(4)
    assert world.reads == 1
    said(world, "Hello?")
    world.end()
    result = await result_of(world, task)
    assert (result.resumed, result.turns["caller"], result.gap_seconds) == (True, 1, 3)
    assert world.reads == 1


async def test_the_next_holder_counts_no_gap_for_what_the_switchboard_has_heard() -> None:
    world = FakeWorld(TALKING)
    world.heard_until = START + timedelta(seconds=19)
    task = await taken_over(world, 20)
    assert [entry.body["gap_seconds"] for entry in world.kept("note")] == [0, 1]
    task.cancel()


async def test_a_tool_that_the_model_called_meanwhile_is_run_once_and_the_model_told() -> None:
    world = FakeWorld(TALKING)
    task = await taken_over(world, 20)
    body = {"what": "asked", "tool_call_id": "call_1", "name": "look_up", "arguments": "{}"}
    heard_meanwhile(world, "note", 19.9, "asked:call_1", **body)
    await world.time.go_on(5)
    assert world.ran == ["look_up"]
    assert "conversation.item.create" in world.socket.types()
    assert [entry.key for entry in world.kept("tool_call")] == ["tool_call:call_1"]
    world.end()
    result = await result_of(world, task)
    assert result.tools == ({"name": "look_up", "status": "ok"},)


@pytest.mark.parametrize("is_alive", [True, False])
async def test_of_a_call_that_ends_at_once_it_is_read_before_the_result_is_written(is_alive: bool) -> None:
    world = FakeWorld(PLAN)
    first = world.start()
    await world.time.go_on(1)
    first.cancel()
    await world.time.go_on(19)
    if not is_alive:
        world.end()
    task = world.start()
    await world.time.go_on(0.5)
    if is_alive:
        world.end()
    heard_meanwhile(world, "agent", 19.5, "item_1", text="Goodbye.")
    body = {"what": "asked", "tool_call_id": "call_1", "name": "record_result", "arguments": '{"agreed": true}'}
    heard_meanwhile(world, "note", 19.9, "asked:call_1", **body)
    heard_meanwhile(world, "note", 19.9, "asked:call_2", **{**body, "tool_call_id": "call_2", "name": "look_up"})
    await world.time.go_on(4)
    await until(lambda: world.kept("tool_result"))
    result = await result_of(world, task)
    assert result.turns["agent"] == 1
    assert (result.result, result.result_valid, result.outcome) == ({"agreed": True}, True, "completed")
    assert [tool["status"] for tool in result.tools] == ["ok", "not_run"]
    assert world.ran == []


async def test_what_the_switchboard_writes_after_a_call_has_ended_is_waited_for() -> None:
    world = FakeWorld(TALKING)
    task = await taken_over(world, 20)
    world.end()
    await world.time.go_on(2)
    assert world.finished is None
    heard_meanwhile(world, "agent", 19.5, "item_1", text="Goodbye.")
    assert (await result_of(world, task)).turns["agent"] == 1


async def test_a_holder_that_could_not_open_the_conversation_at_first_reads_it_when_it_can() -> None:
    world = FakeWorld(TALKING)
    first = world.start()
    await world.time.go_on(1)
    first.cancel()
    world.is_board_away = True
    await world.time.go_on(1)
    task = world.start()
    await world.time.go_on(10)
    assert len(world.sockets) == 2
    world.is_board_away = False
    await world.time.go_on(10)
    assert world.reads == 1
    task.cancel()


async def test_the_timeline_that_cannot_be_read_is_read_before_the_result_is_written() -> None:
    world = FakeWorld(TALKING)
    task = await taken_over(world, 20)
    heard_meanwhile(world, "caller", 19.5, "item_1", text="Hello?")
    world.is_board_away = True
    await world.time.go_on(5)
    assert any("cannot be read" in line for line in world.reports)
    world.is_board_away = False
    world.end()
    assert (await result_of(world, task)).turns["caller"] == 1


async def test_a_holder_whose_socket_broke_reads_what_the_switchboard_heard_meanwhile() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(1)
    world.socket.close(clean=False)
    await world.time.go_on(1)
    heard_meanwhile(world, "caller", 1.1, "item_1", text="Hello?")
    await world.time.go_on(5)
    assert world.reads == 1
    world.end()
    assert (await result_of(world, task)).turns["caller"] == 1


async def test_a_call_with_one_holder_is_not_read() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(10)
    world.end()
    await result_of(world, task)
    assert world.reads == 0


# -- by itself -----------------------------------------------------------------------------------------------------


class Reading:
    """A resync, and what it read."""

    def __init__(self, *, generation: int = 1) -> None:
        self.world = FakeWorld()
        self.world.generation = generation
        self.tasks = Tasks()
        self.read: list[Conversation] = []
        self.resync = Resync(self.world.ports(), CALL, self.tasks, self.read.append)


async def test_it_reads_a_few_seconds_later_and_once_though_it_was_begun_twice() -> None:
    reading = Reading()
    reading.resync.begin()
    await reading.world.time.go_on(2)
    reading.resync.begin()
    await reading.world.time.go_on(2)
    assert reading.world.reads == 0
    await reading.world.time.go_on(1)
    assert (reading.world.reads, len(reading.read)) == (1, 1)
    await reading.tasks.stop()


async def test_before_the_end_it_waits_for_what_is_being_read_and_does_not_read_again() -> None:
    reading = Reading()
    reading.resync.begin()
    waiting = asyncio.ensure_future(reading.resync.make_sure(is_due=True))
    await reading.world.time.go_on(2)
    assert not waiting.done()
    await reading.world.time.go_on(1)
    await waiting
    assert reading.world.reads == 1
    await reading.tasks.stop()


@pytest.mark.parametrize("is_due", [True, False])
async def test_what_was_never_begun_is_read_before_the_end_only_when_it_may_be_needed(is_due: bool) -> None:
    reading = Reading()
    await reading.resync.make_sure(is_due=is_due)
    assert reading.world.reads == (1 if is_due else 0)


async def test_what_could_not_be_read_is_read_before_the_end() -> None:
    reading = Reading()
    reading.world.is_board_away = True
    reading.resync.begin()
    await reading.world.time.go_on(3)
    assert reading.world.reports == ["What the switchboard heard in call rtc_1 cannot be read: away"]
    reading.world.is_board_away = False
    await reading.resync.make_sure()
    assert len(reading.read) == 1
    await reading.tasks.stop()


async def test_a_call_without_a_conversation_has_nothing_to_take_in() -> None:
    reading = Reading(generation=0)
    await reading.resync.make_sure(is_due=True)
    assert (reading.world.reads, reading.read) == (1, [])
