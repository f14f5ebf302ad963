"""
How requests reach the network: no answer takes longer or is larger than it may be, and connections are shared.

Whatever the peer does and whichever client asks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import suppress
from typing import Any

import httpx
import pytest
from tests.slow_peers import KINDS, SlowPeer

from airflow_openai_realtime.api import network
from airflow_openai_realtime.api.call_requests import check_key
from airflow_openai_realtime.api.client import CallsClient, Client, trouble_of_error
from airflow_openai_realtime.api.network import SharedResources, is_tls_ready, tls_context
from airflow_openai_realtime.api.request import Answer, NoAnswer, Policy, Request, Service, Trouble
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.exceptions import CarrierUnavailable, ServiceUnavailable, SwitchboardUnreachable
from airflow_openai_realtime.outbound.carriers.port import CarrierSettings
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer
from airflow_openai_realtime.switchboard.client.switchboard_client import (
    MOST_ANSWER_BYTES,
    SwitchboardClient,
)
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status

LIMIT_SECONDS = 0.5
WAIT_SECONDS = 30
#: A request and all its repetitions are over long before; without a limit they never are.
GENEROUS_SECONDS = 60.0


def openai(url: str) -> tuple[Client, Request[Any]]:
    settings = ApiSettings("sk-1", endpoints_for(base_url=url), timeout_seconds=LIMIT_SECONDS)
    return CallsClient(settings), check_key()


def carrier(url: str) -> tuple[Client, Request[Any]]:
    settings = CarrierSettings(account="AC1", token="token", base_url=url, timeout_seconds=LIMIT_SECONDS)
    dialer = TwilioDialer(settings)
    return dialer, dialer.check()


def switchboard(url: str) -> tuple[Client, Request[Any]]:
    return SwitchboardClient(url, "token", timeout_seconds=LIMIT_SECONDS), get_status()


def send(client: Client, request: Request[Any]) -> None:
    with client:
        client.send(request)


def asend(client: Client, request: Request[Any]) -> None:
    async def ask() -> None:
        async with client:
            await client.asend(request)

    asyncio.run(ask())


def without_entering(client: Client, request: Request[Any]) -> None:
    client.send(request)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [send, asend, without_entering])
@pytest.mark.parametrize("service", [openai, carrier, switchboard])
def test_a_slow_or_endless_answer_is_given_up_in_time(
    service: Callable[[str], tuple[Client, Request[Any]]], way: Callable[[Client, Request[Any]], None], kind: str
) -> None:
    threads = ThreadPoolExecutor(1)
    with SlowPeer(kind) as peer:
        asking = threads.submit(way, *service(peer.url))
        try:
            problem = asking.exception(timeout=GENEROUS_SECONDS)
        except StillRunning:
            pytest.fail("the request goes on and on")
        finally:
            threads.shutdown(wait=False)
        assert isinstance(problem, ServiceUnavailable | CarrierUnavailable | SwitchboardUnreachable)
        assert peer.connections >= 1
        most = MOST_ANSWER_BYTES + 32 * 1024 * 1024  # and what sockets hold
        assert peer.sent_bytes <= peer.connections * most


class Lost(Exception):
    """No answer came."""

    def __init__(self, lost: NoAnswer) -> None:
        super().__init__(lost.why)
        self.trouble = lost.trouble


def get(path: str = "/", method: str = "GET") -> Request[Answer]:
    """A request whose result is the answer itself."""
    return Request(
        "peer", "get", method, path, lambda _, it: it, lambda _, lost: Lost(lost), Policy(1, 0.0, frozenset())
    )


def peer_at(
    url: str, timeout_seconds: float = 10.0, most_bytes: int = 10_000, transport: httpx.AsyncBaseTransport | None = None
) -> Client:
    return Client(Service("peer", url, {}, (), timeout_seconds, most_bytes), transport=transport)


def test_an_answer_up_to_the_limit_is_read_and_a_longer_one_is_not() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * int(request.url.params["bytes"]))

    with peer_at("http://peer", most_bytes=1000, transport=httpx.MockTransport(answer)) as client:
        assert len(client.send(get("/?bytes=1000")).content) == 1000
        with pytest.raises(Lost, match="longer than 1,000 bytes") as lost:
            client.send(get("/?bytes=1001"))
    assert lost.value.trouble is Trouble.NO_ANSWER


def test_an_encoded_answer_that_nobody_asked_for_is_not_unpacked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b"))

    with (
        peer_at("http://peer", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(Lost, match="gzip"),
    ):
        client.send(get())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whether_a_request_that_took_too_long_can_have_left_is_known(scheme: str) -> None:
    with (
        SlowPeer("never") as peer,
        peer_at(peer.url.replace("http", scheme), LIMIT_SECONDS) as client,
        pytest.raises(Lost) as late,
    ):
        client.send(get(method="POST"))
    # Over https the peer does not even answer the greeting, so nothing of the request was sent.
    assert late.value.trouble is (Trouble.NO_ANSWER if scheme == "http" else Trouble.NOT_SENT)
    assert isinstance(late.value.__cause__, httpx.TimeoutException)
    assert trouble_of_error(late.value.__cause__) is late.value.trouble


async def test_cancelling_breaks_a_request_off_and_closes_its_connection() -> None:
    with SlowPeer("slow_body") as peer:
        async with peer_at(peer.url, 600) as client:
            asking = asyncio.ensure_future(client.asend(get()))
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
            network.run(work)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert cancelled.wait(30)


@pytest.fixture
def keeps_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new background loop, whose connections are kept for longer than a test takes on any machine."""
    monkeypatch.setattr(network, "KEEP_SECONDS", 600.0)
    monkeypatch.setattr(network, "_loop", None)


