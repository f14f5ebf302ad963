"""Random lives: what is written beside them comes true, for an owner that runs the call correctly."""

from __future__ import annotations

import json
import random

import pytest
from tests.random_lives import KINDS, LifeTools, RandomLife, kinds_with, random_script
from tests.unit.simulator.support import CALLER, PERSON, SESSION
from tests.unit.simulator.talking import TRANSCRIBES, Listener

from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.log import CallRecord
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.world import World

TOOLS = [{"type": "function", "name": name} for name in ("end_call", "record_result", "transfer_call")]


class Holder(Listener):
    """Looks after a call: greets, answers tools, hangs up when it should."""

    def __init__(self, world: World, call: SimulatedCall) -> None:
        super().__init__()
        self._world, self._call = world, call
        self._read = 0

    def work(self) -> None:
        """Answer what came since the last time; attach again when the socket broke."""
        while self._read < len(self.events):
            event = self.events[self._read]
            self._read += 1
            if event is None:
                if self.broken:
                    self.broken = False
                    self._world.sidebands.attach(self._call, self)
            elif event["type"] == "response.function_call_arguments.done":
                self._run(event["name"], event["call_id"])

    def _run(self, name: str, tool_call_id: str) -> None:
        if name == "end_call":
            self._world.calls.hang_up(self._call.call_id)
        elif name == "transfer_call":
            self._world.calls.refer(self._call.call_id, "tel:+14155550199")
        else:
            item = {"type": "function_call_output", "call_id": tool_call_id, "output": "ok"}
            self.say(type="conversation.item.create", item=item)
            self.say(type="response.create")

    def say(self, **command: object) -> None:
        self._world.sidebands.receive(self._call, self, json.dumps(command))


def live(world: World, life: RandomLife, *, greets: bool) -> CallRecord:
    if life.fault is not None:
        world.faults.add(life.fault)
    call_id = world.call_in(PERSON, CALLER, script=life.script)
    session = {**SESSION, **TRANSCRIBES, "tools": TOOLS}
    world.calls.accept(call_id, session, dies=world.faults.take("accept", PERSON) is not None)
    call = world.calls.find(call_id)
    assert call is not None
    holder = Holder(world, call)
    if world.sidebands.attach(call, holder) and greets:
        holder.say(type="response.create")
    for _ in range(1200):  # two minutes
        world.clock.advance(0.1)
        holder.work()
    if call.state == "accepted":  # silence, or the time is over
        world.calls.hang_up(call_id)
    return world.log.call(call_id=call_id)


@pytest.mark.parametrize("greets", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_life_comes_out_as_it_is_written(world: World, kind: str, greets: bool) -> None:
    life = random_script(random.Random(f"{kind}{greets}"), kind=kind, tools=LifeTools(greets=greets))
    row = live(world, life, greets=greets)
    call_id = row.call_id or ""
    said = tuple(text for _, text in world.log.said(call_id, "caller"))
    assert row.ended_by == life.ended_by
    assert said[: len(life.caller_said)] == life.caller_said
    assert life.endless or len(said) == len(life.caller_said)
    assert "".join(each.detail["key"] for each in world.log.of_kind("session.pressed")) == life.keys
    assert tuple(each.detail["name"] for each in world.log.of_kind("session.tool_called")) == life.tools
    results = [e.detail for e in world.log.of_kind("session.tool_called") if e.detail["name"] == "record_result"]
    assert (json.loads(results[-1]["arguments"]) if results else None) == life.result
    assert not world.log.open_calls()


def test_the_same_seed_gives_the_same_lives() -> None:
    first, second = ([random_script(random.Random(seed)) for seed in range(20)] for _ in range(2))
    assert first == second
    assert len({life.kind for life in first}) > 5


def test_a_life_can_be_sent_to_another_process() -> None:
    for kind in KINDS:
        script = random_script(random.Random(1), kind=kind).script
        assert PhoneScript.from_dict(json.loads(json.dumps(script.to_dict()))) == script


def test_no_life_needs_a_tool_that_is_not_there() -> None:
    tools = LifeTools(end_call=None, record_result=None, transfer=None)
    assert set(KINDS) - set(kinds_with(tools)) == {
        "ends_call",
        "agrees_then_hangs_up",
        "agrees_at_second_try",
        "is_transferred",
    }
    assert not any(random_script(random.Random(seed), tools=tools).tools for seed in range(100))
