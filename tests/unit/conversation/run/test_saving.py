from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.unit.conversation.fake_world import CALL, START, FakeWorld
from tests.unit.conversation.talk import PLAN

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.run_call import Tasks
from airflow_openai_realtime.conversation.run.saving import MOST_WAITING, Resync, Saving
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    SwitchboardRefused,
    SwitchboardUnreachable,
)

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
AWAY = SwitchboardUnreachable("away")


def said(number: int) -> TimelineEntry:
    return entry_of("caller", NOW, number, text="x")


def tool(number: int) -> TimelineEntry:
    return entry_of("tool_call", NOW, number, name="book")


@dataclass
class Board:
    """A switchboard: ``troubles`` are what the next requests meet, in order; ``None``: all is well."""

    troubles: list[Exception | None] = field(default_factory=list)
    entries: tuple[TimelineEntry, ...] = ()
    generation: int = 1
    appended: list[list[str]] = field(default_factory=list)
    result: Any = None
    is_finished: bool = False
    loses_answers: int = 0
    now: datetime = NOW
    pauses: list[float] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)

    def trouble(self) -> None:
        found = self.troubles.pop(0) if self.troubles else None
        if found is not None:
            raise found

    def conversation(self) -> Conversation:
        finished = NOW if self.is_finished else None
        return Conversation(CALL, "l", "me", self.generation, NOW, NOW, finished, None, self.result, self.entries)

    async def open(self, call_id: str) -> Conversation:
        self.trouble()
        return self.conversation()

    async def append(self, call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> frozenset[str]:
        self.trouble()
        assert generation == self.generation
        known = {entry.key for entry in self.entries}
        new = [entry for entry in entries if entry.key not in known]
        self.entries += tuple(new)
        if self.loses_answers:
            self.loses_answers -= 1
            raise AWAY
        self.appended.append([entry.key for entry in entries])
        return frozenset(entry.key for entry in new)

    async def give_up(self, call_id: str, generation: int) -> None:
        self.trouble()
        self.given_up.append(generation)

    async def finish(
        self, call_id: str, generation: int, outcome: str, result: Any, entries: Sequence[TimelineEntry]
    ) -> Conversation:
        self.trouble()
        self.result = self.result or result
        self.entries += tuple(entries)
        self.is_finished = True
        return self.conversation()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def ports(self) -> CallPorts:
        unused: Any = None
        return CallPorts(
            attach=unused,
            hang_up=unused,
            refer=unused,
            find=unused,
            ended=unused,
            open=self.open,
            read=unused,
            append=self.append,
            give_up=self.give_up,
            finish=self.finish,
            report=self.reports.append,
            now=lambda: self.now,
            sleep=self.sleep,
        )

    def saving(self) -> Saving:
        return Saving(self.ports(), CALL, lambda conversation: None)


@asynccontextmanager
async def running(saving: Saving) -> Any:
    task = asyncio.ensure_future(saving.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ConversationSuperseded):
            await task


@pytest.fixture
def board() -> Board:
    return Board()


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def result(outcome: str = "completed") -> CallResult:
    return CallResult(CALL, "l", outcome, "why", NOW)


async def test_what_comes_within_a_second_is_saved_together(board: Board) -> None:
    saving = board.saving()
    async with running(saving):
        await turns()
        saving.add(said(1), at_once=False)
        saving.add(said(2), at_once=False)
        await turns()
    assert board.appended == [["caller:1", "caller:2"]]
    assert board.pauses == [1.0]


async def test_what_is_urgent_does_not_wait_and_takes_the_rest_along() -> None:
    board = Board()
    waits = asyncio.Event()
    saving = board.saving()

    async def sleep(seconds: float) -> None:
        await waits.wait()

    object.__setattr__(saving._ports, "sleep", sleep)
    async with running(saving):
        await turns()
        saving.add(said(1), at_once=False)
        await turns()
        assert board.appended == []
        saving.add(tool(2), at_once=True)
        await turns()
        assert board.appended == [["caller:1", "tool_call:2"]]


async def test_a_switchboard_that_is_away_is_tried_again_and_nothing_is_lost(board: Board) -> None:
    board.troubles = [AWAY, None, *[AWAY] * 5]
    saving = board.saving()
    async with running(saving):
        for number in range(3):
            saving.add(tool(number), at_once=True)
            await turns(10)
        await turns(60)
    assert [entry.key for entry in board.entries] == ["tool_call:0", "tool_call:1", "tool_call:2"]
    assert len(board.reports) == 1


async def test_many_entries_go_in_several_requests(board: Board) -> None:
    saving = board.saving()
    for number in range(450):
        saving.add(said(number), at_once=True)
    async with running(saving):
        await turns()
    assert [len(batch) for batch in board.appended] == [200, 200, 50]


async def test_an_entry_is_saved_once_it_is_there(board: Board) -> None:
    saving = board.saving()
    async with running(saving):
        saving.add(tool(1), at_once=True)
        assert await saving.is_saved("tool_call:1", 100)
        assert await saving.is_saved("tool_call:1", 100)


async def test_an_entry_of_an_earlier_holder_was_not_saved_by_us() -> None:
    board = Board(entries=(tool(1),), generation=2)
    saving = board.saving()
    saving.add(tool(1), at_once=True)
    async with running(saving):
        await turns()
        assert not await saving.is_saved("tool_call:1", 100)
    assert board.appended == []


async def test_an_answer_that_was_lost_does_not_make_the_entry_anothers(board: Board) -> None:
    board.loses_answers = 1
    saving = board.saving()
    async with running(saving):
        saving.add(tool(1), at_once=True)
        await turns(60)
        assert await saving.is_saved("tool_call:1", 100)


async def test_waiting_for_an_entry_ends(board: Board) -> None:
    board.troubles = [AWAY] * 1000
    saving = board.saving()
    async with running(saving):
        saving.add(tool(1), at_once=True)
        assert not await saving.is_saved("tool_call:1", 5)


async def test_another_holder_ends_it(board: Board) -> None:
    board.troubles = [None, ConversationSuperseded("another holder has it")]
    saving = board.saving()
    async with running(saving) as task:
        saving.add(tool(1), at_once=True)
        await turns()
        with pytest.raises(ConversationSuperseded):
            task.result()


async def test_entries_that_are_refused_are_dropped_and_the_next_ones_are_saved(board: Board) -> None:
    board.troubles = [None, SwitchboardRefused("too many entries")]
    saving = board.saving()
    async with running(saving):
        saving.add(tool(1), at_once=True)
        await turns()
        saving.add(tool(2), at_once=True)
        await turns()
    assert [entry.key for entry in board.entries] == ["tool_call:2"]
    assert "too many entries" in board.reports[0]


async def test_of_too_much_the_oldest_words_are_dropped_and_no_tool(board: Board) -> None:
    saving = board.saving()
    saving.add(tool(0), at_once=False)
    for number in range(MOST_WAITING + 5):
        saving.add(said(number), at_once=False)
    async with running(saving):
        await turns(100)
    keys = [entry.key for entry in board.entries]
    assert len(keys) == MOST_WAITING
    assert keys[:2] == ["tool_call:0", "caller:6"]
    assert len(board.reports) == 1


async def test_the_result_is_written_with_what_was_not_saved_yet(board: Board) -> None:
    saving = board.saving()
    saving.add(said(1), at_once=False)
    assert await saving.finish(result(), NOW) == result()
    assert board.result["outcome"] == "completed"
    assert [entry.key for entry in board.entries] == ["caller:1"]


async def test_writing_the_result_is_tried_until_its_time_is_over(board: Board) -> None:
    board.troubles = [*[AWAY] * 6, None, None]
    assert await board.saving().finish(result(), NOW + timedelta(minutes=1)) == result()
    assert board.result is not None
    assert board.pauses == [0.5, 1, 2, 4, 8, 10]


async def test_a_result_that_cannot_be_written_is_returned_all_the_same(board: Board) -> None:
    board.troubles = [AWAY] * 1000
    assert await board.saving().finish(result(), NOW + timedelta(minutes=1)) == result()
    assert sum(board.pauses) < 80
    assert "could not be saved" in board.reports[-1]


async def test_a_refused_result_is_not_tried_for_long(board: Board) -> None:
    board.troubles = [None, SwitchboardRefused("the token was refused")]
    assert await board.saving().finish(result(), NOW + timedelta(minutes=1)) == result()
    assert board.pauses == []


async def test_the_first_result_of_a_call_stays(board: Board) -> None:
    board.result = result("caller_hung_up").to_dict()
    assert (await board.saving().finish(result(), NOW)).outcome == "caller_hung_up"


async def test_what_is_finished_is_not_gone_on_with() -> None:
    board = Board(is_finished=True, result=result().to_dict())
    with pytest.raises(ConversationSuperseded) as error:
        await board.saving().run()
    assert error.value.code == "finished"


async def test_who_leaves_saves_what_it_has_and_gives_the_conversation_up(board: Board) -> None:
    saving = board.saving()
    async with running(saving):
        await turns()
        saving.add(said(1), at_once=False)
        await saving.leave()
    assert [entry.key for entry in board.entries] == ["caller:1"]
    assert (board.given_up, board.reports) == ([1], [])


async def test_leaving_raises_nothing_though_the_switchboard_is_away(board: Board) -> None:
    saving = board.saving()
    async with running(saving):
        await turns()
        saving.add(said(1), at_once=False)
        board.troubles = [AWAY]
        await saving.leave()
        assert board.given_up == []
        await saving.leave()
    assert [entry.key for entry in board.entries] == ["caller:1"]
    assert len(board.reports) == 1


async def test_who_leaves_what_is_anothers_already_complains_of_nothing(board: Board) -> None:
    saving = board.saving()
    async with running(saving):
        await turns()
        board.troubles = [ConversationSuperseded("another holder has it", call_id=CALL)]
        await saving.leave()
    assert (board.given_up, board.reports) == ([], [])


# -- what the switchboard heard while no owner listened ----------------------------------------------------------------


TALKING = replace(PLAN, greeting=None)


def caller_says(world: FakeWorld, text: str, item_id: str = "item_1") -> None:
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
    caller_says(world, "Hello?")
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
        self.resync = Resync(self.world.ports(), CALL, self.tasks.start, self.read.append)


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
