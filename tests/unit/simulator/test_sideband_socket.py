from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.unit.simulator.support import CALLER, PERSON, Phone
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from airflow_openai_realtime.simulator import PhoneScript, Simulator

pytestmark = pytest.mark.realtime_simulator(speed=0)


@pytest.fixture
def call_id(realtime_simulator: Simulator) -> str:
    return realtime_simulator.call_in(PERSON, CALLER, script=PhoneScript.talks_for_ever())


@contextmanager
def sideband(
    simulator: Simulator,
    call_id: str,
    *,
    key: str | None = None,
    headers: dict[str, str] | None = None,
    open_timeout: float = 30,
) -> Iterator[ClientConnection]:
    address = f"ws{simulator.openai_base_url.removeprefix('http')}/realtime?call_id={call_id}"
    sent = {"authorization": f"Bearer {key or simulator.api_key}", **(headers or {})}
    with connect(address, additional_headers=sent, open_timeout=open_timeout) as socket:
        yield socket


def refused(simulator: Simulator, call_id: str, **options: str) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as caught, sideband(simulator, call_id, **options):
        pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")["error"]["code"]


def test_a_live_call_can_be_attached_and_talks(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    client.accept(call_id)
    with sideband(realtime_simulator, call_id) as socket:
        assert json.loads(socket.recv(30))["type"] == "session.created"
        socket.send(json.dumps({"type": "response.create"}))
        assert json.loads(socket.recv(30))["type"] == "response.created"
        realtime_simulator.clock.advance(10)
        types = []
        while "output_audio_buffer.stopped" not in types:
            types.append(json.loads(socket.recv(30))["type"])
        assert "response.done" in types
    assert realtime_simulator.wait_for(lambda: realtime_simulator.log.of_kind("sideband.detached"))
    assert len(realtime_simulator.log.open_calls()) == 1


def test_a_call_that_is_not_live_cannot_be_attached(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    gone = (404, "call_id_not_found")
    assert refused(realtime_simulator, call_id) == gone
    assert refused(realtime_simulator, "rtc_unknown") == gone
    client.accept(call_id)
    client.decide(call_id, "hangup")
    assert refused(realtime_simulator, call_id) == gone


def test_a_wrong_key_is_refused(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    client.accept(call_id)
    assert refused(realtime_simulator, call_id, key="wrong") == (401, "invalid_api_key")


def test_a_socket_without_a_call_is_refused(realtime_simulator: Simulator) -> None:
    assert refused(realtime_simulator, "") == (400, "missing_required_parameter")


def test_the_header_of_the_old_beta_leads_nowhere(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    client.accept(call_id)
    options = {"headers": {"OpenAI-Beta": "realtime=v1"}}
    assert refused(realtime_simulator, call_id, **options)[0] == 404  # type: ignore[arg-type]


@pytest.mark.realtime_simulator(speed=0, sideband_ready_seconds=0.6)
def test_a_socket_right_after_accept_may_be_too_early(
    realtime_simulator: Simulator, client: Phone, call_id: str
) -> None:
    client.accept(call_id)
    assert refused(realtime_simulator, call_id)[0] == 404
    realtime_simulator.clock.advance(1)
    with sideband(realtime_simulator, call_id) as socket:
        assert socket.recv(30)


def test_a_call_that_ends_closes_the_socket_without_a_goodbye(
    realtime_simulator: Simulator, client: Phone, call_id: str
) -> None:
    client.accept(call_id)
    with sideband(realtime_simulator, call_id) as socket:
        socket.recv(30)
        realtime_simulator.phones.hang_up(PERSON)
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv(30)
        assert caught.value.rcvd is None


@pytest.mark.realtime_simulator(speed=0, clean_sideband_close=True)
def test_a_call_that_ends_may_close_the_socket_cleanly(
    realtime_simulator: Simulator, client: Phone, call_id: str
) -> None:
    client.accept(call_id)
    with sideband(realtime_simulator, call_id) as socket:
        socket.recv(30)
        client.decide(call_id, "hangup")
        with pytest.raises(ConnectionClosedOK):
            socket.recv(30)


def test_a_dropped_sideband_leaves_the_call_alone(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    client.accept(call_id)
    realtime_simulator.faults.drop_sideband(after_seconds=5)
    with sideband(realtime_simulator, call_id) as socket:
        socket.recv(30)
        realtime_simulator.clock.advance(5)
        with pytest.raises(ConnectionClosedError):
            socket.recv(30)
    assert len(realtime_simulator.log.open_calls()) == 1
    with sideband(realtime_simulator, call_id) as socket:
        assert json.loads(socket.recv(30))["type"] == "session.created"


def test_a_handshake_may_be_answered_with_an_error(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    client.accept(call_id)
    realtime_simulator.faults.status("sideband", 503)
    assert refused(realtime_simulator, call_id)[0] == 503


@pytest.mark.parametrize(("kind", "error"), [("time_out", TimeoutError), ("reset", (InvalidHandshake, OSError))])
def test_a_handshake_may_get_no_answer(
    realtime_simulator: Simulator, client: Phone, call_id: str, kind: str, error: type[Exception]
) -> None:
    client.accept(call_id)
    getattr(realtime_simulator.faults, kind)("sideband")
    with pytest.raises(error), sideband(realtime_simulator, call_id, open_timeout=1):
        pass
    assert len(realtime_simulator.log.open_calls()) == 1


def test_a_dead_session_has_no_sideband(realtime_simulator: Simulator, client: Phone, call_id: str) -> None:
    realtime_simulator.faults.dead_session()
    assert client.accept(call_id).status_code == 200
    assert refused(realtime_simulator, call_id)[0] == 404
