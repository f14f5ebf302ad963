"""The clients against real sockets: what counts as "not sent" and what as "no answer" is decided by the network."""

from __future__ import annotations

import dataclasses
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_openai_realtime.api.call_requests import accept_call, hang_up_call, refer_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import endpoints_for
from airflow_openai_realtime.exceptions import OutcomeUnknown, ServiceUnavailable

Behave = Callable[[socket.socket], None]


class Server:
    """Takes connections on a free port and treats the n-th as the n-th behaviour says; the last one goes on."""

    def __init__(self, *behaviours: Behave) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[bytes] = []
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.02)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            with connection:
                connection.settimeout(5)
                self.requests.append(read_request(connection))
                behave(connection)


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        assert chunk, "the client closed the connection before its request was complete"
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head + body


def answer(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def close(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def break_off(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01\x02 not http\r\n\r\n")


def stall(connection: socket.socket) -> None:
    """Keep the connection open until the client gives up."""
    connection.recv(1)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*behaviours: Behave) -> Server:
        servers.append(Server(*behaviours))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def at(settings, port, trouble=None):
    return dataclasses.replace(
        settings,
        endpoints=endpoints_for(base_url=f"http://127.0.0.1:{port}/v1"),
        timeout_seconds=1 if trouble is stall else 30,
    )


IN_DOUBT = pytest.mark.parametrize("trouble", [close, reset, break_off, nonsense, stall], ids=lambda it: it.__name__)


@IN_DOUBT
def test_an_accept_or_transfer_that_reached_the_server_is_sent_once(settings, fake_time, serve, trouble):
    server = serve(trouble)
    with CallsClient(at(settings, server.port, trouble), pace=fake_time.pace()) as client:
        with pytest.raises(OutcomeUnknown):
            client.send(accept_call("rtc_1", {}))
        with pytest.raises(OutcomeUnknown):
            client.send(refer_call("rtc_1", "tel:+14155550123"))
    assert len(server.requests) == 2


@IN_DOUBT
async def test_a_coroutine_sends_it_once_too(settings, fake_time, serve, trouble):
    server = serve(trouble)
    async with CallsClient(at(settings, server.port, trouble), pace=fake_time.pace()) as client:
        with pytest.raises(OutcomeUnknown):
            await client.asend(accept_call("rtc_1", {}))
    assert len(server.requests) == 1


@IN_DOUBT
def test_a_hang_up_gets_through_after_any_trouble(settings, fake_time, serve, trouble):
    server = serve(trouble, trouble, answer)
    with CallsClient(at(settings, server.port, trouble), pace=fake_time.pace()) as client:
        assert not client.send(hang_up_call("rtc_1")).gone
    assert len(server.requests) == 3


def test_a_refused_connection_is_tried_again_and_was_never_sent(settings, fake_time):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with (
        CallsClient(at(settings, port), pace=fake_time.pace()) as client,
        pytest.raises(ServiceUnavailable, match="no connection"),
    ):
        client.send(refer_call("rtc_1", "tel:+14155550123"))
    assert len(fake_time.slept) == 2


def test_every_request_has_a_connection_of_its_own(settings, fake_time, serve):
    """A server that closes kept connections without a word would otherwise put the next accept in doubt."""
    server = serve(answer)
    with CallsClient(at(settings, server.port), pace=fake_time.pace()) as client:
        client.send(accept_call("rtc_1", {}))
        client.send(accept_call("rtc_2", {}))
    assert len(server.requests) == 2


def test_the_time_out_is_kept(settings, fake_time, serve):
    server = serve(stall)
    begun = time.monotonic()
    with CallsClient(at(settings, server.port, stall), pace=fake_time.pace()) as client, pytest.raises(OutcomeUnknown):
        client.send(accept_call("rtc_1", {}))
    assert time.monotonic() - begun < 20
