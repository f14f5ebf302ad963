"""Live calls with real sockets: the simulator, a real switchboard, real clients."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from airflow_world import World, until
from tests.random_lives import KINDS, RandomLife, random_script
from tests.unit.conversation import tool_samples
from tests.unit.conversation.live import Line
from tests.unit.conversation.talk import SCHEMA

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, FunctionSpec, TransferTarget
from airflow_openai_realtime.exceptions import ConversationSuperseded
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation

PLAN = ConversationPlan(
    greeting="Good morning.",
    silence_seconds=5,
    result_schema=SCHEMA,
    functions=(FunctionSpec("look_up", "tests.unit.conversation.tool_samples.look_up", "", {"type": "object"}),),
    transfer_targets={"desk": TransferTarget("tel:+14155550177", "A person")},
)


@pytest.fixture
async def line(world: World) -> AsyncIterator[Line]:
    async with Line(world) as made:
        yield made


def person(*replies: Reply | str) -> PhoneScript:
    """A person, and what the model says to them; the test says later what they do."""
    return PhoneScript.talks_for_ever(dialogue=Dialogue(replies or ("Hello.",)))


async def texts(line: Line, call_id: str) -> list[str]:
    """What was said, as far as it is saved."""
    found = await line.switchboard.asend(get_conversation(call_id))
    return [str(entry.body.get("text")) for entry in found.entries] if found is not None else []


async def until_saved(line: Line, call_id: str, text: str) -> None:
    """Wait until the switchboard has what was said."""
    for _ in range(300):
        if text in await texts(line, call_id):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{text} was not saved")


async def greeted(line: Line, call: SwitchboardCall, *moves: Move) -> None:
    """The person hears the model's first words before they make their moves: on a slow machine those may come late."""
    await until(line.world, lambda: line.world.simulator.log.said(call.call_id, "model"))
    line.world.simulator.act(call.call_id, *moves)


async def run(line: Line, call: SwitchboardCall, *moves: Move) -> CallResult:
    """Run a call to its end, with what the person does after they were greeted."""
    running = asyncio.ensure_future(line.run(call, PLAN))
    await greeted(line, call, *moves)
    return await running


async def lived(line: Line, life: RandomLife, number: str) -> CallResult:
    if life.fault is not None:
        line.world.simulator.faults.add(replace(life.fault, number=number))
    script, moves = life.script, life.script.dialogue.moves
    waits_for_greeting = bool(moves) and life.kind not in ("leaves_at_once", "interrupts")
    if waits_for_greeting:
        script = replace(script, dialogue=replace(script.dialogue, moves=()))
    call = await line.accept(script, PLAN, number=number, seconds=12 if life.endless else 120)
    return await (run(line, call, *moves) if waits_for_greeting else line.run(call, PLAN))


@pytest.mark.realtime_simulator(speed=3)
async def test_thirty_random_lives_at_once_end_as_the_simulators_log_says(world: World, line: Line) -> None:
    rng = random.Random(20261122)
    kinds = list(KINDS) + rng.choices(list(KINDS), k=30 - len(KINDS))
    lives = {f"+14155551{index:03d}": random_script(rng, kind=kind) for index, kind in enumerate(kinds)}
    results = await asyncio.gather(*(lived(line, life, number) for number, life in lives.items()))
    for (_, life), result in zip(lives.items(), results, strict=True):
        record = world.record(result.call_id)
        assert result.outcome in life.outcomes, (life.kind, result)
        assert record.ended_by == life.ended_by
        assert not record.open
        row = world.row(result.call_id)
        assert row.state == "ended"
        conversation = await line.conversation(result.call_id)
        assert conversation.result == result.to_dict()
        assert (result.keys, result.result) == (life.keys, life.result), life.kind
        assert [tool["name"] for tool in result.tools] == list(life.tools), life.kind
    assert not [row for row in world.simulator.log.calls if row.open]


@pytest.mark.realtime_simulator(speed=3)
async def test_the_transcript_is_what_was_said(world: World, line: Line) -> None:
    call = await line.accept(person("Good morning.", "For how many?", "Thank you."), PLAN)
    result = await run(
        line,
        call,
        Move.says("I want a table."),
        Move.says("For two.", transcript_after_seconds=1.5),
        Move.hangs_up(after_seconds=3),
    )
    entries = sorted((await line.conversation(call.call_id)).entries, key=lambda entry: entry.at)
    speakers = {"agent": "model", "caller": "caller"}
    spoken = [(speakers[entry.kind], entry.body["text"]) for entry in entries if entry.kind in speakers]
    assert spoken == [
        ("model", "Good morning."),
        ("caller", "I want a table."),
        ("model", "For how many?"),
        ("caller", "For two."),
        ("model", "Thank you."),
    ]
    assert sorted(spoken) == sorted(world.simulator.log.said(call.call_id))
    assert result.turns == {"caller": 2, "agent": 3}
    assert result.usage["responses"] == 3


