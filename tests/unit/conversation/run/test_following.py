"""A call is run to its end here, or its end is waited for when another owner has taken it over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.asked import Answers, ask_methods
from tests.unit.conversation.fake_world import CALL, START, FakeWorld

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run import following as under_test
from airflow_openai_realtime.conversation.run.following import run_or_follow, until_finished
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    ConversationSuperseded,
    SwitchboardError,
    SwitchboardRefused,
    SwitchboardUnreachable,
)

AWAY = SwitchboardUnreachable("away")
LIVE = SwitchboardCall(CALL, "l", "accepted", START, START, accepted_at=START, hangup_at=START + timedelta(seconds=60))
OVER = replace(LIVE, state="ended", end_reason="ended")
OPEN = Conversation(CALL, "l", "other", 2, START, START)
FINISHED = replace(OPEN, finished_at=START, outcome="completed", result={})


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_methods(monkeypatch, under_test, get_call="call", get_conversation="conversation")


class Board(Answers):
    """A switchboard that answers each look with the next of its answers, and then with the last one."""

    def __init__(self, calls: Sequence[Any], conversations: Sequence[Any] = (FINISHED,)) -> None:
        self._calls = list(calls)
        self._conversations = list(conversations)
        self.now = START
        self.pauses: list[float] = []
        self.looks = 0

    async def call(self, call_id: str) -> SwitchboardCall:
        self.looks += 1
        found: SwitchboardCall = self._next(self._calls)
        return found

    async def conversation(self, call_id: str) -> Conversation | None:
        found: Conversation | None = self._next(self._conversations)
        return found

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)

    async def follow(self, call: SwitchboardCall = LIVE) -> None:
        await until_finished(self, call, self.sleep, lambda: self.now)  # type: ignore[arg-type]

    def passed(self) -> float:
        return (self.now - START).total_seconds()

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_call_that_is_over_and_finished_is_not_waited_for() -> None:
    board = Board([OVER])
    await board.follow()
    assert board.pauses == []


async def test_it_waits_until_the_call_is_over_and_then_until_its_result_is_written() -> None:
    board = Board([LIVE, LIVE, OVER], [OPEN, OPEN, FINISHED])
    await board.follow()
    assert board.pauses == [3.0] * 4
    assert board.looks == 3


async def test_a_call_without_a_conversation_gets_no_result_to_wait_for() -> None:
    board = Board([OVER], [None])
    await board.follow()
    assert board.pauses == []


async def test_a_result_that_its_owner_never_writes_is_waited_for_half_a_minute() -> None:
    board = Board([OVER], [OPEN])
    await board.follow()
    assert board.passed() == 30


async def test_a_switchboard_that_is_away_meanwhile_is_asked_again() -> None:
    board = Board([AWAY, LIVE, AWAY, OVER], [AWAY, FINISHED])
    await board.follow()
    assert board.passed() == 12


async def test_a_switchboard_that_stays_away_is_asked_until_well_after_the_end_of_the_call() -> None:
    board = Board([AWAY])
    with pytest.raises(SwitchboardUnreachable):
        await board.follow()
    assert board.passed() == 180


async def test_a_call_that_goes_on_after_its_time_is_an_error_that_names_it() -> None:
    board = Board([LIVE])
    with pytest.raises(SwitchboardError, match="rtc_1 should be over, and is not") as raised:
        await board.follow()
    assert raised.value.call_id == CALL
    assert board.passed() == 180


async def test_a_refusal_is_raised_at_once() -> None:
    board = Board([SwitchboardRefused("token")])
    with pytest.raises(SwitchboardRefused):
        await board.follow()
    assert board.pauses == []


async def test_without_a_time_of_its_own_a_call_is_waited_for_from_now_on() -> None:
    board = Board([AWAY])
    with pytest.raises(SwitchboardUnreachable):
        await board.follow(replace(LIVE, hangup_at=None))
    assert board.passed() == 120


async def result_of(world: FakeWorld, board: Any, **changes: Any) -> Any:
    """Run the call or follow it, while time passes."""
    following = run_or_follow(replace(world.ports(), **changes), world.plan, world.call(), board)
    task = asyncio.ensure_future(following)
    await world.time.go_on(60)
    assert task.done()
    return task.result()


async def test_the_result_of_a_call_that_was_run_here_is_returned() -> None:
    world = FakeWorld(ConversationPlan.only_listening())
    world.end()
    board = Board([AssertionError("it is not asked")])
    result = await result_of(world, board)
    assert (result.call_id, board.looks) == (CALL, 0)


async def test_a_call_that_another_owner_has_taken_over_has_its_result_at_the_switchboard() -> None:
    world = FakeWorld(ConversationPlan.only_listening())
    board = Board([LIVE, OVER])

    async def superseded(call_id: str) -> Any:
        raise ConversationSuperseded("another owner has it", call_id=call_id)

    assert await result_of(world, board, open=superseded) is None
    assert board.looks == 2
    assert world.reports == ["Another task runs the conversation of call rtc_1 now; waiting for its end."]
    assert world.hung_up == 0


async def test_a_refused_key_is_not_waited_for() -> None:
    world = FakeWorld(ConversationPlan.only_listening(), attach_fails=[AuthenticationError("401")])
    board = Board([AssertionError("it is not asked")])
    with pytest.raises(AuthenticationError):
        await result_of(world, board)
    assert board.looks == 0
