from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.request import Answer, Request
from airflow_openai_realtime.exceptions import (
    CarrierRefused,
    CarrierUnavailable,
    DialError,
    InvalidInput,
    NumberRefused,
    PlacementUnknown,
)
from airflow_openai_realtime.outbound.carriers.port import (
    STATUSES,
    CarrierCall,
    CarrierSettings,
    DialRequest,
    PlacedCall,
)
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer, bridge

T = TypeVar("T")

SETTINGS = CarrierSettings(account="AC1", token="s3cret", base_url="https://carrier.test")
DIALER = TwilioDialer(SETTINGS)
PLACE = DIALER.place(
    DialRequest(to="+14155550123", from_number="+14155550100", sip_uri="sip:proj_a@sip.test", correlation_id="c-1")
)
LOOK, END, CHECK = DIALER.look("CA1"), DIALER.end("CA1"), DIALER.check()
OTHERS = pytest.mark.parametrize("request_", [LOOK, END, CHECK], ids=lambda it: it.operation)


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def interpret(request: Request[T], status: int, content: bytes) -> T:
    return request.read(request, Answer(status, {}, content, DIALER.service))


def answer(request: Request[Any], status: int, content: bytes = b"") -> DialError:
    with pytest.raises(DialError) as caught:
        interpret(request, status, content)
    return caught.value


def test_an_order_has_twilios_form(order):
    request = DIALER.place(order)
    assert (request.method, request.path) == ("POST", "/2010-04-01/Accounts/AC1/Calls.json")
    assert request.form == {
        "To": "+14155550123",
        "From": "+14155550100",
        "Twiml": bridge(order),
        "Timeout": "25",
        "TimeLimit": "300",
    }
    assert "4155550123" not in repr(request)


def test_the_other_requests_have_twilios_form():
    assert [(it.operation, it.method, it.path, it.form) for it in (LOOK, END, CHECK)] == [
        ("look", "GET", "/2010-04-01/Accounts/AC1/Calls/CA1.json", None),
        ("end", "POST", "/2010-04-01/Accounts/AC1/Calls/CA1.json", {"Status": "completed"}),
        ("check", "GET", "/2010-04-01/Accounts/AC1.json", None),
    ]
    assert next(DIALER.cancel("CA1")).form == {"Status": "canceled"}
    by_key = TwilioDialer(dataclasses.replace(SETTINGS, api_key="SK1"))
    assert by_key.check().path == "/2010-04-01/Accounts/AC1/Calls.json?PageSize=1"


def test_ringing_longer_than_twilio_allows_is_refused(order):
    assert DIALER.place(dataclasses.replace(order, ring_seconds=599.5)).form["Timeout"] == "600"
    with pytest.raises(InvalidInput, match="600"):
        DIALER.place(dataclasses.replace(order, ring_seconds=600.5))


@pytest.mark.parametrize("carrier_call_id", ["", "../x", "CA 1", "CA1.json", "x" * 65])
def test_an_id_cannot_reach_another_path(carrier_call_id):
    for build in (DIALER.look, DIALER.end, lambda it: next(DIALER.cancel(it))):
        with pytest.raises(InvalidInput, match="carrier_call_id"):
            build(carrier_call_id)


def test_an_order_is_never_repeated_by_policy():
    assert PLACE.policy.tries == 1
    assert PLACE.policy.repeat_after == frozenset()


@pytest.mark.parametrize("status", [200, 201])
def test_a_placed_call_is_read(status):
    assert interpret(PLACE, status, body(sid="CA1", status="queued")) == PlacedCall("CA1", "queued")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", body(), body(sid=None), body(sid=""), body(sid="a b"), b"[" * 99_999]
)
def test_an_order_that_was_taken_but_names_no_call_is_in_doubt(content):
    error = answer(PLACE, 201, content)
    assert type(error) is PlacementUnknown
    assert not error.safe_to_retry
    assert "call log" in str(error)


def test_a_call_is_read():
    content = body(sid="CA1", status="completed", duration="62", answered_by="machine_start")
    assert interpret(LOOK, 200, content) == CarrierCall("CA1", "completed", 62.0, "machine_start")
    content = body(sid="CA1", status="ringing", duration=None, answered_by=None)
    assert interpret(LOOK, 200, content) == CarrierCall("CA1", "ringing")


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_twilio_is_known(status):
    assert interpret(LOOK, 200, body(sid="CA1", status=status)).status == status


