from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.saving import MOST_WAITING, Saving
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    SwitchboardRefused,
    SwitchboardUnreachable,
)

CALL = "rtc_1"
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
