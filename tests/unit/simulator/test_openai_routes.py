from __future__ import annotations

import threading

import httpx
import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION, TARGET, Phone

from airflow_openai_realtime.simulator import PhoneScript, Simulator

pytestmark = pytest.mark.realtime_simulator(speed=0)


@pytest.fixture
def call_id(realtime_simulator: Simulator) -> str:
    return realtime_simulator.call_in(PERSON, CALLER, script=PhoneScript.talks_for_ever())


def code_of(response: httpx.Response) -> tuple[int, str | None]:
    return response.status_code, response.json()["error"]["code"]


def test_a_call_is_accepted_and_hung_up_with_empty_answers(
    realtime_simulator: Simulator, client: Phone, call_id: str
) -> None:
    for response in (client.accept(call_id), client.decide(call_id, "hangup")):
        assert (response.status_code, response.content) == (200, b"")
    assert len(realtime_simulator.log.hangups()) == 1


def test_a_call_is_rejected_with_603_unless_told_otherwise(realtime_simulator: Simulator, client: Phone) -> None:
    for body, status in ((None, 603), ({"status_code": 486}, 486)):
        call_id = realtime_simulator.call_in(PERSON, CALLER)
        assert client.decide(call_id, "reject", body).status_code == 200
        assert realtime_simulator.log.call(call_id=call_id).sip_status == status


def test_a_call_is_transferred(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    client.accept(call_id)
    assert client.decide(call_id, "refer", {"target_uri": f"tel:{TARGET}"}).status_code == 200
    realtime_simulator.clock.advance(1)
    assert realtime_simulator.log.call(call_id=call_id).fate == "transferred"


@pytest.mark.parametrize(
    ("operation", "body", "code", "param"),
    [
        ("refer", {}, "missing_required_parameter", "target_uri"),
        ("refer", {"target_uri": "+14155550199"}, "invalid_value", "target_uri"),
        ("reject", {"status_code": 200}, "invalid_value", "status_code"),
        ("reject", ["busy"], "invalid_type", None),
        ("accept", {"type": "realtime", "colour": "red"}, "unknown_parameter", "colour"),
    ],
)
def test_a_bad_body_is_refused_and_changes_nothing(
    realtime_simulator: Simulator, client: Phone, call_id: str, operation: str, body: object, code: str, param: str
) -> None:
    response = client.decide(call_id, operation, body)
    assert code_of(response) == (400, code)
    assert response.json()["error"]["param"] == param
    assert realtime_simulator.log.call(call_id=call_id).fate == "in_progress"


def test_a_body_that_is_no_json_is_refused(client: Phone, call_id: str) -> None:
    response = client.openai.post(f"/realtime/calls/{call_id}/accept", content=b"{")
    assert code_of(response) == (400, None)


@pytest.mark.parametrize("operation", ["accept", "reject", "refer", "hangup"])
def test_an_unknown_call_is_not_found(client: Phone, operation: str) -> None:
    body = {"accept": SESSION, "refer": {"target_uri": "tel:+14155550199"}}.get(operation)
    assert code_of(client.decide("rtc_unknown", operation, body)) == (404, "call_id_not_found")


def test_a_second_accept_is_refused_as_already_decided(client: Phone, call_id: str) -> None:
    client.accept(call_id)
    assert code_of(client.accept(call_id)) == (400, "decision_already_made")


@pytest.mark.parametrize("headers", [{"authorization": "Bearer wrong"}, {"authorization": ""}, {"api-key": "wrong"}])
def test_a_wrong_key_is_refused_and_changes_nothing(
    realtime_simulator: Simulator, call_id: str, headers: dict[str, str]
) -> None:
    url = f"{realtime_simulator.openai_base_url}/realtime/calls/{call_id}/accept"
    response = httpx.post(url, headers=headers, json=SESSION, trust_env=False)
    assert response.status_code == 401
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert realtime_simulator.log.accepted() == []


def test_an_api_key_header_is_taken_too(realtime_simulator: Simulator) -> None:
    headers = {"api-key": realtime_simulator.api_key}
    response = httpx.get(f"{realtime_simulator.openai_base_url}/models", headers=headers, trust_env=False)
    assert "gpt-realtime-2.1" in [model["id"] for model in response.json()["data"]]


def test_an_unknown_path_is_answered_in_openais_words(client: Phone) -> None:
    response = client.openai.post("/realtime/sessions")
    assert response.status_code == 404
    assert "Invalid URL (POST /v1/realtime/sessions)" in response.json()["error"]["message"]


def test_the_log_says_that_a_key_was_sent_and_never_which(
    realtime_simulator: Simulator, client: Phone, call_id: str
) -> None:
    client.accept(call_id)
    client.place()
    assert [entry.detail["key_sent"] for entry in realtime_simulator.log.of_kind("openai.accept")] == [True]
    shown = repr([entry.to_dict() for entry in realtime_simulator.log.entries])
    for secret in (realtime_simulator.api_key, realtime_simulator.auth_token, realtime_simulator.webhook_secret):
        assert secret not in shown


@pytest.mark.realtime_simulator(speed=0, gone_delay_seconds=5.3)
def test_an_accept_of_a_call_that_is_gone_takes_its_time(realtime_simulator: Simulator, client: Phone) -> None:
    answers: list[httpx.Response] = []
    accepting = threading.Thread(target=lambda: answers.append(client.accept("rtc_gone")))
    accepting.start()
    # The request has to arrive before its time can pass.
    assert realtime_simulator.wait_for(lambda: realtime_simulator.clock.has_timers)
    realtime_simulator.clock.advance(5)
    assert answers == []
    realtime_simulator.clock.advance(1)
    accepting.join(30)
    assert [answer.status_code for answer in answers] == [404]
