"""Ending a call at once, whatever state it is in."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import CallAlreadyDecided, CallGone, OutcomeUnknown
from airflow_openai_realtime.inbound.ending_now import EndedNow, end_now, tell_ended_now
from airflow_openai_realtime.states import EndReason, Witness

RINGS = SwitchboardCall(call_id="rtc_1", line="support", state="ringing", received_at=START, expires_at=START)
CLAIMED = replace(RINGS, state="claimed", claimed_by="me")
ANNOUNCED = replace(CLAIMED, hangup_at=START)
LIVE = replace(ANNOUNCED, state="accepted", accepted_at=START)
GONE = HangUpResult(gone=True)


class Calls:
    """OpenAI's answers in their order; remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def _next(self, what: str) -> Any:
        self.asked.append(what)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send(self, request: Request[Any]) -> Any:
        assert request.call_id == "rtc_1"
        if request.operation == "reject":
            assert request.body == {"status_code": DEFAULT_REJECT_STATUS}
        return self._next(request.operation.replace("_", " "))


HUNG_UP = HangUpResult(gone=False)


@pytest.mark.parametrize(
    ("row", "answers", "asked", "ended"),
    [
        pytest.param(LIVE, [HUNG_UP], ["hang up"], EndedNow(), id="live"),
        pytest.param(None, [HUNG_UP], ["hang up"], EndedNow(), id="unknown to the switchboard"),
        pytest.param(LIVE, [GONE], ["hang up"], EndedNow(gone=True), id="over before"),
        pytest.param(
            LIVE, [HangUpResult(gone=True, maybe_by_us=True)], ["hang up"], EndedNow(), id="perhaps ended by us"
        ),
        pytest.param(RINGS, [None], ["reject"], EndedNow(declined=True), id="rings"),
        pytest.param(CLAIMED, [None], ["reject"], EndedNow(declined=True), id="claimed, no accept has left"),
        pytest.param(RINGS, [CallGone("no")], ["reject"], EndedNow(gone=True), id="rang out"),
        pytest.param(
            RINGS, [CallAlreadyDecided("no"), HUNG_UP], ["reject", "hang up"], EndedNow(), id="accepted meanwhile"
        ),
        pytest.param(ANNOUNCED, [HUNG_UP], ["hang up"], EndedNow(), id="an accept got through"),
        pytest.param(
            ANNOUNCED, [GONE, None], ["hang up", "reject"], EndedNow(declined=True), id="an accept did not get through"
        ),
        pytest.param(
            ANNOUNCED,
            [GONE, CallAlreadyDecided("no"), HUNG_UP],
            ["hang up", "reject", "hang up"],
            EndedNow(),
            id="an accept got through in between",
        ),
    ],
)
def test_a_call_is_declined_while_it_rings_and_hung_up_otherwise(
    row: SwitchboardCall | None, answers: list[Any], asked: list[str], ended: EndedNow
) -> None:
    calls = Calls(*answers)
    assert end_now(calls, "rtc_1", row) == ended  # type: ignore[arg-type]
    assert calls.asked == asked


def test_a_decline_without_a_clear_answer_is_an_error() -> None:
    with pytest.raises(OutcomeUnknown):
        end_now(Calls(OutcomeUnknown("no answer")), "rtc_1", RINGS)  # type: ignore[arg-type]


class Switchboard:
    """Remembers the ends that it gets."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def send(self, request: Request[Any]) -> SwitchboardCall:
        self.told.append((request.operation, request.call_id, request.body))
        return RINGS


def _told(account: Account) -> dict[str, Any]:
    return {name: value for name, value in asdict(account).items() if value is not None}


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (EndedNow(declined=True), ("rejected", "rtc_1", {"status_code": DEFAULT_REJECT_STATUS})),
        (
            EndedNow(gone=True),
            ("ended", "rtc_1", {**_told(Account(Witness.FOUND_GONE, EndReason.GONE)), "too_late_for": "task"}),
        ),
        (EndedNow(), ("ended", "rtc_1", _told(Account(Witness.API, "hung_up", "task")))),
    ],
)
def test_the_switchboard_is_told_how_it_ended(ended: EndedNow, told: tuple[Any, ...]) -> None:
    switchboard = Switchboard()
    tell_ended_now(switchboard, "rtc_1", ended, "hung_up", "task")  # type: ignore[arg-type]
    assert switchboard.told == [told]