@pytest.mark.parametrize(
    ("word", "status"),
    [("initiated", "queued"), ("answered", "in-progress"), ("Cancelled", "canceled"), ("no_answer", "no-answer")],
)
def test_other_spellings_are_understood(word, status):
    assert interpret(LOOK, 200, body(sid="CA1", status=word)).status == status


@pytest.mark.parametrize("word", ["teleported", None, 5, "", {}])
def test_an_unknown_status_counts_as_not_over_and_is_logged(word, caplog):
    with caplog.at_level(logging.WARNING):
        assert not interpret(LOOK, 200, body(sid="CA1", status=word)).final
        assert interpret(PLACE, 201, body(sid="CA1", status=word)).status == "queued"
    assert "unknown call status" in caplog.text


@pytest.mark.parametrize("duration", ["soon", "-1", "nan", "9" * 400, [], True])
def test_a_duration_that_is_none_is_not_known(duration):
    content = body(sid="CA1", status="completed", duration=duration)
    assert interpret(LOOK, 200, content).duration_seconds is None


def test_a_look_that_shows_no_call_says_so():
    assert type(answer(LOOK, 200, b"<html>")) is CarrierUnavailable


def test_ending_and_checking_succeed_whatever_the_body():
    assert interpret(END, 200, b"") is None
    assert interpret(CHECK, 200, b"<html>") is None
    assert interpret(CHECK, 200, body(status="active")) is None


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_an_account_that_cannot_call_fails_the_check(state):
    error = answer(CHECK, 200, body(sid="AC1", status=state))
    assert type(error) is CarrierRefused
    assert state in str(error)


def test_ending_a_call_that_is_over_succeeds():
    assert interpret(END, 400, body(code=21220, message="Call is not in-progress.")) is None
    assert type(answer(LOOK, 400, body(code=21220))) is CarrierRefused


@pytest.mark.parametrize("request_", [PLACE, LOOK, END, CHECK], ids=lambda it: it.operation)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 429])
def test_a_refusal_keeps_twilios_code_and_text_and_only_429_may_be_repeated(request_, status):
    error = answer(request_, status, body(code=21216, message="The 'To' number +14155550123 is blocked. s3cret"))
    assert type(error) is CarrierRefused
    assert (error.status, error.code, error.safe_to_retry) == (status, "21216", status == 429)
    assert "The 'To' number +1***0123 is blocked. ***" in str(error)


@pytest.mark.parametrize("code", [21211, 21214, 21217])
def test_a_number_that_cannot_be_rung_is_told_apart(code):
    error = answer(PLACE, 400, body(code=code, message="no"))
    assert type(error) is NumberRefused
    assert "correct the number" in str(error)
    assert type(answer(LOOK, 400, body(code=code, message="no"))) is CarrierRefused


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, code) for code in (10001, 10002, 10004, 13224, 20005, 21210, 21212, 21215, 21216, 21219, 573005)),
        (401, 20003),
        (403, 20003),
        (401, 21211),  # whatever the code is, the account was refused
        (404, 20404),
        (400, None),
        (400, 99999),
        (402, None),
        (422, "strange"),
        (302, None),
        (429, 20429),
    ],
)
def test_any_other_refusal_is_not_about_the_number(status, code):
    error = answer(PLACE, status, body(code=code, message="no"))
    assert type(error) is CarrierRefused


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_error_leaves_an_order_in_doubt(status):
    error = answer(PLACE, status, body(code=20500, message="Internal"))
    assert type(error) is PlacementUnknown
    assert (error.status, error.code, error.safe_to_retry) == (status, "20500", False)


@OTHERS
def test_a_server_error_elsewhere_may_be_repeated(request_):
    error = answer(request_, 503)
    assert type(error) is CarrierUnavailable
    assert error.safe_to_retry


@given(st.sampled_from([PLACE, LOOK, END, CHECK]), st.integers(100, 599), st.binary())
def test_any_answer_is_a_value_or_an_error_of_the_port(request_, status, content):
    allowed = {CarrierRefused, PlacementUnknown if request_.operation == "place" else CarrierUnavailable}
    with contextlib.suppress(*allowed):
        interpret(request_, status, content)
