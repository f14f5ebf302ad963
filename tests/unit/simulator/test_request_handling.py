"""Each fault of a request, at OpenAI and at the carrier."""

from __future__ import annotations

import threading

import httpx
import pytest
from tests.unit.simulator.support import CALLER, PERSON, TARGET, Phone

from airflow_openai_realtime.simulator import PhoneScript, Simulator

#: Long for a connection, short for an answer that never comes.
SHORT = httpx.Timeout(30, read=0.2)

pytestmark = pytest.mark.realtime_simulator(speed=0)


@pytest.fixture
def call_id(realtime_simulator: Simulator) -> str:
    return realtime_simulator.call_in(PERSON, CALLER, script=PhoneScript.talks_for_ever())


def test_a_rate_limit_says_when_to_come_back(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    realtime_simulator.faults.status("accept", 429, retry_after_seconds=2, times=2)
    for _ in range(2):
        response = client.accept(call_id)
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")
        assert response.json()["error"]["code"] == "rate_limit_exceeded"
    assert realtime_simulator.log.accepted() == []
    assert client.accept(call_id).status_code == 200


def test_a_server_error_may_come_after_the_deed(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    realtime_simulator.faults.status("accept", 500, carried_out=True)
    assert client.accept(call_id).status_code == 500
    assert len(realtime_simulator.log.accepted()) == 1


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_time_out_never_answers(
    realtime_simulator: Simulator, client: Phone, call_id: str, carried_out: bool
) -> None:
    realtime_simulator.faults.time_out("accept", carried_out=carried_out)
    with pytest.raises(httpx.ReadTimeout):
        client.openai.post(f"/realtime/calls/{call_id}/accept", json={"type": "realtime"}, timeout=SHORT)
    log = realtime_simulator.log
    assert realtime_simulator.wait_for(lambda: log.of_kind("fault.time_out") and bool(log.accepted()) is carried_out)


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_reset_breaks_the_connection(
    realtime_simulator: Simulator, client: Phone, call_id: str, carried_out: bool
) -> None:
    client.accept(call_id)
    realtime_simulator.faults.reset("hangup", carried_out=carried_out)
    with pytest.raises(httpx.ReadError):
        client.decide(call_id, "hangup")
    assert bool(realtime_simulator.log.hangups()) is carried_out


def test_a_reset_of_the_simulator_lets_go_of_requests_that_hang(
    realtime_simulator: Simulator, client: Phone, call_id: str
) -> None:
    realtime_simulator.faults.time_out("accept")
    errors: list[Exception] = []

    def accept() -> None:
        try:
            client.accept(call_id)
        except httpx.HTTPError as error:
            errors.append(error)

    hanging = threading.Thread(target=accept)
    hanging.start()
    assert realtime_simulator.wait_for(lambda: realtime_simulator.log.of_kind("fault.time_out"))
    realtime_simulator.reset()
    hanging.join(30)
    assert [type(error) for error in errors] == [httpx.ReadError]


@pytest.mark.parametrize(("kind", "error"), [("time_out", httpx.ReadTimeout), ("reset", httpx.ReadError)])
@pytest.mark.parametrize("carried_out", [False, True])
def test_placing_a_call_may_get_no_answer_whether_the_phone_rings_or_not(
    realtime_simulator: Simulator, client: Phone, kind: str, error: type[Exception], carried_out: bool
) -> None:
    getattr(realtime_simulator.faults, kind)("place", carried_out=carried_out)
    if kind == "time_out":
        client.carrier.timeout = SHORT
    with pytest.raises(error):
        client.place()
    log = realtime_simulator.log
    assert realtime_simulator.wait_for(lambda: log.of_kind(f"fault.{kind}") and bool(log.calls) is carried_out)
    realtime_simulator.clock.advance(1)
    assert len(log.rings(PERSON)) == int(carried_out)


def test_a_fault_for_one_number_hits_only_that_person(realtime_simulator: Simulator, client: Phone) -> None:
    realtime_simulator.faults.status("place", 503, number=TARGET)
    assert client.place(PERSON).status_code == 201
    response = client.place(TARGET)
    assert (response.status_code, response.json()["code"]) == (503, 20503)


def test_a_dead_session_was_accepted_and_is_gone(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    realtime_simulator.faults.dead_session()
    assert client.accept(call_id).status_code == 200
    assert client.decide(call_id, "hangup").status_code == 404
    row = realtime_simulator.log.call(call_id=call_id)
    assert (row.fate, row.sip_status, row.open) == ("failed", 400, False)
