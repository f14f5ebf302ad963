"""Whole calls for tests: what people and model say, and running an operator with its trigger to the result."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow_world import FakeTask, context, run_task
from pydantic import BaseModel

from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


class Survey(BaseModel):
    """What a survey asks."""

    score: int


def satisfied(**others: Any) -> PhoneScript:
    """A person who gives a score; the model records it, says goodbye and ends the call."""
    replies = (
        Reply("Hi?", thinks_seconds=0.05),
        Reply.calls("record_result", {"score": 5}, thinks_seconds=0.05),
        Reply.calls("end_call", {}, text="Bye.", thinks_seconds=0.05),
    )
    moves = (Move.says("Five!", after_seconds=0.1),)
    return PhoneScript.talks_for_ever(**{"after_seconds": 0.1, **others}, dialogue=Dialogue(replies, moves))


def deferred(operator: Any, task: FakeTask | None = None) -> TaskDeferred:
    """Run a task until it defers."""
    with pytest.raises(TaskDeferred) as deferral:
        run_task(operator, context(task or FakeTask()))
    return deferral.value


async def fire(deferral: TaskDeferred) -> dict[str, Any]:
    """Run its trigger until it fires."""
    events = [event.payload async for event in deferral.trigger.run()]  # type: ignore[attr-defined]
    assert len(events) == 1
    payload: dict[str, Any] = events[0]
    return payload


async def completed(operator: Any, deferral: TaskDeferred, given: dict[str, Any] | None = None) -> Any:
    """Run the trigger, and let the task return its result."""
    event = await fire(deferral)
    return await asyncio.to_thread(run_task, operator, given or context(), deferral.method_name, event=event)


async def whole(operator: Any, given: dict[str, Any] | None = None) -> Any:
    """Run a task, its trigger and its completion."""
    deferral = await asyncio.to_thread(deferred, operator)
    return await completed(operator, deferral, given)
