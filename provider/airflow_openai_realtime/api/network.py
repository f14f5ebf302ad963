"""
How a process reaches the network: one exchange at a time over connections that are shared.

Every answer is limited in total time and in bytes. httpx limits each phase of a request and each read of its answer, so
a peer that sends one byte every few seconds blocks its caller without end, and an answer of any size is read. Here the
limit is for the whole exchange, and an answer that is too long is not read to its end.

All clients of an event loop share their connections, all of a process share what TLS needs, and blocking code shares
one event loop in a background thread, in which its requests can be cancelled in every phase.

Source: https://www.python-httpx.org/advanced/timeouts/ (what its limits mean)
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import httpx

from airflow_openai_realtime.api.request import Answer, Request, Service

T = TypeVar("T")
Resource = TypeVar("Resource")

Transport = httpx.AsyncBaseTransport
"""What replaces the network in tests."""

CONNECT_SECONDS = 5.0

KEEP_SECONDS = 1.5
"""
How long a connection is kept for the next request, in seconds.

Far shorter than servers wait, five seconds and more, so that no server closes it just when an accept is sent: then it
would not be known whether the call was accepted. Measured in ``docs/design/measurements.md``.
"""

POOL_REQUESTS = 3
"""
Requests that are under way at a time in one pool of connections; further ones use another pool.

