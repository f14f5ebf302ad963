"""No answer takes longer or is larger than it may be, whatever the peer does and whichever client asks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from typing import Any

import httpx
import pytest
from tests.slow_peers import KINDS, SlowPeer

from airflow_openai_realtime.api import background_loop
from airflow_openai_realtime.api.client import AsyncCallsClient, CallsClient
from airflow_openai_realtime.api.endpoints import endpoints_for
from airflow_openai_realtime.api.retry import Trouble
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.transport import AsyncTransport, Transport, tls_context, trouble_of_error
from airflow_openai_realtime.exceptions import CarrierUnavailable, ServiceUnavailable, SwitchboardUnreachable
from airflow_openai_realtime.outbound.carriers.carrier_settings import CarrierSettings
from airflow_openai_realtime.outbound.carriers.twilio import AsyncTwilioDialer, TwilioDialer
from airflow_openai_realtime.switchboard.client.switchboard_client import (
    AsyncSwitchboardClient,
    SwitchboardClient,
    switchboard_client,
)

LIMIT_SECONDS = 0.5
#: A request and all its repetitions are over long before; without a limit they never are.
GENEROUS_SECONDS = 60.0


def ask_openai(url: str) -> None:
    settings = ApiSettings("sk-1", endpoints_for(base_url=url), timeout_seconds=LIMIT_SECONDS)
    with CallsClient(settings) as client:
        client.check_key()


def ask_openai_async(url: str) -> None:
    async def ask() -> None:
        settings = ApiSettings("sk-1", endpoints_for(base_url=url), timeout_seconds=LIMIT_SECONDS)
        async with AsyncCallsClient(settings) as client:
            await client.check_key()

    asyncio.run(ask())


def ask_carrier(url: str) -> None:
    with TwilioDialer(
        CarrierSettings(account="AC1", token="token", base_url=url, timeout_seconds=LIMIT_SECONDS)
    ) as dialer:
        dialer.check()


def ask_carrier_async(url: str) -> None:
    async def ask() -> None:
        settings = CarrierSettings(account="AC1", token="token", base_url=url, timeout_seconds=LIMIT_SECONDS)
        async with AsyncTwilioDialer(settings) as dialer:
            await dialer.check()

    asyncio.run(ask())


def ask_switchboard(url: str) -> None:
    with SwitchboardClient(url, "token", timeout_seconds=LIMIT_SECONDS) as client:
        client.check()


def ask_switchboard_async(url: str) -> None:
    async def ask() -> None:
        async with AsyncSwitchboardClient(url, "token", timeout_seconds=LIMIT_SECONDS) as client:
            await client.check()

    asyncio.run(ask())


ASK: tuple[Callable[[str], None], ...] = (
    ask_openai,
    ask_openai_async,
    ask_carrier,
    ask_carrier_async,
    ask_switchboard,
    ask_switchboard_async,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ask", ASK, ids=lambda ask: ask.__name__)
def test_a_slow_or_endless_answer_is_given_up_in_time(ask: Callable[[str], None], kind: str) -> None:
    threads = ThreadPoolExecutor(1)
    with SlowPeer(kind) as peer:
        asking = threads.submit(ask, peer.url)
        try:
            problem = asking.exception(timeout=GENEROUS_SECONDS)
        except StillRunning:
            pytest.fail("the request goes on and on")
        finally:
            threads.shutdown(wait=False)
        assert isinstance(problem, ServiceUnavailable | CarrierUnavailable | SwitchboardUnreachable)
        assert peer.connections >= 1
        most = switchboard_client.MOST_ANSWER_BYTES + 32 * 1024 * 1024  # and what sockets hold
        assert peer.sent_bytes <= peer.connections * most


def test_an_answer_up_to_the_limit_is_read_and_a_longer_one_is_not() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * int(request.url.params["bytes"]))

    with Transport(timeout_seconds=10, most_bytes=1000, transport=httpx.MockTransport(answer)) as transport:
        assert len(transport.send("GET", "http://peer/?bytes=1000").content) == 1000
        with pytest.raises(httpx.ReadError, match="longer than 1,000 bytes"):
            transport.send("GET", "http://peer/?bytes=1001")


def test_an_encoded_answer_that_nobody_asked_for_is_not_unpacked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b"))

    with (
        Transport(timeout_seconds=10, transport=httpx.MockTransport(answer)) as transport,
        pytest.raises(httpx.DecodingError, match="gzip"),
    ):
        transport.send("GET", "http://peer/")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whether_a_request_that_took_too_long_can_have_left_is_known(scheme: str) -> None:
    with (
        SlowPeer("never") as peer,
        Transport(timeout_seconds=LIMIT_SECONDS) as transport,
        pytest.raises(httpx.TimeoutException) as late,
    ):
        transport.send("POST", peer.url.replace("http", scheme), json={})
    # Over https the peer does not even answer the greeting, so nothing of the request was sent.
    assert trouble_of_error(late.value) is (Trouble.NO_ANSWER if scheme == "http" else Trouble.NOT_SENT)


async def test_cancelling_breaks_a_request_off_and_closes_its_connection() -> None:
    with SlowPeer("slow_body") as peer:
        async with AsyncTransport(timeout_seconds=600) as transport:
            asking = asyncio.ensure_future(transport.send("GET", peer.url))
            await asyncio.to_thread(peer.has_sent.wait, 60)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(peer.is_cut_off.wait, 60)


def test_an_exception_in_a_thread_that_waits_breaks_its_request_off() -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()

    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    def interrupt_soon() -> None:
        started.wait(30)
        time.sleep(0.3)  # until the other thread waits for the work
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        threading.Thread(target=interrupt_soon).start()
        with pytest.raises(Interrupt):
            background_loop.run(work)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert cancelled.wait(30)


def test_a_forked_process_sends_with_a_loop_of_its_own() -> None:
    with PlainServer() as server, Transport(timeout_seconds=10, reuse_seconds=4) as transport:
        assert transport.send("GET", server.url).status_code == 204
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if transport.send("GET", server.url).status_code == 204 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert transport.send("GET", server.url).status_code == 204


def test_all_transports_of_a_process_share_what_tls_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tls_context() is tls_context()
    monkeypatch.setenv("SSL_CERT_DIR", "/etc/ssl/certs")
    other = tls_context()
    monkeypatch.delenv("SSL_CERT_DIR")
    assert tls_context() is not other


class PlainServer:
    """Answers 204 to each request of a connection."""

    def __enter__(self) -> PlainServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
