"""Ending a call at once, whatever state it is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.api.request import SWITCHBOARD, Request
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls.acceptance import run_steps
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import (
    CallAlreadyDecided,
    CallGone,
    ConfigurationError,
    OutcomeUnknown,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.inbound.ending_now import EndedNow, ending_now
from airflow_openai_realtime.states import EndReason, Witness

RINGS = SwitchboardCall(call_id="rtc_1", line="support", state="ringing", received_at=START, expires_at=START)
CLAIMED = replace(RINGS, state="claimed", claimed_by="me")
ANNOUNCED = replace(CLAIMED, hangup_at=START)
LIVE = replace(ANNOUNCED, state="accepted", accepted_at=START)
OVER = replace(LIVE, state="ended", ended_at=START, end_reason="max_duration")
GONE = HangUpResult(gone=True)


class Peers:
    """
    OpenAI and the switchboard; remembers what they were asked.

    :param row: The call as the switchboard has it; an error: it cannot be asked.
    :param answers: OpenAI's, in their order.
    """

    def __init__(self, row: SwitchboardCall | Exception, *answers: Any) -> None:
        self.row = row
        self.answers = list(answers)
        self.asked: list[str] = []
        self.told: list[tuple[str, Any]] = []

    def send(self, request: Request[Any]) -> Any:
        assert request.call_id == "rtc_1"
        if request.to == SWITCHBOARD:
            self.told.append((request.operation, request.body))
            if isinstance(self.row, Exception):
                raise self.row
            return self.row if request.operation == "end" else replace(OVER, end_reason="as the switchboard knows")
        if request.operation == "reject":
            assert request.body == {"status_code": DEFAULT_REJECT_STATUS}
        self.asked.append(request.operation.replace("_", " "))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def end(peers: Peers, report: Callable[[str], None] = print) -> EndedNow:
    return run_steps(ending_now("rtc_1", "hung_up", "task", report), peers.send)


HUNG_UP = HangUpResult(gone=False)


@pytest.mark.parametrize(
    ("row", "answers", "asked", "ended"),
    [
        pytest.param(LIVE, [HUNG_UP], ["hang up"], EndedNow(), id="live"),
        pytest.param(UnknownCall("no"), [HUNG_UP], ["hang up"], EndedNow(), id="unknown to the switchboard"),
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
    row: SwitchboardCall | Exception, answers: list[Any], asked: list[str], ended: EndedNow
) -> None:
    peers = Peers(row, *answers)
    known = None if isinstance(row, Exception) else "as the switchboard knows"
    assert end(peers) == replace(ended, end_reason=known)
    assert peers.asked == asked


def test_a_decline_without_a_clear_answer_is_an_error() -> None:
    with pytest.raises(OutcomeUnknown):
        end(Peers(RINGS, OutcomeUnknown("no answer")))


def _told(account: Account) -> dict[str, Any]:
    return {name: value for name, value in asdict(account).items() if value is not None}


@pytest.mark.parametrize(
    ("row", "answer", "told"),
    [
        (RINGS, None, ("rejected", {"status_code": DEFAULT_REJECT_STATUS})),
        (LIVE, GONE, ("ended", {**_told(Account(Witness.FOUND_GONE, EndReason.GONE)), "too_late_for": "task"})),
        (LIVE, HUNG_UP, ("ended", _told(Account(Witness.API, "hung_up", "task")))),
    ],
)
def test_the_switchboard_is_told_before_who_ends_the_call_and_afterwards_how_it_ended(
    row: SwitchboardCall, answer: Any, told: tuple[str, Any]
) -> None:
    peers = Peers(row, answer)
    end(peers)
    intention = {"reason": "hung_up", "by": "task", "after_seconds": 0.0, "acting": True}
    assert peers.told == [("end", intention), told]


def test_a_call_that_is_over_is_left_alone_and_keeps_its_reason() -> None:
    peers = Peers(OVER)
    assert end(peers) == EndedNow(gone=True, end_reason="max_duration")
    assert peers.asked == []
    assert [operation for operation, _ in peers.told] == ["end"]


@pytest.mark.parametrize("trouble", [SwitchboardUnreachable("no route"), ConfigurationError("no switchboard_url")])
def test_a_switchboard_that_cannot_be_asked_keeps_no_call_alive(trouble: Exception) -> None:
    said: list[str] = []
    peers = Peers(trouble, HUNG_UP)
    assert end(peers, said.append) == EndedNow()
    assert peers.asked == ["hang up"]
    assert ["is being ended" in line for line in said] == [True, False]
    assert all(str(trouble) in line for line in said)
