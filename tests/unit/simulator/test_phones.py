from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import Dialogue, PhoneScript
from airflow_openai_realtime.simulator.world import World


def test_a_phone_follows_its_scripts_in_order_and_repeats_the_last(world: World) -> None:
    world.phones.add(PERSON, PhoneScript.busy(), PhoneScript.no_answer())
    record = world.log.open_record("outbound", CALLER, PERSON)
    reactions = [world.phones.dial(PERSON, record).reaction for _ in range(3)]
    assert reactions == ["busy", "no_answer", "no_answer"]


def test_an_unknown_phone_answers(world: World) -> None:
    record = world.log.open_record("outbound", CALLER, PERSON)
    assert world.phones.dial(PERSON, record) == PhoneScript()


def test_a_phone_that_rings_for_two_calls_at_once_shows_in_the_log(world: World) -> None:
    record = world.log.open_record("outbound", CALLER, PERSON)
    first = world.phones.ring(PERSON, record)
    world.phones.ring(PERSON, record).stop()
    first.stop()
    first.stop()
    world.phones.ring(PERSON, record)
    assert [ring.detail["already_ringing"] for ring in world.log.rings(PERSON)] == [False, True, False]


def test_a_script_survives_json() -> None:
    script = PhoneScript.talks_for_ever(after_seconds=1, answered_by="fax", dialogue=Dialogue(("Bye.",)))
    assert PhoneScript.from_dict(script.to_dict()) == script


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"reaction": "explodes"}, "reaction"),
        ({"after_seconds": -1}, "after_seconds"),
        ({"mood": "good"}, "mood"),
        ({"dialogue": {"replies": []}}, "replies"),
        ({"dialogue": {"jokes": []}}, "jokes"),
    ],
)
def test_a_script_that_cannot_be_is_refused_by_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PhoneScript.from_dict(values)
    assert caught.value.field == field


def test_a_phone_without_a_script_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        world.phones.add(PERSON)