httpcore looks at every connection of a pool whenever a request begins or ends, with several system calls for each that
is kept: with twenty of them that costs more than new connections. Measured in ``docs/design/measurements.md``.
"""


class AnswerTooLong(httpx.ReadError):
    """An answer has more bytes than it may have; the rest was not read."""


# -- one exchange ------------------------------------------------------------------------------------------------------


async def exchange(service: Service, request: Request[Any], transport: Transport | None = None) -> Answer:
    """
    Send a request once and read its answer, whatever its status.

    :param service: Who is asked.
    :param request: The request.
    :param transport: Replaces the network, for tests.
    :raises httpx.RequestError: No answer came in time, or it cannot be read.
    :raises httpx.InvalidURL: The address cannot be asked.
    """
    limit = service.timeout_seconds + request.wait_seconds
    progress = _Progress()
    async with connections(service.base_url, transport) as shared, shared.pool() as http:
        asking = asyncio.ensure_future(
            progress.closing(functools.partial(_read_answer, http, service, request, limit, progress))
        )
        try:
            done, _ = await asyncio.wait([asking], timeout=limit)
            if not done:
                raise progress.too_late(limit)
            return asking.result()
        finally:
            # Also when the caller is cancelled. What is still under way closes its connection by itself.
            asking.cancel()
            _ending.add(asking)
            asking.add_done_callback(_take_result)


async def _read_answer(
    http: httpx.AsyncClient, service: Service, request: Request[Any], limit: float, progress: _Progress
) -> Answer:
    async with http.stream(
        request.method,
        service.base_url + request.path,
        params=request.params or None,
        json=None if request.body is None else dict(request.body),
        data=None if request.form is None else dict(request.form),
        content=request.content,
        # Answers are short, and an encoded one could grow beyond any limit when it is decoded.
        headers={"Accept-Encoding": "identity", **service.headers, **request.headers},
        timeout=httpx.Timeout(limit, connect=min(CONNECT_SECONDS, service.timeout_seconds)),
        extensions={"trace": progress.trace},
    ) as response:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise httpx.DecodingError(f"the answer is encoded ({coding[:20]}) though none was asked for")
        parts: list[bytes] = []
        length = 0
        async for part in response.aiter_bytes():
            length += len(part)
            if length > service.most_bytes:
                raise AnswerTooLong(f"the answer is longer than {service.most_bytes:,} bytes")
            parts.append(part)
        return Answer(response.status_code, response.headers, b"".join(parts), service)


class _Progress:
    """How far an exchange is, as httpcore reports: see https://www.encode.io/httpcore/extensions/#trace."""

    def __init__(self) -> None:
        self._is_sent = False
        self._greeting: Any = None  # the plain connection while TLS is being agreed on

    async def trace(self, event: str, told: Mapping[str, Any]) -> None:
        """Note what has happened."""
        if event.endswith("connect_tcp.complete"):
            self._greeting = told["return_value"]
        elif event.endswith("start_tls.complete"):
            self._greeting = None
        elif event.endswith("send_request_headers.started"):
            self._greeting, self._is_sent = None, True

    async def closing(self, asking: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run an exchange; httpcore 1.0.9 leaves a connection open that is cancelled while TLS is agreed on."""
        try:
            return await asking()
        except asyncio.CancelledError:
            if self._greeting is not None:
                await self._greeting.aclose()
            raise

    def too_late(self, limit: float) -> httpx.TimeoutException:
        """The error for an exchange that took longer than its limit."""
        text = f"not answered completely within {limit:g} s"
        return httpx.ReadTimeout(text) if self._is_sent else httpx.ConnectTimeout(text)


_ending: set[asyncio.Future[Any]] = set()


def _take_result(asking: asyncio.Future[Any]) -> None:
    """Let go of an exchange, which was kept from being collected before it has closed its connection."""
    _ending.discard(asking)
    if not asking.cancelled():
        asking.exception()


# -- what the users of an event loop share -----------------------------------------------------------------------------


@dataclass
class _Entry(Generic[Resource]):
    resource: Resource
    users: int = 0


class SharedResources(Generic[Resource]):
    """
    Resources by event loop and key, with a count of their users.

    A triggerer process runs hundreds of triggers in one loop; what they share (a feed, a client with its connection
    pool) costs once, however many they are.

    :param close: Called with the resource after its last user has left.
    """

    def __init__(self, close: Callable[[Resource], Awaitable[None]]) -> None:
        self._close = close
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Entry[Resource]]] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def use(
        self, key: Hashable, create: Callable[[], Resource], *, is_kept: bool = False
    ) -> AsyncIterator[Resource]:
        """
        Use the resource of a key; it is created for the first user and closed after the last.

        :param key: What makes two users want the same resource; kept in memory only.
        :param create: Makes the resource. Must not block: it runs in the event loop.
        :param is_kept: Whether it stays open after the last user, for a loop that runs as long as the process.
        """
        entries = self._by_loop.setdefault(asyncio.get_running_loop(), {})
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = _Entry(create(), users=int(is_kept))
        entry.users += 1
        try:
            yield entry.resource
        finally:
            entry.users -= 1
            if entry.users == 0:
                # Taken out before the first await, so that a newcomer never gets a resource that is closing.
                del entries[key]
                await self._close(entry.resource)

    def open_count(self) -> int:
        """Count the resources that are open in the running loop."""
        return len(self._by_loop.get(asyncio.get_running_loop(), {}))


# -- connections -------------------------------------------------------------------------------------------------------


@dataclass
class _Pool:
    http: httpx.AsyncClient
    under_way: int = 0


class _Pools:
    """
    Connections of an event loop, in pools for a few requests each; all but the first close when they are not needed.

    :param create: Makes a pool.
    :param requests: How many requests use a pool at a time.
    """

    def __init__(self, create: Callable[[], httpx.AsyncClient], requests: float) -> None:
        self._create, self._requests = create, requests
        self._pools = [_Pool(create())]

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[httpx.AsyncClient]:
        """Use the first pool that has room for a request."""
        pool = next((each for each in self._pools if each.under_way < self._requests), None)
        if pool is None:
            pool = _Pool(self._create())
            self._pools.append(pool)
        pool.under_way += 1
        try:
            yield pool.http
        finally:
            pool.under_way -= 1
            if pool.under_way == 0 and pool is not self._pools[0]:
                self._pools.remove(pool)
                await _close(pool.http)

    async def aclose(self) -> None:
        """Close all connections."""
        await _close(*(pool.http for pool in self._pools))


async def _close(*clients: httpx.AsyncClient) -> None:
    """Close all connections, also when the task is cancelled meanwhile; closing waits for no peer."""
    closing = asyncio.gather(*(client.aclose() for client in clients))
    _ending.add(closing)
    closing.add_done_callback(_take_result)
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait([closing])
        raise


_HTTP: SharedResources[_Pools] = SharedResources(_Pools.aclose)


@asynccontextmanager
async def connections(url: str, transport: Transport | None = None) -> AsyncIterator[_Pools]:
    """
    Use the connections of the running event loop, which keeps them while anything uses them.

    The event loop of blocking code keeps them as long as the process runs.

    :param url: What is asked; for an address without TLS, what TLS needs is not loaded.
    :param transport: Replaces the network, for tests.
    """
    is_tls = url.startswith("https:")
    if is_tls and transport is None and not is_tls_ready():
        await asyncio.to_thread(tls_context)
    is_kept = transport is None and asyncio.get_running_loop() is _loop
    create = functools.partial(_new_http, transport, is_tls)
    # A pool that closes, closes its transport, and there is one of what replaces the network.
    requests = POOL_REQUESTS if transport is None else math.inf
    async with _HTTP.use(transport or is_tls, lambda: _Pools(create, requests), is_kept=is_kept) as pools:
        yield pools


@asynccontextmanager
async def holding_connections() -> AsyncIterator[None]:
    """Keep the connections of this event loop as if a client were entered all the time."""
    async with connections("http:"), connections("https:"):
        yield


def load() -> None:
    """
    Load what a first request needs, from a thread beforehand: it keeps the processor busy for tens of milliseconds.

    A first connection, to no server: only then are modules loaded that take up to hundreds of milliseconds.
    """

    async def connect() -> None:
        async with _new_http(None, is_tls=True) as http:
            await http.get("http://127.0.0.1:9/", timeout=1.0)

    # Whatever comes of it: without all this, the first request takes a little longer.
    with suppress(Exception):
        asyncio.run(connect())


def _new_http(transport: Transport | None, is_tls: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport,
        verify=tls_context() if is_tls and transport is None else _no_trust(),
        limits=httpx.Limits(keepalive_expiry=KEEP_SECONDS),
        follow_redirects=False,
        # Projects, accounts and lines share the connections: no cookie of one goes with a request of another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


# -- TLS ---------------------------------------------------------------------------------------------------------------


def tls_context() -> ssl.SSLContext:
    """
    Return the settings for HTTPS and WebSocket connections, which all of a process share.

    Made when a process first needs them, which reads all trusted certificates and takes tens of milliseconds: call it
    from a thread beforehand where that matters. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` say what is trusted.
    """
    return _tls_context(*_places())


def is_tls_ready() -> bool:
    """Whether :func:`tls_context` returns at once."""
    return _places() in _made


_made: set[tuple[str | None, str | None]] = set()


def _places() -> tuple[str | None, str | None]:
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.lru_cache(maxsize=4)
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    _made.add((_cert_file, _cert_dir))
    return context


@functools.cache
def _no_trust() -> ssl.SSLContext:
    """For plain connections: it trusts no certificate, and loads none."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# -- the event loop of blocking code -----------------------------------------------------------------------------------

_turn = threading.RLock()  # a signal handler may come in while its own thread holds it
_loop: asyncio.AbstractEventLoop | None = None


def run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run a coroutine in the background loop and wait for it; an exception here, as from a signal, cancels it.

    :param make: Called in this thread.
    """
    coroutine, loop = make(), _background_loop()
    result: Future[T] = Future()
    task: asyncio.Task[T] | None = None
    is_left = False

    def start() -> None:
        nonlocal task
        task = loop.create_task(coroutine)
        task.add_done_callback(functools.partial(_hand_over, result))
        if is_left:  # an exception may come as soon as the loop is asked to start
            task.cancel()

    try:
        loop.call_soon_threadsafe(start)
        return result.result()
    finally:
        is_left = True
        if task is not None and not task.done():
            loop.call_soon_threadsafe(task.cancel)


def _hand_over(result: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        result.cancel()
    elif error := task.exception():
        result.set_exception(error)
    else:
        result.set_result(task.result())


def background_loop() -> asyncio.AbstractEventLoop | None:
    """The loop, if it runs in this process."""
    return _loop


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _turn:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="openai-realtime-requests", daemon=True).start()
        return _loop


def _forget() -> None:
    """Reset in a forked process, where the thread does not exist and the lock may have been held."""
    global _loop, _turn
    _turn = threading.RLock()
    _loop = None


os.register_at_fork(after_in_child=_forget)
