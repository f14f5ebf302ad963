"""One short request ends a call: hang-up, row, result and ledger are the switchboard's work from then on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow_world import CALLER, World, run_task, until
from tests.unit.conversation.live import HOLDER, SESSION, Line

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.exceptions import CallGone, ClaimLost
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation, open_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    end_call,
    get_call,
    get_status,
    list_attempts,
    list_calls,
    report_accepted,
)

PHONE = "+14155550142"


async def placed(world: World, line: Line, **script: Any) -> tuple[str, str]:
    """Ring a phone that is picked up and accept its call; ids of the attempt and of the call."""
    world.simulator.phones.add(PHONE, PhoneScript.talks_for_ever(**{"after_seconds": 0.05, **script}))
    operator = PlaceCallOperator(task_id="place", to=PHONE, campaign="c", contact="ann")
    attempt = await asyncio.to_thread(run_task, operator)

    def call_of_attempt() -> str | None:
        with world.client() as client:
            calls = client.send(list_calls(state="all")).calls
        mine = (call for call in calls if call.header(CORRELATION_HEADER) == attempt["correlation_id"])
        return next((call.call_id for call in mine), None)

    await until(world, call_of_attempt)
    call_id = await asyncio.to_thread(call_of_attempt)
    assert call_id is not None
    return attempt["attempt_id"], call_id


async def accepted(world: World, line: Line, **script: Any) -> tuple[str, str]:
    attempt_id, call_id = await placed(world, line, **script)
    await line.switchboard.asend(announce_accept(call_id, HOLDER, 600))
    await line.calls.asend(accept_call(call_id, SESSION))
    await line.switchboard.asend(report_accepted(call_id, HOLDER))
    return attempt_id, call_id


def ledger(world: World) -> tuple[str, str | None, str | None]:
    with world.client() as client:
        (row,) = client.send(list_attempts("c"))
    return row.state, row.outcome, row.call_id


async def test_a_killed_call_is_hung_up_and_told_as_killed_on_row_result_and_ledger(world: World) -> None:
    async with Line(world) as line:
        _, call_id = await accepted(world, line)
        opened = await line.switchboard.asend(open_conversation(call_id, HOLDER))
        assert ledger(world)[0] == "placed"
        await line.switchboard.asend(end_call(call_id, reason="killed", by="task c/r/t"))
        line.way.is_cut = True  # the process that asked is dead from now on
        await until(world, lambda: world.row(call_id).is_over)
        row = world.row(call_id)
        assert (row.end_reason, row.ended_by, row.end_witness) == ("killed", "task c/r/t", "api")
        assert not world.is_open(call_id)
        assert ledger(world) == ("ended", "killed", call_id)
        world.let_pass(20)  # its holder does not come back

        def outcome() -> str | None:
            with world.client() as client:
                kept = client.send(get_conversation(call_id))
            return kept.outcome if kept is not None and kept.generation == opened.generation else None

        await until(world, outcome)
        assert outcome() == "killed"


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_call_that_only_rings_is_declined(world: World, claimed: bool) -> None:
    async with Line(world) as line:
        _, call_id = await placed(world, line)
        if claimed:
            await line.switchboard.asend(claim_call(call_id, HOLDER))
        await line.switchboard.asend(end_call(call_id, reason="killed", by="me"))
        await until(world, lambda: world.row(call_id).is_over)
        row = world.row(call_id)
        assert (row.state, row.status_code, row.end_reason) == ("rejected", 603, "killed")
        assert world.record(call_id).fate == "rejected"
        assert ledger(world) == ("ended", "killed", call_id)


async def test_a_call_whose_accept_never_left_is_declined(world: World) -> None:
    async with Line(world) as line:
        _, call_id = await placed(world, line)
        await line.switchboard.asend(announce_accept(call_id, HOLDER, 600))
        await line.switchboard.asend(end_call(call_id, reason="killed", by="me"))
        await until(world, lambda: world.row(call_id).is_over)
        assert (world.row(call_id).state, world.record(call_id).fate) == ("rejected", "rejected")


async def test_a_call_that_is_to_end_is_accepted_by_nobody_any_more(world: World) -> None:
    async with Line(world) as line:
        _, call_id = await placed(world, line)
        await line.switchboard.asend(claim_call(call_id, HOLDER))
        world.simulator.faults.add(Fault("reject", "time_out"))
        await line.switchboard.asend(end_call(call_id, reason="killed", by="me"))
        with pytest.raises((CallGone, ClaimLost)):
            await line.switchboard.asend(announce_accept(call_id, HOLDER, 600))


@pytest.mark.parametrize("taken_up_by", ["opening", "accepting"])
async def test_a_call_that_lost_its_holder_goes_on_when_the_next_one_takes_it_up(
    world: World, taken_up_by: str
) -> None:
    async with Line(world) as line:
        _, call_id = await accepted(world, line)
        await line.switchboard.asend(open_conversation(call_id, HOLDER))
        before = (await line.switchboard.asend(get_call(call_id))).hangup_at
        lost = await line.switchboard.asend(end_call(call_id, reason="killed", by="me", after_seconds=60))
        assert (lost.end_wanted, lost.end_is_delayed) == ("killed", True)
        if taken_up_by == "opening":
            await line.switchboard.asend(open_conversation(call_id, HOLDER))
        else:
            await line.switchboard.asend(announce_accept(call_id, HOLDER, 600))
        world.let_pass(61)
        await until_swept(world)
        row = world.row(call_id)
        assert (row.state, row.end_wanted, row.hangup_at) == ("accepted", None, before)
        assert world.is_open(call_id)


async def test_a_call_that_no_holder_takes_up_ends(world: World) -> None:
    async with Line(world) as line:
        _, call_id = await accepted(world, line)
        await line.switchboard.asend(end_call(call_id, reason="killed", by="me", after_seconds=60))
        world.let_pass(59)
        await until_swept(world)
        assert world.is_open(call_id)
        world.let_pass(2)
        await until(world, lambda: world.row(call_id).is_over)
        assert (world.row(call_id).end_reason, world.is_open(call_id)) == ("killed", False)
        assert ledger(world) == ("ended", "killed", call_id)


async def test_a_kill_comes_before_a_clear(world: World) -> None:
    async with Line(world) as line:
        _, call_id = await accepted(world, line)
        await line.switchboard.asend(end_call(call_id, reason="lost", by="me", after_seconds=60))
        await line.switchboard.asend(end_call(call_id, reason="killed", by="me"))
        await until(world, lambda: world.row(call_id).is_over)
        assert world.row(call_id).end_reason == "killed"


@pytest.mark.parametrize(
    "fault", [Fault("hangup", "status", status=503), Fault("hangup", "reset", carried_out=True)], ids=["503", "lost"]
)
async def test_a_hang_up_that_fails_once_or_loses_its_answer_is_still_told_truly(world: World, fault: Fault) -> None:
    async with Line(world) as line:
        _, call_id = await accepted(world, line)
        world.simulator.faults.add(fault)
        await line.switchboard.asend(end_call(call_id, reason="killed", by="me"))
        await until(world, lambda: world.row(call_id).is_over)
        assert (world.row(call_id).end_reason, world.is_open(call_id)) == ("killed", False)


async def test_a_caller_who_had_left_before_is_told_as_gone(world: World) -> None:
    async with Line(world) as line:
        _, call_id = await accepted(world, line)
        await asyncio.to_thread(world.simulator.phones.hang_up, PHONE)
        await until(world, lambda: not world.is_open(call_id))
        await line.switchboard.asend(end_call(call_id, reason="hung_up", by="me"))
        await until(world, lambda: world.row(call_id).is_over)
        row = world.row(call_id)
        assert (row.end_reason, row.end_witness, row.ended_by) == ("gone", "found_gone", None)
        assert ledger(world) == ("ended", "answered", call_id)


async def test_a_call_whose_caller_leaves_while_no_holder_is_there_does_not_stand_as_talking(world: World) -> None:
    plan = ConversationPlan(greeting=None, silence_seconds=None)
    async with Line(world) as line:
        call = await line.accept(PhoneScript.talks_for_ever(), plan, seconds=600)
        running = asyncio.create_task(line.run(call, plan))
        await until(world, world.attachments)
        line.way.is_cut = True  # this process is as good as dead
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        def is_heard() -> bool:
            with world.client() as client:
                kept = client.send(get_conversation(call.call_id))
            return kept is not None and any(entry.body.get("what") == "stood_by" for entry in kept.entries)

        await until(world, is_heard)
        await asyncio.to_thread(world.simulator.phones.hang_up, CALLER)
        await until(world, lambda: world.row(call.call_id).is_over)
        row = world.row(call.call_id)
        assert (row.end_reason, row.end_witness, row.ended_by) == ("caller_hung_up", "socket", "caller")
        assert row.ended_at < row.hangup_at


async def until_swept(world: World) -> None:
    """Wait until the reaper has looked at everything as it is now."""

    def last() -> str:
        with world.client() as client:
            return str(client.send(get_status())["reaper_last_sweep_at"])

    begun = await asyncio.to_thread(last)
    await until(world, lambda: last() != begun)
    begun = await asyncio.to_thread(last)
    await until(world, lambda: last() != begun)
