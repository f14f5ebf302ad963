"""A placed call for the task that waits for it: what it reads, what it reports, and how the call may have ended."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.unit.asked import Answers, ask_methods

from airflow_openai_realtime.calls.call import Attempt
from airflow_openai_realtime.exceptions import CarrierUnavailable, InvalidInput, SwitchboardUnreachable, UnknownCall
from airflow_openai_realtime.outbound import placed as under_test
from airflow_openai_realtime.outbound.carriers.port import FINAL_STATUSES, CarrierCall
from airflow_openai_realtime.outbound.placed import (
    PlacedReference,
    about_attempt,
    about_given,
    carrier_outcome,
    outcome_before,
    outcome_of,
    read_placed,
)

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
NUMBER = "+14155550123"
ROW = Attempt("7", "spring", "ann", 2, "placed", "abc", NOW, NOW, to_number=NUMBER, carrier_call_id="CA1")
PLACED = {"attempt_id": 7, "correlation_id": "abc", "campaign": "spring", "carrier_call_id": "CA1", "status": "placed"}


@pytest.mark.parametrize("given", [PLACED, json.dumps(PLACED)])
def test_what_the_operator_returned_is_read_also_as_text(given: Any) -> None:
    assert read_placed(given) == PlacedReference(
        "7", "abc", "spring", carrier_call_id="CA1", about={"attempt_id": 7, "campaign": "spring"}
    )


def test_no_placed_call_is_none() -> None:
    assert read_placed(None) is None


@pytest.mark.parametrize(
    "given", ["", {}, "None", {"attempt_id": "7"}, {"correlation_id": "abc"}, {**PLACED, "attempt_id": ""}, 7, "[1]"]
)
def test_what_is_no_placed_call_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_placed(given)
    assert refused.value.field == "placed"


def test_what_is_said_of_an_attempt_shows_no_number_also_where_it_is_the_contact() -> None:
    said = about_attempt(replace(ROW, contact=NUMBER))
    assert NUMBER not in str(said)
    assert (said["attempt_id"], said["campaign"], said["attempt"], said["to_masked"]) == (
        "7",
        "spring",
        2,
        said["contact"],
    )
    assert about_attempt(ROW)["contact"] == "ann"
    assert about_attempt(replace(ROW, to_number=None))["to_masked"] is not None


@pytest.mark.parametrize(
    ("given", "found"), [(PLACED, {"attempt_id": 7, "campaign": "spring"}), ({}, {}), (None, {}), ("text", {})]
)
def test_what_a_call_in_xcom_says_of_its_attempt_goes_on_with_it(given: Any, found: dict[str, Any]) -> None:
    assert about_given(given) == found


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_methods(monkeypatch, under_test, get_attempt="attempt")


class Ledger(Answers):
    """A switchboard with one attempt."""

    def __init__(self, row: Any) -> None:
        self._row = row

    def attempt(self, attempt_id: str) -> Attempt:
        assert attempt_id == "7"
        if isinstance(self._row, Exception):
            raise self._row
        found: Attempt = self._row
        return found


REFERENCE = PlacedReference("7", "abc", carrier_call_id="CA1")


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (ROW, None),
        (replace(ROW, state="unknown"), None),
        (replace(ROW, state="ended", outcome="busy"), "busy"),
        (replace(ROW, state="ended"), "answered"),
        (replace(ROW, state="ended", outcome="killed", call_id="rtc_1"), "answered"),
        (replace(ROW, state="ended", outcome="killed"), "killed"),
        (UnknownCall("none"), None),
    ],
)
def test_an_attempt_that_has_ended_is_not_waited_for_again(row: Any, outcome: str | None) -> None:
    ledger: Any = Ledger(row)
    assert outcome_before(ledger, REFERENCE) == outcome


def test_a_ledger_that_cannot_be_read_is_an_error() -> None:
    ledger: Any = Ledger(SwitchboardUnreachable("away"))
    with pytest.raises(SwitchboardUnreachable):
        outcome_before(ledger, REFERENCE)


class Carrier(Answers):
    """A carrier that knows one call."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.asked = 0

    def look(self, carrier_call_id: str) -> CarrierCall:
        self.asked += 1
        if isinstance(self._call, Exception):
            raise self._call
        found: CarrierCall = self._call
        return found


@pytest.mark.parametrize(
    ("status", "outcome", "waits"),
    [
        ("ringing", None, False),
        ("in-progress", None, False),
        ("busy", "busy", False),
        ("no-answer", "no_answer", False),
        ("completed", "gone", True),
    ],
)
def test_after_a_call_that_was_picked_up_the_webhook_is_given_some_seconds(
    status: Any, outcome: str | None, waits: bool
) -> None:
    pauses: list[float] = []
    carrier: Any = Carrier(CarrierCall("CA1", status))
    assert carrier_outcome(carrier, REFERENCE, sleep=pauses.append) == outcome
    assert pauses == ([5.0] if waits else [])


def test_without_the_carriers_id_it_is_not_asked_and_its_errors_are_raised() -> None:
    carrier: Any = Carrier(CarrierUnavailable("no route"))
    assert carrier_outcome(carrier, replace(REFERENCE, carrier_call_id=None)) is None
    assert carrier.asked == 0
    with pytest.raises(CarrierUnavailable):
        carrier_outcome(carrier, REFERENCE)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("completed", "gone"),
        ("lost", "failed"),
    ],
)
def test_a_final_status_has_one_outcome(status: str, outcome: str) -> None:
    assert outcome_of(CarrierCall("CA1", status)) == outcome  # type: ignore[arg-type]


def test_a_call_that_was_picked_up_and_never_came_in_is_not_taken_for_answered() -> None:
    assert {outcome_of(CarrierCall("CA1", status)) for status in FINAL_STATUSES}.isdisjoint({"answered", "completed"})  # type: ignore[arg-type]
