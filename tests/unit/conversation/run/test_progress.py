from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pytest
from tests.unit.conversation.fake_world import Time

from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.saved_conversation import Conversation, Progress
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.conversation.run import progress
from airflow_openai_realtime.conversation.run.progress import BEAT_SECONDS, OLD_SECONDS, ProgressSender, shared_progress
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    OpenAIRealtimeError,
    SwitchboardRefused,
    SwitchboardUnreachable,
)

NOW = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
AWAY = SwitchboardUnreachable("away")
Sent = list[tuple[str, list[str]]]


def said(number: int) -> TimelineEntry:
    return entry_of("caller", NOW, number, text="x")


def keys(progress: Sequence[Progress]) -> Sent:
    return [(each.call_id, [entry.key for entry in each.entries]) for each in progress]


@dataclass
class Board:
    """A switchboard's client: what it was asked, and what it is to answer."""

    sent: list[Sent] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    appended: Sent = field(default_factory=list)
    opened: list[str | None] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)
    answers: dict[str, OpenAIRealtimeError] = field(default_factory=dict)
    is_finished: bool = False
    holds_back: asyncio.Event | None = None

    async def open_conversation(self, call_id: str, holder: str, process: str | None = None) -> Conversation:
        self.opened.append(process)
        return Conversation(call_id, "l", holder, 1, NOW, NOW, NOW if self.is_finished else None)

    async def save_progress(
        self, process: str, conversations: Sequence[Progress], *, leaving: bool = False
    ) -> list[frozenset[str] | OpenAIRealtimeError]:
        if self.holds_back is not None:
            await self.holds_back.wait()
        if leaving:
            self.left.append(process)
        else:
            self.sent.append(keys(conversations))
        if self.troubles:
            raise self.troubles.pop(0)
        self.given_up += [each.call_id for each in conversations if each.given_up]
        return [
            self.answers.get(each.call_id, frozenset(entry.key for entry in each.entries)) for each in conversations
        ]

    async def append_entries(self, call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> frozenset[str]:
        listed = [entry.key for entry in entries]
        self.appended.append((call_id, listed))
        if call_id in self.answers:
            raise self.answers[call_id]
        return frozenset(listed)

    async def finish_conversation(self, call_id: str, *_: Any) -> Conversation:
        if call_id in self.answers:
            raise self.answers[call_id]
        return Conversation(call_id, "l", "me", 1, NOW, NOW, NOW)

    async def asend(self, asked: Callable[[], Any]) -> Any:
        return await asked()


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """What would send requests calls the methods of the same names."""
    board = Board()
    answers = {
        "open_conversation": board.open_conversation,
        "save_progress": board.save_progress,
        "append_entries": board.append_entries,
        "finish_conversation": board.finish_conversation,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(progress, name, partial(partial, answer))
    return board


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def sender(board: Board, clock: Time) -> AsyncIterator[ProgressSender]:
    made: Any = ProgressSender(board, process="p1", sleep=clock.sleep, monotonic=lambda: clock.now.timestamp())  # type: ignore[arg-type]
    yield made
    await made.close()


def appending(sender: ProgressSender, *call_ids: str, number: int = 1) -> list[asyncio.Task[frozenset[str]]]:
    return [asyncio.ensure_future(sender.append(call_id, 1, [said(number)])) for call_id in call_ids]


async def test_what_several_conversations_save_goes_in_one_request(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    tasks = appending(sender, "rtc_1", "rtc_2", "rtc_3")
    await clock.go_on(0.1)
    assert board.sent == [[("rtc_1", ["caller:1"]), ("rtc_2", ["caller:1"]), ("rtc_3", ["caller:1"])]]
    assert [task.result() for task in tasks] == [frozenset({"caller:1"})] * 3


async def test_while_one_request_is_under_way_the_next_ones_gather(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    board.holds_back = asyncio.Event()
    first = appending(sender, "rtc_1")
    await clock.go_on(0.1)
    others = appending(sender, "rtc_2", "rtc_3")
    await clock.go_on(0.1)
    assert not any(task.done() for task in (*first, *others))
    board.holds_back.set()
    await clock.go_on(0.1)
    assert [[call_id for call_id, _ in each] for each in board.sent] == [["rtc_1"], ["rtc_2", "rtc_3"]]


async def test_a_request_that_hangs_holds_up_the_saves_of_all_calls_for_two_seconds(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    board.holds_back = asyncio.Event()
    (hanging,) = appending(sender, "rtc_1")
    await clock.go_on(1)
    board.holds_back = None  # the switchboard answers what comes from now on
    (other,) = appending(sender, "rtc_2")
    await clock.go_on(1.5)
    assert isinstance(hanging.exception(), SwitchboardUnreachable)  # the caller of append saves it again
    assert other.result() == frozenset({"caller:1"})


async def test_one_call_is_in_a_request_at_most_once(sender: ProgressSender, board: Board, clock: Time) -> None:
    appending(sender, "rtc_1", "rtc_2")
    appending(sender, "rtc_1", number=2)
    await clock.go_on(0.2)
    assert board.sent == [
        [("rtc_1", ["caller:1"]), ("rtc_2", ["caller:1"])],
        [("rtc_1", ["caller:2"])],
    ]


async def test_a_request_does_not_grow_beyond_what_one_can_hold(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    much = [said(number) for number in range(90)]
    tasks = [asyncio.ensure_future(sender.append(call_id, 1, much)) for call_id in ("rtc_1", "rtc_2", "rtc_3")]
    await clock.go_on(0.2)
    assert [len(task.result()) for task in tasks] == [90, 90, 90]
    assert [[call_id for call_id, _ in each] for each in board.sent] == [["rtc_1", "rtc_2"], ["rtc_3"]]


async def test_nothing_to_save_asks_for_nothing(sender: ProgressSender, board: Board) -> None:
    assert await sender.append("rtc_1", 1, []) == frozenset()
    assert board.sent == []


async def test_what_nobody_waits_for_any_more_is_not_sent(sender: ProgressSender, board: Board, clock: Time) -> None:
    (task,) = appending(sender, "rtc_1")
    await clock.settle()
    task.cancel()
    appending(sender, "rtc_2")
    await clock.go_on(0.1)
    assert board.sent == [[("rtc_2", ["caller:1"])]]


# -- what goes wrong -----------------------------------------------------------------------------------------------


async def test_what_is_refused_of_one_conversation_does_not_hinder_the_others(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    board.answers = {
        "rtc_1": ConversationSuperseded("another has it", call_id="rtc_1"),
        "rtc_2": InvalidInput("too long", field="entries"),
    }
    first, second, third = appending(sender, "rtc_1", "rtc_2", "rtc_3")
    await clock.go_on(0.1)
    assert isinstance(first.exception(), ConversationSuperseded)
    assert isinstance(second.exception(), InvalidInput)
    assert third.result() == {"caller:1"}


@pytest.mark.parametrize("trouble", [AWAY, RuntimeError("unforeseen")])
async def test_a_request_that_fails_is_told_to_all_and_the_next_one_is_sent(
    sender: ProgressSender, board: Board, clock: Time, trouble: Exception
) -> None:
    board.troubles = [trouble]
    failed = appending(sender, "rtc_1", "rtc_2")
    await clock.go_on(0.1)
    assert [task.exception() for task in failed] == [trouble, trouble]
    (again,) = appending(sender, "rtc_1")
    await clock.go_on(0.1)
    assert again.result() == {"caller:1"}


async def test_when_all_of_a_request_is_refused_each_conversation_is_tried_by_itself(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    board.troubles = [SwitchboardRefused("no", status=422)]
    board.answers = {"rtc_1": SwitchboardRefused("no", status=422)}
    refused, taken = appending(sender, "rtc_1", "rtc_2")
    await clock.go_on(0.1)
    assert isinstance(refused.exception(), SwitchboardRefused)
    assert taken.result() == {"caller:1"}
    assert [call_id for call_id, _ in board.appended] == ["rtc_1", "rtc_2"]


@pytest.mark.parametrize("status", [404, 405])
async def test_an_older_switchboard_is_given_each_conversation_by_itself_and_asked_again_later(
    sender: ProgressSender, board: Board, clock: Time, status: int
) -> None:
    board.troubles = [SwitchboardRefused("no such thing", status=status)]
    await sender.open("rtc_1", "me")
    (first,) = appending(sender, "rtc_1")
    await clock.go_on(5)
    (second,) = appending(sender, "rtc_1", number=2)
    await clock.go_on(OLD_SECONDS - 10)
    assert (first.result(), second.result()) == ({"caller:1"}, {"caller:2"})
    assert board.appended[-1] == ("rtc_1", ["caller:2"])
    assert len(board.sent) == 1
    await sender.open("rtc_2", "me")
    assert board.opened == ["p1", None]
    await clock.go_on(10)
    assert len(board.sent) > 1


# -- signs of life -------------------------------------------------------------------------------------------------


async def test_while_a_conversation_is_held_the_process_shows_itself(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    assert (await sender.open("rtc_1", "me")).generation == 1
    assert board.opened == ["p1"]
    await clock.go_on(10 * BEAT_SECONDS + 0.1)
    assert 10 <= len(board.sent) <= 12
    assert all(each == [] for each in board.sent)


async def test_so_it_does_while_the_switchboard_was_away(sender: ProgressSender, board: Board, clock: Time) -> None:
    board.troubles = [AWAY] * 3
    await sender.open("rtc_1", "me")
    await clock.go_on(10 * BEAT_SECONDS + 0.1)
    assert len(board.sent) >= 10


@pytest.mark.parametrize(
    "let_go",
    [
        lambda sender: sender.finish("rtc_1", 1, "completed", {}, []),
        lambda sender: sender.give_up("rtc_1", 1),
    ],
    ids=["finished", "given up"],
)
async def test_when_no_conversation_is_held_any_more_it_does_not_and_leaves_without_a_word(
    sender: ProgressSender, board: Board, clock: Time, let_go: Callable[[ProgressSender], Any]
) -> None:
    await sender.open("rtc_1", "me")
    await clock.go_on(1)
    task = asyncio.ensure_future(let_go(sender))
    await clock.go_on(1)
    await task
    count = len(board.sent)
    await clock.go_on(10)
    assert len(board.sent) == count
    await sender.close()
    assert board.left == []


async def test_what_is_given_up_is_told_to_the_switchboard(sender: ProgressSender, board: Board, clock: Time) -> None:
    await sender.open("rtc_1", "me")
    await sender.open("rtc_2", "me")
    task = asyncio.ensure_future(sender.give_up("rtc_1", 1))
    await clock.go_on(1)
    await task
    assert board.given_up == ["rtc_1"]
    count = len(board.sent)
    await clock.go_on(1)
    assert len(board.sent) > count


async def test_last_words_are_sent_though_the_end_of_the_process_has_cancelled_everything(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    await sender.open("rtc_1", "me")
    await clock.go_on(0.1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
    (last,) = appending(sender, "rtc_1")
    await clock.go_on(0.1)
    assert last.result() == frozenset({"caller:1"})
    assert board.sent[-1] == [("rtc_1", ["caller:1"])]


@pytest.mark.parametrize("how", ["append", "finish"])
async def test_a_conversation_that_another_holds_now_is_held_no_more(
    sender: ProgressSender, board: Board, clock: Time, how: str
) -> None:
    await sender.open("rtc_1", "me")
    board.answers = {"rtc_1": ConversationSuperseded("another has it", call_id="rtc_1")}
    asked = sender.append("rtc_1", 1, [said(1)]) if how == "append" else sender.finish("rtc_1", 1, "ok", {}, [])
    task = asyncio.ensure_future(asked)
    await clock.go_on(1)
    assert isinstance(task.exception(), ConversationSuperseded)
    count = len(board.sent)
    await clock.go_on(5)
    assert len(board.sent) <= count
    await sender.close()
    assert board.left == []


async def test_a_conversation_that_was_opened_anew_in_the_same_process_stays_held(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    await sender.open("rtc_1", "me")
    board.answers = {"rtc_1": ConversationSuperseded("another has it", call_id="rtc_1")}
    task = asyncio.ensure_future(sender.append("rtc_1", 0, [said(1)]))
    await clock.go_on(1)
    assert isinstance(task.exception(), ConversationSuperseded)
    count = len(board.sent)
    await clock.go_on(5)
    assert len(board.sent) > count


async def test_a_finished_conversation_is_not_held(sender: ProgressSender, board: Board, clock: Time) -> None:
    board.is_finished = True
    await sender.open("rtc_1", "me")
    await clock.go_on(5)
    assert board.sent == []


async def test_who_leaves_conversations_behind_says_so_after_all_else(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    await sender.open("rtc_1", "me")
    await clock.go_on(1)
    board.holds_back = asyncio.Event()
    await clock.go_on(1)
    count = len(board.sent)
    closing = asyncio.ensure_future(sender.close())
    await clock.settle()
    assert board.left == []
    board.holds_back.set()
    await closing
    assert (len(board.sent), board.left) == (count + 1, ["p1"])
    count = len(board.sent)
    await clock.go_on(5)
    assert len(board.sent) == count


async def test_leaving_raises_nothing_though_the_switchboard_is_away(
    sender: ProgressSender, board: Board, clock: Time
) -> None:
    await sender.open("rtc_1", "me")
    await clock.go_on(1)
    board.troubles = [AWAY]
    await sender.close()
    assert board.left == ["p1"]


async def test_all_conversations_of_a_line_in_one_loop_share_one_process(board: Board) -> None:
    support = SwitchboardAddress("http://board", "token", "support")
    client: Any = board
    async with shared_progress(support, client) as first, shared_progress(support, client) as second:
        assert first is second
        async with shared_progress(replace(support, line="sales"), client) as other:
            assert other.process != first.process
    async with shared_progress(support, client) as later:
        assert later.process != first.process
