from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION, TARGET
from tests.unit.simulator.talking import Talk

from airflow_openai_realtime.simulator import Dialogue, Move
from airflow_openai_realtime.simulator.narrator import tell
from airflow_openai_realtime.simulator.world import World


def test_no_line_of_a_whole_call_shows_a_number(world: World) -> None:
    call_id = world.call_in(PERSON, CALLER)
    world.calls.accept(call_id, SESSION)
    world.calls.refer(call_id, f"tel:{TARGET}")
    world.clock.advance(100)
    lines = [tell(entry) for entry in world.log.entries]
    assert any("to be transferred to tel:+1***" in line for line in lines)
    for number in (PERSON, CALLER, TARGET):
        assert number[2:] not in "\n".join(lines)


def test_a_conversation_is_told_without_numbers(world: World) -> None:
    dialogue = Dialogue(("What is your number?",), (Move.says(f"It is {PERSON}."), Move.presses("1"), Move.hangs_up()))
    Talk(world, dialogue)
    world.clock.advance(30)
    lines = "\n".join(tell(entry) for entry in world.log.entries)
    assert "caller in the call with +1***0123: It is +1***0123." in lines
    assert "presses 1" in lines
    assert PERSON[2:] not in lines


@pytest.mark.parametrize("detail", [{}, {"answer": 200, "key_sent": True}])
def test_an_entry_nobody_has_words_for_is_told_all_the_same(world: World, detail: dict[str, object]) -> None:
    line = tell(world.log.add("carrier.place", number=PERSON, **detail))
    assert "carrier: place" in line
    assert ("answer 200" in line) is bool(detail)


def test_an_entry_that_lacks_a_detail_is_told_all_the_same(world: World) -> None:
    assert "answer ?" in tell(world.log.add("webhook.delivered"))
