from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_openai_realtime.api.call_requests import (
    accept_call,
    attach_call,
    check,
    check_key,
    hang_up_call,
    refer_call,
    reject_call,
)
from airflow_openai_realtime.api.request import WEBSOCKET, Answer, Request, Service
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallAlreadyDecided,
    CallError,
    CallGone,
    InvalidInput,
    InvalidSession,
    OutcomeUnknown,
    RequestRefused,
    ServiceUnavailable,
)

ALL = [
    accept_call("rtc_1", {"instructions": "Hi"}),
    reject_call("rtc_1"),
    refer_call("rtc_1", "tel:+14155550123"),
    hang_up_call("rtc_1"),
    attach_call("rtc_1"),
]
ABOUT_A_CALL = pytest.mark.parametrize("request_", ALL, ids=lambda request: request.operation)


def error_body(code: str | None = None, message: str = "No.") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "type": "invalid_request_error"}}).encode()


def answered(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, body, Service("openai", "https://api.test/v1", {}, ("sk-secret",)))


def answer(request: Request[Any], status: int, body: bytes = b"", **headers: str) -> CallError:
    with pytest.raises(CallError) as caught:
        check(request, answered(status, body, headers))
    return caught.value


def test_requests_have_openais_methods_paths_and_bodies():
    assert [(request.method, request.path, request.body) for request in ALL[:4]] == [
        (
            "POST",
            "/realtime/calls/rtc_1/accept",
            {"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Hi"},
        ),
        ("POST", "/realtime/calls/rtc_1/reject", {"status_code": 603}),
        ("POST", "/realtime/calls/rtc_1/refer", {"target_uri": "tel:+14155550123"}),
        ("POST", "/realtime/calls/rtc_1/hangup", None),
    ]
    assert (check_key().method, check_key().path, check_key().call_id) == ("GET", "/models", None)
    assert check_key("gpt/1").path == "/models/gpt%2F1"
    assert (ALL[4].method, ALL[4].path) == (WEBSOCKET, "?call_id=rtc_1")


def test_a_call_id_cannot_reach_another_path():
    assert hang_up_call("a/../b?c#d%").path == "/realtime/calls/a%2F..%2Fb%3Fc%23d%25/hangup"


def test_wrong_input_builds_no_request():
    for build in (lambda: hang_up_call(""), lambda: reject_call("rtc_1", 200), lambda: refer_call("rtc_1", "bob")):
        with pytest.raises(InvalidInput):
            build()
    with pytest.raises(InvalidSession, match="instrctions"):
        accept_call("rtc_1", {"instrctions": "Hi"})


def test_a_request_does_not_show_its_body():
    tool = {"type": "mcp", "server_label": "a", "server_url": "https://x", "authorization": "hunter2"}
    request = accept_call("rtc_1", {"tools": [{**tool, "require_approval": "never"}]})
    assert "hunter2" not in repr(request)


@ABOUT_A_CALL
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success_whatever_its_body(request_, status):
    for body in (b"", b"{", error_body("call_id_not_found")):
        check(request_, answered(status, body))


@ABOUT_A_CALL
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, error_body("call_id_not_found", "No session found for the provided call_id")),
        (400, error_body("call_id_not_found")),
        (404, error_body("session_id_not_found")),
        (404, error_body(None)),
        (404, error_body("something_new")),
        (404, b""),
    ],
)
def test_not_found_means_the_call_is_gone_and_names_the_other_causes(request_, status, body):
    error = answer(request_, status, body)
    assert type(error) is CallGone
    assert error.call_id == "rtc_1"
    assert error.status == status
    assert "project" in str(error)
    assert "region" in str(error)


@ABOUT_A_CALL
@pytest.mark.parametrize(
    "body",
    [
        error_body("model_not_found"),
        error_body("DeploymentNotFound"),
        error_body("404", "Resource not found"),
        error_body(None, "Invalid URL (POST /realtime/calls)"),
        b"<html>nginx</html>",
        b'{"detail": "Not Found"}',
    ],
)
def test_a_404_that_is_clearly_not_about_the_call_does_not_say_that_it_is_gone(request_, body):
    error = answer(request_, 404, body)
    assert type(error) is RequestRefused
    assert "base URL" in str(error)


@ABOUT_A_CALL
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_decision_made_before_is_told_apart_whatever_the_status(request_, status):
    assert type(answer(request_, status, error_body("decision_already_made"))) is CallAlreadyDecided


@ABOUT_A_CALL
@pytest.mark.parametrize(
    ("status", "kind", "safe"),
    [
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (400, RequestRefused, False),
        (409, RequestRefused, False),
        (422, RequestRefused, False),
        (307, RequestRefused, False),
        (429, ServiceUnavailable, True),
    ],
)
def test_other_refusals_keep_status_code_and_request_id(request_, status, kind, safe):
    error = answer(request_, status, error_body("some_code", "Because."), **{"x-request-id": "req_1"})
    assert type(error) is kind
    assert (error.call_id, error.status, error.code, error.request_id) == ("rtc_1", status, "some_code", "req_1")
    assert error.safe_to_retry is safe
    assert "Because." in str(error)


@ABOUT_A_CALL
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_a_server_error_leaves_only_a_transfer_in_doubt(request_, status):
    error = answer(request_, status, error_body())
    expected = OutcomeUnknown if request_.operation == "refer" else ServiceUnavailable
    assert type(error) is expected
    assert error.safe_to_retry is (request_.operation != "refer")


def test_a_wrong_address_is_not_mistaken_for_a_call_when_the_key_is_checked():
    assert type(answer(check_key(), 404)) is RequestRefused


def test_openais_text_is_masked_cut_and_freed_of_the_key():
    message = "sk-secret may not refer to tel:+14155550123 " + "x" * 5_000
    error = answer(ALL[2], 400, error_body("c\nd", message))
    assert "sk-secret" not in str(error)
    assert "+14155550123" not in str(error)
    assert "+1***0123" in str(error)
    assert len(str(error)) < 800
    assert error.code == "c d"


@pytest.mark.parametrize(
    "body", [b"\xff\x00", b'{"error": 5}', b'{"error": {"code": 7, "message": []}}', b"[" * 99_999]
)
def test_an_answer_that_is_not_openais_still_gives_the_error_of_its_status(body):
    assert type(answer(ALL[0], 500, body)) is ServiceUnavailable