@pytest.mark.realtime_simulator(speed=3)
async def test_the_goodbye_is_heard_before_it_is_hung_up(world: World, line: Line) -> None:
    words = "It was a pleasure to talk to you and goodbye"
    call = await line.accept(person("Hello.", Reply.calls("end_call", {}, text=words)), PLAN)
    result = await run(line, call, Move.says("Bye."))
    assert (result.outcome, result.reason) == ("completed", "end_call")
    goodbye = next(e for e in world.simulator.log.of_kind("session.said") if e.detail["text"] == words)
    ended = next(e for e in world.simulator.log.of_kind("openai.hangup") if e.call_id == call.call_id)
    assert (ended.at - goodbye.at).total_seconds() > 0.3 * len(words.split())


@pytest.mark.realtime_simulator(speed=3)
async def test_a_function_runs_once_and_the_model_hears_of_it(world: World, line: Line) -> None:
    tool_samples.ran.clear()
    script = person("Hello.", Reply.calls("look_up", {"order": 7}), "It is on its way.")
    call = await line.accept(script, PLAN)
    result = await run(line, call, Move.says("Where is my order?"), Move.hangs_up(after_seconds=2))
    assert [ran[0] for ran in tool_samples.ran] == [7]
    (answered,) = world.simulator.log.of_kind("session.tool_answered")
    assert answered.detail["output"] == '{"order":7,"kind":"new"}'
    assert ("model", "It is on its way.") in world.simulator.log.said(result.call_id)
    assert result.tools == ({"name": "look_up", "status": "ok"},)


@pytest.mark.realtime_simulator(speed=3)
async def test_a_call_that_was_accepted_without_tools_gets_them(world: World, line: Line) -> None:
    call = await line.accept(person("Hello.", Reply.calls("end_call", {})), PLAN, offer=False)
    assert (await run(line, call, Move.says("Bye."))).reason == "end_call"
    assert not world.simulator.log.of_kind("session.error")


@pytest.mark.realtime_simulator(speed=3)
async def test_another_triggerer_takes_the_call_over(world: World, line: Line) -> None:
    plan = replace(PLAN, silence_seconds=60)
    call = await line.accept(person("Hello.", "Hello Ann.", "Yes."), plan)
    first = asyncio.ensure_future(line.run(call, plan))
    await greeted(line, call, Move.says("My name is Ann."))
    await until_saved(line, call.call_id, "Hello Ann.")
    second = asyncio.ensure_future(line.run(call, plan))
    await until(world, lambda: world.attachments() == 2)
    world.simulator.act(call.call_id, Move.says("Are you there?"))
    with pytest.raises(ConversationSuperseded):
        # It notices with the next thing that it wants to save.
        await asyncio.wait_for(first, 30)
    assert world.is_open(call.call_id)
    await until_saved(line, call.call_id, "Yes.")
    world.simulator.act(call.call_id, Move.hangs_up())
    result = await second
    assert (result.outcome, result.resumed) == ("caller_hung_up", True)
    assert result.turns == {"caller": 2, "agent": 3}
    assert world.count("openai.hangup") <= 1


@pytest.mark.realtime_simulator(speed=3)
async def test_a_cancelled_run_leaves_the_call_to_the_next_one(world: World, line: Line) -> None:
    plan = replace(PLAN, silence_seconds=60)
    call = await line.accept(person(), plan)
    began = time.monotonic()
    first = asyncio.ensure_future(line.run(call, plan))
    await greeted(line, call, Move.says("My name is Ann."))
    await until_saved(line, call.call_id, "My name is Ann.")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert world.is_open(call.call_id)
    second = asyncio.ensure_future(line.run(call, plan))
    await until(world, lambda: world.attachments() == 2)
    seconds = time.monotonic() - began
    world.simulator.act(call.call_id, Move.hangs_up())
    result = await second
    assert (result.outcome, result.resumed, result.turns["caller"]) == ("caller_hung_up", True, 1)
    assert 0 < result.gap_seconds < seconds


async def until_noted(line: Line, call_id: str, what: str) -> None:
    """Wait until there is a note about something."""
    for _ in range(300):
        found = await line.conversation(call_id)
        if any(entry.body.get("what") == what for entry in found.entries):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"there is no note of {what}")


