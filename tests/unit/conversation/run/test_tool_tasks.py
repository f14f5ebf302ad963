"""Tools that run: none before its call is noted, and each answers once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.conversation.fake_world import CALL, FakeWorld
from tests.unit.conversation.talk import LOOK_UP, PLAN

from airflow_openai_realtime.conversation.rules.effects import CheckResult, Refer, RunFunction, ToolAnswer
from airflow_openai_realtime.conversation.run import tool_tasks
from airflow_openai_realtime.conversation.run.function_running import TooManyThreads
from airflow_openai_realtime.conversation.run.run_call import Tasks
from airflow_openai_realtime.conversation.run.tool_tasks import ToolTasks
from airflow_openai_realtime.exceptions import CallError, CallGone, OutcomeUnknown, RequestRefused

RUN = RunFunction("call_1", LOOK_UP, "{}")
CHECK = CheckResult("call_1", '{"agreed": true}')
REFER = Refer("call_1", "desk", "tel:+14155550177")


class Noted:
    """What is saved of the timeline: all tool calls, or none."""

    def __init__(self, is_saved: bool) -> None:
        self._is_saved = is_saved
        self.asked: list[tuple[str, float]] = []

    async def is_saved(self, key: str, seconds: float) -> bool:
        self.asked.append((key, seconds))
        return self._is_saved


class Running:
    """The tools of one call, and what they answered."""

    def __init__(self, *, is_saved: bool = True, **world: Any) -> None:
        self.world = FakeWorld(PLAN, **world)
        self.noted: Any = Noted(is_saved)
        self.answers: list[tuple[str, ToolAnswer]] = []
        self.tasks = Tasks()
        self.tools = ToolTasks(
            self.world.ports(),
            PLAN,
            self.world.call(),
            self.noted,
            self.tasks.start,
            lambda tool_call_id, answer: self.answers.append((tool_call_id, answer)),
        )

    async def answer(self, effect: Any) -> ToolAnswer:
        self.tools.start(effect)
        await self.tools.wait(1)
        ((tool_call_id, answer),) = self.answers
        assert tool_call_id == "call_1"
        await self.tasks.stop()
        return answer


async def test_a_function_runs_after_its_call_was_noted() -> None:
    running = Running()
    assert await running.answer(RUN) == ToolAnswer("ok", "42")
    assert running.world.ran == ["look_up"]
    assert running.noted.asked == [("tool_call:call_1", 6.0)]


@pytest.mark.parametrize("effect", [RUN, REFER])
async def test_what_could_not_be_noted_is_not_done_since_it_might_be_done_twice(effect: Any) -> None:
    running = Running(is_saved=False)
    answer = await running.answer(effect)
    assert (answer.status, running.world.ran, running.world.referred) == ("not_run", [], [])
    assert "might have run twice" in answer.log
    assert "switchboard" not in answer.output


async def test_a_record_is_checked_though_nothing_could_be_noted() -> None:
    running = Running(is_saved=False)
    answer = await running.answer(CHECK)
    assert (answer.status, answer.detail["value"], answer.detail["valid"]) == ("ok", {"agreed": True}, True)
    assert running.noted.asked == []


async def test_a_record_that_does_not_fit_is_told_to_the_model() -> None:
    answer = await Running().answer(replace(CHECK, arguments='{"agreed": "yes"}'))
    assert answer.status == "invalid"
    assert "agreed" in answer.output


@pytest.mark.parametrize("error", [TooManyThreads("64 functions run already"), asyncio.TimeoutError()])
async def test_a_record_that_cannot_be_checked_is_kept_as_it_came(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(work: Any) -> Any:
        raise error

    monkeypatch.setattr(tool_tasks, "run_in_thread", busy)
    answer = await Running().answer(replace(CHECK, arguments=json.dumps({"note": "x" * 20_000})))
    assert (answer.status, answer.detail["valid"], answer.detail["problems"]) == ("unusable", False, ["not checked"])
    assert len(answer.detail["value"]) == 10_000
    assert type(error).__name__ in answer.log


async def test_a_transfer_is_asked_for_at_its_target() -> None:
    running = Running()
    answer = await running.answer(REFER)
    assert (answer.status, answer.detail, answer.log) == ("requested", {"target": "desk"}, "")
    assert running.world.referred == ["tel:+14155550177"]


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (OutcomeUnknown("no answer", call_id=CALL), "requested", "may have been requested or not"),
        (CallGone("404", call_id=CALL), "failed", "was not requested"),
        (RequestRefused("400", call_id=CALL), "failed", "was not requested"),
    ],
)
async def test_a_transfer_whose_outcome_is_unknown_counts_as_requested(
    error: CallError, status: str, says: str
) -> None:
    answer = await Running(refer_fails=error).answer(REFER)
    assert (answer.status, "target" in answer.detail) == (status, status == "requested")
    assert says in answer.log
    assert "177" not in answer.log + answer.output


async def test_waiting_for_tools_ends_with_them_or_with_its_time() -> None:
    never = asyncio.Event()

    async def hangs() -> ToolAnswer:
        await never.wait()
        return ToolAnswer("ok", "late")

    running = Running(functions={"look_up": hangs})
    await running.tools.wait(60)  # nothing runs, so nothing is waited for
    running.tools.start(RUN)
    waiting = asyncio.ensure_future(running.tools.wait(5))
    await running.world.time.go_on(4)
    assert not waiting.done()
    await running.world.time.go_on(2)
    assert waiting.done()
    assert running.answers == []
    never.set()
    await running.tools.wait(5)
    assert [answer.output for _, answer in running.answers] == ["late"]
    await running.tasks.stop()


async def test_a_tool_whose_call_ends_is_stopped_without_an_answer() -> None:
    async def hangs() -> ToolAnswer:
        await asyncio.Event().wait()
        raise AssertionError("never")

    running = Running(functions={"look_up": hangs})
    running.tools.start(RUN)
    await running.world.time.settle()
    await running.tasks.stop()
    assert running.answers == []
    await running.tools.wait(60)
