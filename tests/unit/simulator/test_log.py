from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import CallRecord, LogEntry
from airflow_openai_realtime.simulator.world import World


def test_entries_are_numbered_and_timed(world: World) -> None:
    world.log.add("a")
    world.clock.advance(5)
    world.log.add("b")
    first, second = world.log.entries
    assert (first.sequence, second.sequence) == (1, 2)
    assert (second.at - first.at).total_seconds() == pytest.approx(5)


def test_an_entry_about_a_call_names_it(world: World) -> None:
    record = world.log.open_record("outbound", CALLER, PERSON, carrier_sid="CA1")
    record.call_id = "rtc_1"
    entry = world.log.add("openai.ringing", record, why="test")
    assert (entry.call_id, entry.carrier_sid, entry.number, entry.detail) == ("rtc_1", "CA1", PERSON, {"why": "test"})


def test_rows_that_were_read_do_not_change_later(world: World) -> None:
    record = world.log.open_record("inbound", PERSON, CALLER)
    row = world.log.calls[0]
    record.settle("missed", "caller")
    assert row.fate == "in_progress"
    assert world.log.calls[0].fate == "missed"


def test_the_first_fate_of_a_call_stays(world: World) -> None:
    record = world.log.open_record("inbound", PERSON, CALLER)
    record.settle("rejected", "api_reject")
    record.settle("completed", "carrier")
    assert (record.fate, record.ended_by) == ("rejected", "api_reject")


def test_questions_are_answered_from_rows_and_entries(world: World) -> None:
    record = world.log.open_record("outbound", CALLER, PERSON, carrier_sid="CA1")
    record.accepted, record.open = 1, True
    world.log.add("carrier.queued", record)
    world.log.add("carrier.ringing", record)
    assert world.log.open_calls() == world.log.accepted() == world.log.calls_with(PERSON) == [record]
    assert world.log.hangups() == []
    assert [entry.kind for entry in world.log.of_kind("carrier.", number=PERSON)] == [
        "carrier.queued",
        "carrier.ringing",
    ]
    assert world.log.of_kind("carrier") == []
    assert world.log.call(carrier_sid="CA1") == record
    with pytest.raises(InvalidInput, match="rtc_9"):
        world.log.call(call_id="rtc_9")


def test_entries_and_rows_survive_json(world: World) -> None:
    record = world.log.open_record("outbound", CALLER, PERSON)
    entry = world.log.add("a", record, answer=200)
    assert LogEntry.from_dict(entry.to_dict()) == entry
    assert CallRecord.from_dict(record.to_dict()) == record


def test_waiting_ends_when_the_condition_holds_or_the_time_is_up(world: World) -> None:
    assert world.log.wait_for(lambda: True, timeout_seconds=0)
    assert not world.log.wait_for(lambda: False, timeout_seconds=0.01)


def test_listeners_hear_every_entry(world: World) -> None:
    heard: list[LogEntry] = []
    world.log.listen(heard.append)
    entry = world.log.add("a")
    assert heard == [entry]