async def died(line: Line, running: asyncio.Task[CallResult]) -> None:
    """The process of a holder is gone without a word."""
    line.way.is_cut = True
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.realtime_simulator(speed=3)
async def test_what_is_said_after_the_holder_has_died_is_heard_and_its_tools_are_run_by_the_next(
    world: World, line: Line
) -> None:
    tool_samples.ran.clear()
    replies = ("Hello.", "Nice to meet you.", Reply.calls("look_up", {"order": 7}), "It is on its way.")
    plan = replace(PLAN, silence_seconds=60)
    call = await line.accept(person(*replies), plan)
    async with Line(world) as first:
        running = asyncio.ensure_future(first.run(call, plan))
        await greeted(line, call, Move.says("My name is Ann."))
        await until_saved(line, call.call_id, "Nice to meet you.")
        await died(first, running)
        await until_noted(line, call.call_id, "stood_by")
        world.simulator.act(call.call_id, Move.says("Where is my order?"))
        await until_noted(line, call.call_id, "asked")
    assert tool_samples.ran == []
    second = asyncio.ensure_future(line.run(call, plan))
    await until_saved(line, call.call_id, "It is on its way.")
    world.simulator.act(call.call_id, Move.hangs_up())
    result = await asyncio.wait_for(second, 60)
    assert (result.outcome, result.resumed) == ("caller_hung_up", True)
    assert result.turns == {"caller": 2, "agent": 3}
    assert result.tools == ({"name": "look_up", "status": "ok"},)
    assert [ran[0] for ran in tool_samples.ran] == [7]
    assert 0 < result.gap_seconds < 30
    conversation = await line.conversation(call.call_id)
    assert conversation.result == result.to_dict()
    assert Summary.of(conversation.entries, conversation.heard_until).gap_seconds == result.gap_seconds


@pytest.mark.realtime_simulator(speed=3)
async def test_a_call_that_is_given_up_in_order_is_listened_to_until_its_end(world: World, line: Line) -> None:
    plan = replace(PLAN, silence_seconds=60)
    call = await line.accept(person(), plan)
    first = asyncio.ensure_future(line.run(call, plan))
    await greeted(line, call, Move.says("My name is Ann."))
    await until_saved(line, call.call_id, "Hello.")
    await until_saved(line, call.call_id, "My name is Ann.")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await until_noted(line, call.call_id, "stood_by")
    world.simulator.act(call.call_id, Move.says("Are you there?"))
    await until_saved(line, call.call_id, "Are you there?")
    world.simulator.act(call.call_id, Move.hangs_up())
    result = await asyncio.wait_for(line.run(call, plan), 60)
    assert (result.outcome, result.resumed, result.turns["caller"]) == ("caller_hung_up", True, 2)


@pytest.mark.realtime_simulator(speed=3)
async def test_the_call_goes_on_while_the_switchboard_is_away(world: World, line: Line) -> None:
    plan = replace(PLAN, silence_seconds=60)
    call = await line.accept(person(), plan)
    running = asyncio.ensure_future(line.run(call, plan))
    await greeted(line, call, Move.says("One."))
    await until(world, lambda: ("caller", "One.") in world.simulator.log.said(call.call_id))
    leaving = world.switchboard_away()
    await asyncio.to_thread(leaving.__enter__)
    try:
        world.simulator.act(call.call_id, Move.says("Two."), Move.says("Three."), Move.hangs_up(after_seconds=1))
        await until(world, lambda: not world.is_open(call.call_id))
        assert not running.done()
    finally:
        await asyncio.to_thread(leaving.__exit__, None, None, None)
    result = await asyncio.wait_for(running, 60)
    assert (result.outcome, result.turns["caller"]) == ("caller_hung_up", 3)
    conversation = await line.conversation(call.call_id)
    assert conversation.result == result.to_dict()
    assert len([entry for entry in conversation.entries if entry.kind == "caller"]) == 3


@pytest.mark.realtime_simulator(speed=3)
async def test_a_transfer_ends_the_call(world: World, line: Line) -> None:
    transfer = Reply.calls("transfer_call", {"target": "desk"}, text="A moment.")
    call = await line.accept(person("Hello.", transfer), PLAN)
    result = await run(line, call, Move.says("A person!"))
    assert (result.outcome, result.transfer) == ("transfer_requested", "desk")
    assert world.record(call.call_id).transferred_to == "tel:+14155550177"
    assert world.row(call.call_id).target_uri == "tel:+14155550177"