@pytest.mark.usefixtures("keeps_long")
def test_a_forked_process_sends_with_a_loop_of_its_own() -> None:
    with PlainServer() as server:
        client = peer_at(server.url)
        assert client.send(get()).status_code == 204
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if client.send(get()).status_code == 204 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.send(get()).status_code == 204
        assert server.connections == 2  # the child's is its own


@pytest.mark.usefixtures("keeps_long")
def test_blocking_code_shares_its_connections_whether_a_client_is_entered_or_not() -> None:
    with PlainServer() as server:
        peer_at(server.url).send(get())
        with peer_at(server.url) as client:
            client.send(get())
        other = threading.Thread(target=peer_at(server.url).send, args=(get(),))
        other.start()
        other.join()
        assert server.connections == 1


async def test_clients_of_an_event_loop_share_their_connections_while_one_is_open() -> None:
    with PlainServer() as server:
        async with peer_at(server.url) as one, peer_at(server.url) as other:
            for client in (one, other, peer_at(server.url)):
                assert (await client.asend(get())).status_code == 204
        assert server.connections == 1
        await asyncio.to_thread(peer_at(server.url).send, get())
        assert server.connections == 2  # of the background loop
        await peer_at(server.url).asend(get())
        assert server.connections == 3  # none was open, so none was kept


async def test_many_requests_at_a_time_use_several_pools_of_which_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "KEEP_SECONDS", 600.0)
    count, surplus = 2 * network.POOL_REQUESTS + 1, network.POOL_REQUESTS + 1
    opened, left = 0, 0
    all_there, surplus_left, all_left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, left
        opened += 1
        if opened == count:
            all_there.set()
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await all_there.wait()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        left += 1
        if left == surplus:
            surplus_left.set()
        if left == opened:
            all_left.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        client = peer_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_seconds=600)
        async with client:
            await asyncio.wait_for(asyncio.gather(*(client.asend(get()) for _ in range(count))), GENEROUS_SECONDS)
            await asyncio.wait_for(surplus_left.wait(), GENEROUS_SECONDS)
            await client.asend(get())
            assert (opened, left) == (count, surplus)
        await asyncio.wait_for(all_left.wait(), GENEROUS_SECONDS)


async def test_requests_cancelled_at_any_moment_leave_no_connection_open() -> None:
    """Above all in the moment in which the connections of a pool are being closed."""
    is_open: set[asyncio.StreamWriter] = set()
    all_closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_open.add(writer)
        all_closed.clear()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()
        is_open.discard(writer)
        if not is_open:
            all_closed.set()

    async def ask(url: str) -> None:
        async with peer_at(url) as client:
            await asyncio.gather(*(client.asend(get()) for _ in range(3 * network.POOL_REQUESTS)))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        is_over, turns = False, 0
        while not is_over:
            asking = asyncio.ensure_future(ask(url))
            for _ in range(turns):
                await asyncio.sleep(0)
            is_over = asking.done()
            asking.cancel()
            await asyncio.wait([asking])
            if is_open:
                await asyncio.wait_for(all_closed.wait(), GENEROUS_SECONDS)
            turns += 1
        assert turns > 10


async def test_what_replaces_the_network_is_closed_after_its_last_request() -> None:
    class Replacement(httpx.AsyncBaseTransport):
        under_way, is_closed = 0, False

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.under_way += 1
            for _ in range(self.under_way):
                await asyncio.sleep(0)
            assert not self.is_closed
            return httpx.Response(204)

        async def aclose(self) -> None:
            self.is_closed = True

    transport = Replacement()
    async with peer_at("http://peer", transport=transport) as client:
        answers = await asyncio.gather(*(client.asend(get()) for _ in range(3 * network.POOL_REQUESTS)))
        assert {answer.status_code for answer in answers} == {204}
        assert not transport.is_closed
    assert transport.is_closed


async def test_an_idle_connection_is_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_openai_realtime.api.network.KEEP_SECONDS", 0.05)
    with PlainServer() as server:
        async with peer_at(server.url) as client:
            await client.asend(get())
            await asyncio.sleep(0.2)
            await client.asend(get())
        assert server.connections == 2


def test_all_connections_of_a_process_share_what_tls_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tls_context() is tls_context()
    assert is_tls_ready()
    monkeypatch.setenv("SSL_CERT_DIR", "/etc/ssl/certs")
    other = tls_context()
    monkeypatch.delenv("SSL_CERT_DIR")
    assert tls_context() is not other


