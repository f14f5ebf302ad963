from __future__ import annotations

import threading

import pytest

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.faults import Fault, Faults


@pytest.fixture
def faults() -> Faults:
    return Faults(threading.RLock())


def test_a_fault_happens_as_often_as_it_was_set(faults: Faults) -> None:
    faults.status("accept", 429, times=2)
    assert [bool(faults.take("accept")) for _ in range(3)] == [True, True, False]


def test_faults_of_one_operation_happen_in_order(faults: Faults) -> None:
    faults.status("accept", 429)
    faults.time_out("accept")
    assert [faults.take("accept").kind, faults.take("accept").kind] == ["status", "time_out"]


def test_a_fault_leaves_other_operations_alone(faults: Faults) -> None:
    faults.reset("accept")
    assert faults.take("hangup") is None
    assert len(faults.pending) == 1


def test_a_fault_for_one_number_leaves_others_alone(faults: Faults) -> None:
    faults.status("place", 500, number="+14155550123")
    assert faults.take("place", "+14155550124") is None
    assert faults.take("place", "+14155550123") is not None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"operation": "dance", "kind": "status"}, "operation"),
        ({"operation": "accept", "kind": "late"}, "kind"),
        ({"operation": "accept", "kind": "status", "status": 200}, "status"),
        ({"operation": "accept", "kind": "status", "times": 0}, "times"),
        ({"operation": "accept", "kind": "status", "colour": "red"}, "colour"),
        ({"operation": "accept"}, "operation"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Fault.from_dict(values)
    assert caught.value.field == field


def test_a_fault_survives_json(faults: Faults) -> None:
    fault = Fault("webhook", "duplicate", copies=3)
    assert Fault.from_dict(fault.to_dict()) == fault
