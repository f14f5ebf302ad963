"""One refusal, told as OpenAI tells it and as Twilio does."""

from __future__ import annotations

import pytest

from airflow_openai_realtime.simulator.refusals import Refusal, already_decided, call_gone, missing_parameter


def test_openai_tells_code_kind_and_field() -> None:
    refusal = Refusal(400, "invalid_value", "It is wrong.", error_type="server_error", param="audio.output.speed")
    assert refusal.openai_body() == {
        "error": {
            "message": "It is wrong.",
            "type": "server_error",
            "param": "audio.output.speed",
            "code": "invalid_value",
        }
    }
    assert str(refusal) == "It is wrong."


def test_twilio_tells_a_number_and_where_to_read_about_it() -> None:
    body = Refusal(400, 21211, "Invalid 'To'").twilio_body()
    assert (body["code"], body["status"], body["message"]) == (21211, 400, "Invalid 'To'")
    assert body["more_info"].endswith("/21211")


@pytest.mark.parametrize(("seconds", "headers"), [(None, {}), (0, {"retry-after": "0"}), (1.5, {"retry-after": "1.5"})])
def test_only_a_refusal_for_a_while_says_when_to_come_back(seconds: float | None, headers: dict[str, str]) -> None:
    assert Refusal(429, "rate_limit_exceeded", "slow down", retry_after_seconds=seconds).headers == headers


@pytest.mark.parametrize(
    ("refusal", "status", "code", "param"),
    [
        (call_gone(), 404, "call_id_not_found", None),
        (already_decided(), 400, "decision_already_made", None),
        (missing_parameter("session.type"), 400, "missing_required_parameter", "session.type"),
    ],
)
def test_what_openai_refuses_often_has_its_code(refusal: Refusal, status: int, code: str, param: str | None) -> None:
    assert (refusal.status, refusal.code, refusal.param) == (status, code, param)