async def test_plain_connections_load_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded() -> None:
        pytest.fail("certificates were loaded")

    monkeypatch.setattr("airflow_openai_realtime.api.network.tls_context", loaded)
    with PlainServer() as server:
        async with peer_at(server.url) as client:
            assert (await client.asend(get())).status_code == 204


def test_the_settings_verify_the_peer_and_its_name() -> None:
    context = tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_they_are_ready_only_once_made_for_the_certificates_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls_context()
    assert is_tls_ready()
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere/else")
    assert not is_tls_ready()


class PlainServer:
    """Answers 204 to each request of a connection."""

    def __enter__(self) -> PlainServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
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
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


async def where() -> tuple[int, asyncio.AbstractEventLoop]:
    return threading.get_ident(), asyncio.get_running_loop()


def test_all_threads_share_one_loop_in_a_thread_that_is_none_of_theirs() -> None:
    found = [network.run(where)]
    other = threading.Thread(target=lambda: found.append(network.run(where)))
    other.start()
    other.join()
    assert found[0] == found[1]
    assert found[0][0] != threading.get_ident()
    assert found[0][1] is network.background_loop()


def test_an_error_of_the_coroutine_is_raised_where_it_was_asked_for() -> None:
    async def fails() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        network.run(fails)
    assert network.run(where)


def test_an_error_before_the_coroutine_is_made_starts_nothing() -> None:
    def cannot_make() -> None:
        raise ValueError("no request")

    with pytest.raises(ValueError, match="no request"):
        network.run(cannot_make)  # type: ignore[arg-type]


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="a signal reaches the main thread"
)
def test_an_interrupt_while_waiting_cancels_the_coroutine() -> None:
    cancelled = threading.Event()

    async def waits() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    # A shell starts what runs in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            network.run(waits)
    finally:
        signal.signal(signal.SIGINT, before)
    assert cancelled.wait(WAIT_SECONDS)


@pytest.mark.parametrize("has_begun", [True, False])
def test_an_interrupt_before_the_waiting_cancels_the_coroutine_too(
    monkeypatch: pytest.MonkeyPatch, has_begun: bool
) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    network.run(where)
    loop = network.background_loop()
    assert loop is not None

    class InterruptedLoop:
        """A loop that is given something to do, and at this moment comes a signal."""

        def __getattr__(self, name: str) -> Any:
            return getattr(loop, name)

        def call_soon_threadsafe(self, callback: Callable[..., Any], *given: Any) -> None:
            monkeypatch.undo()
            if not has_begun:
                loop.call_soon_threadsafe(time.sleep, 0.5)
            loop.call_soon_threadsafe(callback, *given)
            assert not has_begun or begun.wait(WAIT_SECONDS)
            self.call_soon_threadsafe = loop.call_soon_threadsafe  # type: ignore[method-assign]
            raise KeyboardInterrupt

    monkeypatch.setattr(network, "_background_loop", InterruptedLoop)
    with pytest.raises(KeyboardInterrupt):
        network.run(waits)
    assert network.run(where)  # what was under way before has had its turn
    assert cancelled.wait(WAIT_SECONDS) if has_begun else not begun.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_a_loop_of_its_own() -> None:
    network.run(where)
    child = os.fork()
    if child == 0:  # the loop's thread does not exist here: without a new loop this waits without end
        inherited = network.background_loop() is not None
        works = threading.Event()
        threading.Thread(target=lambda: network.run(where) and works.set(), daemon=True).start()
        os._exit(0 if works.wait(10) and not inherited else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Opened:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


async def test_users_of_a_key_get_the_same_and_the_last_closes_it() -> None:
    shared = SharedResources(Opened.close)
    async with shared.use("a", Opened) as first:
        async with shared.use("a", Opened) as second, shared.use("b", Opened) as other:
            assert first is second
            assert other is not first
            assert shared.open_count() == 2
        assert other.closed
        assert not first.closed
    assert first.closed
    assert shared.open_count() == 0


async def test_a_newcomer_does_not_get_what_is_being_closed() -> None:
    closing = asyncio.Event()
    go_on = asyncio.Event()

    async def close(opened: Opened) -> None:
        closing.set()
        await go_on.wait()
        opened.closed = True

    shared: SharedResources[Opened] = SharedResources(close)

    async def use() -> Opened:
        async with shared.use("a", Opened) as opened:
            return opened

    first = asyncio.create_task(use())
    await closing.wait()
    async with shared.use("a", Opened) as second:
        go_on.set()
        assert (await first) is not second
        assert not second.closed


async def test_a_user_that_fails_leaves_too() -> None:
    shared = SharedResources(Opened.close)
    try:
        async with shared.use("a", Opened) as opened:
            raise LookupError
    except LookupError:
        assert opened.closed


def test_two_event_loops_share_nothing() -> None:
    shared = SharedResources(Opened.close)

    async def use() -> Opened:
        async with shared.use("a", Opened) as opened:
            return opened

    assert asyncio.run(use()) is not asyncio.run(use())
