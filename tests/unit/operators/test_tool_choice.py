"""``tool_choice`` may name the tools that a whole call adds to its session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow_world import World, run_task
from whole_calls import SCHEMA, satisfied, whole

from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
from airflow_openai_realtime.exceptions import InvalidInput, InvalidSession
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.line import OpenLineOperator

#: A function of the author's, by its path; it is not called here.
FUNCTIONS = ["tool_samples.book"]
NAMES = ["record_result", "end_call", "transfer_call", "book"]
ADDED = {"result_model": SCHEMA, "functions": FUNCTIONS, "transfer_to": {"desk": "tel:+14155550100"}}


def choice(name: str) -> dict[str, str]:
    return {"type": "function", "name": name}


def accepting(call: str = "rtc_1", **kwargs: Any) -> AcceptCallOperator:
    return AcceptCallOperator(task_id="talk", call=call, **kwargs)


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_may_name_a_tool_of_the_whole_call(name: str) -> None:
    accepting(wait_for_end=True, tool_choice=choice(name), **ADDED)
    accepting(wait_for_end=True, session=RealtimeSession(tool_choice=choice(name)), **ADDED)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"wait_for_end": True, **ADDED}])
def test_a_tool_that_nobody_adds_is_refused_when_the_dag_is_parsed(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidSession, match="'nobody' is not among the tools"):
        accepting(tool_choice=choice("nobody"), **given)


@pytest.mark.parametrize("name", ["record_result", "transfer_call"])
def test_a_tool_that_this_call_does_not_add_is_refused_before_the_call_is_accepted(world: World, name: str) -> None:
    call_id = world.ring()
    with pytest.raises(InvalidInput, match=f"'{name}' is not among the tools"):
        run_task(accepting(call_id, wait_for_end=True, tool_choice=choice(name)))
    assert world.row(call_id).accepted_at is None


def test_a_standing_order_has_no_tools_but_its_own() -> None:
    with pytest.raises(InvalidSession, match="not among the tools"):
        OpenLineOperator(task_id="open", name="hours", tool_choice=choice("record_result"))


async def test_the_accepted_session_has_the_choice_and_the_tool(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    given = {"greeting": "Hello.", "result_model": SCHEMA, "tool_choice": choice("record_result")}
    result = await whole(accepting(call_id, wait_for_end=True, **given))
    assert result["result"] == {"score": 5}
