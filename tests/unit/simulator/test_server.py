from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import httpx
import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION, Phone, Receiver
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import Simulator


def test_it_listens_on_the_loopback_interface_until_it_is_stopped() -> None:
    with Simulator() as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{simulator.url}/_simulator/", trust_env=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(simulator.url, trust_env=False)
    simulator.stop()


def test_two_simulators_know_nothing_of_each_other() -> None:
    with Simulator(speed=0) as one, Simulator(speed=0) as other:
        one.call_in(PERSON, CALLER)
        assert len(one.log.calls) == 1
        assert other.log.calls == []


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            Simulator(port=taken.getsockname()[1]).start()


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InvalidInput, match="colour"):
        Simulator(colour="red")


def test_it_stops_at_once_though_requests_and_sockets_hang() -> None:
    with Simulator(speed=0) as simulator:
        client = Phone(simulator)
        call_id = simulator.call_in(PERSON, CALLER)
        client.decide(call_id, "accept", SESSION)
        simulator.faults.time_out("hangup")
        errors: list[Exception] = []

        def hang() -> None:
            try:
                client.decide(call_id, "hangup")
            except httpx.HTTPError as error:
                errors.append(error)

        hanging = threading.Thread(target=hang)
        hanging.start()
        address = f"ws{simulator.openai_base_url.removeprefix('http')}/realtime?call_id={call_id}"
        with connect(address, additional_headers={"authorization": f"Bearer {simulator.api_key}"}) as sideband:
            assert simulator.wait_for(lambda: simulator.log.of_kind("fault.time_out"))
            started = time.monotonic()
            simulator.stop()
            assert time.monotonic() - started < 20
            assert json.loads(sideband.recv(30))["type"] == "session.created"
            with pytest.raises(ConnectionClosed):
                sideband.recv(30)
        hanging.join(30)
        assert [type(error) for error in errors] == [httpx.ReadError]
        client.close()


def test_a_reset_keeps_the_address_given_at_the_start(receiver: Receiver) -> None:
    with Simulator(webhook_url=receiver.url, speed=0) as simulator:
        simulator.webhooks.add(receiver.url + "/other")
        simulator.reset(ring_seconds=5)
        assert [target.url for target in simulator.webhooks.targets] == [receiver.url]
        assert simulator.settings.ring_seconds == 5
        simulator.reset()
        assert simulator.settings.ring_seconds == 20


@pytest.mark.realtime_simulator(speed=0)
async def test_an_async_test_can_advance_the_clock_while_its_own_loop_answers(realtime_simulator: Simulator) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        realtime_simulator.webhooks.add(f"http://127.0.0.1:{port}/")
        realtime_simulator.call_in(PERSON, CALLER)
        await asyncio.to_thread(realtime_simulator.clock.advance, 1)
    assert len(realtime_simulator.log.of_kind("webhook.delivered")) == 1
