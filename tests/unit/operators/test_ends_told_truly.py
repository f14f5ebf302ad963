"""The task that watches a call, the switchboard's row and the ledger agree on who ended it and why."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from airflow_world import FakeTask, World, context, run_task, until
from whole_calls import completed, deferred, fire, whole

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.operators.refer import ReferCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    end_call,
    list_attempts,
    list_calls,
    report_ended,
)
from airflow_openai_realtime.triggers import pacing

PHONE = "+14155550142"
TALKS_ON = PhoneScript.talks_for_ever(after_seconds=0.05, dialogue=Dialogue((Reply("Hello?", thinks_seconds=0.05),)))
TARGET = "tel:+14155550177"


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


@dataclass
class Watched:
    """A placed call that was accepted, and the task that watches it in the triggerer."""

    call_id: str
    attempt: dict[str, Any]
    watching: asyncio.Task[Any]


async def watched(world: World) -> Watched:
    world.simulator.phones.add(PHONE, TALKS_ON)
    place = PlaceCallOperator(task_id="place", to=PHONE, campaign="c", contact="ann")
    attempt = await asyncio.to_thread(run_task, place)

    def call_id() -> str | None:
        with world.client() as client:
            calls = client.send(list_calls(state="all")).calls
        wanted = attempt["correlation_id"]
        return next((call.call_id for call in calls if call.header(CORRELATION_HEADER) == wanted), None)

    await until(world, call_id)
    found = str(await asyncio.to_thread(call_id))
    await asyncio.to_thread(run_task, AcceptCallOperator(task_id="accept", call=found))
    watch = WatchCallOperator(task_id="watch", call=found, silence_seconds=None)
    task = context(FakeTask(task_id="watch"))
    deferral = await asyncio.to_thread(deferred, watch, FakeTask(task_id="watch"))
    running = asyncio.create_task(completed(watch, deferral, task))
    await until(world, world.attachments)
    return Watched(found, attempt, running)


def ledger(world: World) -> tuple[str, str | None]:
    with world.client() as client:
        (row,) = client.send(list_attempts("c"))
    return row.state, row.outcome


def kept_outcome(world: World, call_id: str) -> str | None:
    with world.client() as client:
        kept = client.send(get_conversation(call_id))
    return kept.outcome if kept is not None else None


@pytest.mark.parametrize("_", range(5))
async def test_a_watched_call_that_a_task_hangs_up_was_not_ended_by_the_caller(world: World, _: int) -> None:
    call = await watched(world)
    hung_up = await asyncio.to_thread(run_task, HangupCallOperator(task_id="hang_up", call=call.call_id))
    result = await call.watching
    row = world.row(call.call_id)
    assert (result["outcome"], result["reason"]) == ("completed", "hung_up")
    assert (hung_up["gone"], hung_up["end_reason"]) == (False, "hung_up")
    assert (row.end_reason, row.end_witness, row.ended_by) == (
        "hung_up",
        "api",
        "campaign/scheduled__2026-11-22T08:00:00+00:00/wait/-1",
    )
    assert (kept_outcome(world, call.call_id), ledger(world)) == ("completed", ("ended", "answered"))


async def test_a_watched_call_that_a_user_ends_at_the_switchboard_says_so(world: World) -> None:
    call = await watched(world)
    with world.client() as client:
        client.send(end_call(call.call_id, reason="hung_up", by="user ann"))
    result = await call.watching
    row = world.row(call.call_id)
    assert (result["outcome"], result["reason"]) == ("completed", "hung_up")
    assert (row.end_reason, row.ended_by) == ("hung_up", "user ann")


async def test_a_watched_call_that_a_task_transfers_is_told_as_transferred(world: World) -> None:
    call = await watched(world)
    await asyncio.to_thread(run_task, ReferCallOperator(task_id="refer", call=call.call_id, target_uri=TARGET))
    result = await call.watching
    assert result["outcome"] == "transfer_requested"
    assert world.row(call.call_id).end_reason == "transfer_requested"


async def test_a_transfer_that_ends_the_call_before_it_is_answered_is_told_as_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await watched(world)
    send = CallsClient.send

    def answered_last(self: CallsClient, request: Request[Any]) -> Any:
        answer = send(self, request)
        assert request.operation == "refer"
        assert world.simulator.wait_for(lambda: world.row(call.call_id).is_over)
        return answer

    monkeypatch.setattr(CallsClient, "send", answered_last)
    await asyncio.to_thread(run_task, ReferCallOperator(task_id="refer", call=call.call_id, target_uri=TARGET))
    result = await call.watching
    row = world.row(call.call_id)
    assert result["outcome"] == "transfer_requested"
    assert (row.end_reason, row.end_witness) == ("transfer_requested", "transfer")


async def test_a_call_that_was_transferred_before_anybody_watched_is_not_gone(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring, script=TALKS_ON)
    await asyncio.to_thread(run_task, AcceptCallOperator(task_id="accept", call=call_id))
    await asyncio.to_thread(run_task, ReferCallOperator(task_id="refer", call=call_id, target_uri=TARGET))
    await until(world, lambda: not world.is_open(call_id))
    result = await whole(WatchCallOperator(task_id="watch", call=call_id))
    assert result["outcome"] == "transfer_requested"
    assert result["talk_seconds"] is None  # no process has listened
    assert world.row(call_id).end_reason == "transfer_requested"


async def test_a_call_whose_caller_hangs_up_is_told_as_that(world: World) -> None:
    call = await watched(world)
    await asyncio.to_thread(world.simulator.phones.hang_up, PHONE)
    result = await call.watching
    row = world.row(call.call_id)
    assert (result["outcome"], row.end_reason) == ("caller_hung_up", "caller_hung_up")
    assert (row.end_witness, row.ended_by, ledger(world)) == ("socket", "caller", ("ended", "answered"))


async def test_a_task_that_is_killed_after_the_model_ended_the_call_does_not_make_the_caller_end_it(
    world: World,
) -> None:
    """The trigger dies right after it hung up: the note on the timeline says who did."""
    bye = Reply.calls("end_call", {}, text="Bye.", thinks_seconds=0.05)
    ends_it = Dialogue((Reply("Hello?", thinks_seconds=0.05), bye), (Move.says("No.", after_seconds=0.1),))
    call_id = await asyncio.to_thread(world.ring, script=PhoneScript.talks_for_ever(dialogue=ends_it))
    operator = AcceptCallOperator(task_id="talk", call=call_id, wait_for_end=True, greeting="Hello?")
    deferral = await asyncio.to_thread(deferred, operator)
    running = asyncio.create_task(fire(deferral))
    await until(world, lambda: not world.is_open(call_id))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    event = await asyncio.to_thread(over, call_id, world)
    world.let_pass(130)  # no other holder comes
    await until(world, lambda: kept_outcome(world, call_id))
    result = await asyncio.to_thread(run_task, operator, context(), "execute_complete", event=event)
    assert (result["outcome"], result["reason"]) == ("completed", "end_call")
    assert world.row(call_id).end_reason == "end_call"


async def test_a_placed_call_lasts_as_long_as_the_carrier_counted(world: World) -> None:
    """The caller hung up, and OpenAI's session lived on for long: the socket saw the end much later."""
    world.simulator.phones.add(
        PHONE,
        PhoneScript.talks_for_ever(after_seconds=0.05, hang_up_noticed_after_seconds=30, dialogue=TALKS_ON.dialogue),
    )
    operator = PlaceCallOperator(
        task_id="talk", to=PHONE, campaign="c", contact="ann", wait_for_end=True, silence_seconds=None
    )
    deferral = await asyncio.to_thread(deferred, operator)
    running = asyncio.create_task(completed(operator, deferral))
    await until(world, world.attachments)
    await asyncio.to_thread(world.simulator.phones.hang_up, PHONE)
    await asyncio.to_thread(world.simulator.clock.advance, 40)
    result = await running
    assert result["talk_seconds"] == world.row(result["call_id"]).talk_seconds
    assert result["talk_seconds"] < 20
    assert ledger(world)[0] == "ended"


def over(call_id: str, world: World) -> dict[str, Any]:
    """The event of a trigger whose call is over, once the switchboard has ended the row."""
    with world.client() as client:
        client.send(report_ended(call_id, "gone"))
    return {"status": "over", "call_id": call_id}
