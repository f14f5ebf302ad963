"""
The only place that sends HTTP requests: to OpenAI, to carriers and to the switchboard.

Every answer is limited in total time and in bytes. httpx limits each phase of a request and each read of its answer, so
a peer that sends one byte every few seconds blocks its caller without end, and an answer of any size is read. Here the
limit is for the whole exchange, and an answer that is too long is not read to its end.

All clients of an event loop share their connections, and all of a process share what TLS needs.

Source: https://www.python-httpx.org/advanced/timeouts/ (what its limits mean)
"""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
import tenacity

from airflow_openai_realtime.api import background_loop, tls
from airflow_openai_realtime.api.error_text import quotable
from airflow_openai_realtime.api.request import (
    AMBIGUOUS,
    WEBSOCKET,
    Answer,
    NoAnswer,
    Policy,
    Request,
    Sendable,
    Service,
    Trouble,
    retry_after_seconds,
)
from airflow_openai_realtime.api.settings import ApiSettings, openai_service
from airflow_openai_realtime.api.sharing import SharedResources
from airflow_openai_realtime.exceptions import OpenAIRealtimeError

T = TypeVar("T")
Self = TypeVar("Self", bound="Client")

Transport = httpx.AsyncBaseTransport
"""What replaces the network in tests."""

CONNECT_SECONDS = 5.0

KEEP_SECONDS = 1.5
"""
How long a connection is kept for the next request, in seconds.

Far shorter than servers wait, five seconds and more, so that no server closes it just when an accept is sent: then it
would not be known whether the call was accepted. Measured in ``docs/design/measurements.md``.
"""

# Errors that come before the first byte of the request.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


class AnswerTooLong(httpx.ReadError):
    """An answer has more bytes than it may have; the rest was not read."""


@dataclass(frozen=True)
class Pace:
    """
    Time and chance, replaceable in tests.

    :param clock: Seconds on a clock that never jumps.
    :param jitter: A number from 0 to 1.
    :param sleep: Waits so many seconds.
    """

    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Client:
    """
    Sends requests to one service, from blocking code and from coroutines. Usable by several threads and event loops.

    A context manager for both; while at least one client of an event loop is entered, the loop's connections are kept
    for :data:`KEEP_SECONDS`. Blocking code shares one loop in a background thread.

    :param service: Who is asked.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    :param retries: Whether requests are repeated as their policies say.
    """

    def __init__(
        self,
        service: Service,
        *,
        transport: Transport | None = None,
        pace: Pace | None = None,
        retries: bool = True,
    ) -> None:
        self.service = service
        self._transport = transport
        self._pace = pace or Pace()
        self._retries = retries
        self._entered = AsyncExitStack()
        self._entered_in: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service.base_url}>"

    def __enter__(self: Self) -> Self:
        return background_loop.run(self.__aenter__)

    def __exit__(self, *_: object) -> None:
        background_loop.run(self.__aexit__)

    async def __aenter__(self: Self) -> Self:
        await self._entered.enter_async_context(_http_for(self.service.base_url, self._transport))
        self._entered_in = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._entered_in is asyncio.get_running_loop():  # a forked process has a loop of its own
            await self._entered.aclose()

    def send(self, what: Sendable[T]) -> T:
        """
        Send a request, or several that have one result, and return what came of it.

        :param what: The request.
        :raises OpenAIRealtimeError: What the function that built the request says.

        Retries: as the request's policy says. An exception in the waiting thread, as from a signal, breaks it off.
        """
        return background_loop.run(functools.partial(self.asend, what))

    async def asend(self, what: Sendable[T]) -> T:
        """
        Send a request from within an event loop: :meth:`send`.

        :param what: A request, or a conversation of requests.
        """
        if isinstance(what, Request):
            return await self._send_one(what)
        try:
            request = next(what)
            while True:
                try:
                    answer = await self._send_one(request)
                except OpenAIRealtimeError as error:
                    request = what.throw(error)
                else:
                    request = what.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send_one(self, request: Request[T]) -> T:
        if request.to != self.service.name:
            raise TypeError(f"{request.operation} is a request to {request.to}, not to {self.service.name}")
        exchange = self._knock if request.method == WEBSOCKET else self._exchange
        return await repeating(request, self.service, functools.partial(exchange, request), self._pace, self._retries)

    async def _exchange(self, request: Request[Any]) -> Answer:
        async with _http_for(self.service.base_url, self._transport) as http:
            return await _limited_exchange(http, self.service, request)

    async def _knock(self, request: Request[Any]) -> Answer:
        """Open a WebSocket and close it at once."""
        from airflow_openai_realtime.api.sideband.socket import open_socket

        async with open_socket(self.service, request) as opened:
            return opened if isinstance(opened, Answer) else Answer(101, {}, b"", self.service)


class CallsClient(Client):
    """
    Client of OpenAI's call endpoints; the requests are in :mod:`airflow_openai_realtime.api.call_requests`.

    :param settings: Key, addresses and time-out.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    """

    def __init__(self, settings: ApiSettings, *, transport: Transport | None = None, pace: Pace | None = None) -> None:
        super().__init__(openai_service(settings), transport=transport, pace=pace)


async def repeating(
    request: Request[T], service: Service, exchange: Callable[[], Awaitable[Answer]], pace: Pace, retries: bool = True
) -> T:
    """
    Send a request as often as its policy allows; the last attempt's result or error counts.

    :param request: The request.
    :param service: Who is asked.
    :param exchange: Sends it once.

        :raises httpx.RequestError: No answer came.
    :param pace: Clock, sleep and chance.
    :param retries: Whether it may be repeated at all.
    """
    policy, began = request.policy, pace.clock()
    asked_before, trouble, asked_seconds, is_known = False, Trouble.FINAL, None, False

    async def once() -> T:
        nonlocal asked_before, trouble, asked_seconds, is_known
        asked_before, asked_seconds, is_known = asked_before or trouble in AMBIGUOUS, None, False
        try:
            answer = replace(await exchange(), asked_before=asked_before)
        except (httpx.RequestError, httpx.InvalidURL) as lost:
            trouble, is_known = trouble_of_error(lost), True
            why = quotable(str(lost), service.secrets) or type(lost).__name__
            raise request.no_answer(
                request, NoAnswer(why, type(lost).__name__, trouble, service, asked_before)
            ) from lost
        trouble, asked_seconds = answer.trouble, retry_after_seconds(answer.headers, time.time())
        try:
            return request.read(request, answer)
        except OpenAIRealtimeError:
            is_known = True
            raise

    def may_repeat(error: BaseException) -> bool:
        return retries and is_known and (trouble in policy.repeat_after or isinstance(error, policy.repeat_errors))

    def is_enough(state: tenacity.RetryCallState) -> bool:
        too_late = pace.clock() - began + state.upcoming_sleep > policy.total_seconds
        return state.attempt_number >= policy.tries or too_late

    attempts = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(may_repeat),
        wait=lambda state: _pause_seconds(policy, state.attempt_number, asked_seconds, pace),
        stop=is_enough,
        sleep=pace.sleep,
        reraise=True,
    )
    return await attempts(once)


def _pause_seconds(policy: Policy, attempt: int, asked_seconds: float | None, pace: Pace) -> float:
    if asked_seconds is not None and policy.obeys_retry_after:
        return asked_seconds
    backoff: float = policy.first_pause_seconds * 2 ** min(attempt - 1, 10)
    return min(backoff, policy.longest_pause_seconds) * (1 - 0.25 * pace.jitter())


def trouble_of_error(error: Exception) -> Trouble:
    """
    Say whether a request that got no answer can have left.

    :param error: What the HTTP library raised.
    """
    return Trouble.NOT_SENT if isinstance(error, _BEFORE_SENDING) else Trouble.NO_ANSWER


_HTTP: SharedResources[httpx.AsyncClient] = SharedResources(httpx.AsyncClient.aclose)


@asynccontextmanager
async def holding_connections() -> AsyncIterator[None]:
    """Keep the connections of this event loop as if a client were entered all the time."""
    async with _http_for("http:", None), _http_for("https:", None):
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


@asynccontextmanager
async def _http_for(url: str, transport: Transport | None) -> AsyncIterator[httpx.AsyncClient]:
    """The connections of the running event loop; without TLS, what it needs is not loaded."""
    is_tls = url.startswith("https:")
    if is_tls and transport is None and not tls.is_tls_ready():
        await asyncio.to_thread(tls.tls_context)
    async with _HTTP.use(transport or is_tls, functools.partial(_new_http, transport, is_tls)) as http:
        yield http


def _new_http(transport: Transport | None, is_tls: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport,
        verify=tls.tls_context() if is_tls and transport is None else _no_trust(),
        limits=httpx.Limits(keepalive_expiry=KEEP_SECONDS),
        follow_redirects=False,
        # Projects, accounts and lines share the connections: no cookie of one goes with a request of another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


@functools.cache
def _no_trust() -> ssl.SSLContext:
    """For plain connections: it trusts no certificate, and loads none."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _limited_exchange(http: httpx.AsyncClient, service: Service, request: Request[Any]) -> Answer:
    """
    Send a request once and read its answer, whatever its status.

    :raises httpx.RequestError: No answer came in time, or it cannot be read.
    """
    limit = service.timeout_seconds + request.wait_seconds
    progress = _Progress()
    exchange = asyncio.ensure_future(
        progress.closing(functools.partial(_exchange, http, service, request, limit, progress))
    )
    try:
        done, _ = await asyncio.wait([exchange], timeout=limit)
        if not done:
            raise progress.too_late(limit)
        return exchange.result()
    finally:
        # Also when the caller is cancelled. What is still under way closes its connection by itself.
        exchange.cancel()
        _ending.add(exchange)
        exchange.add_done_callback(_take_result)


async def _exchange(
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

    async def closing(self, exchange: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run an exchange; httpcore 1.0.9 leaves a connection open that is cancelled while TLS is agreed on."""
        try:
            return await exchange()
        except asyncio.CancelledError:
            if self._greeting is not None:
                await self._greeting.aclose()
            raise

    def too_late(self, limit: float) -> httpx.TimeoutException:
        """The error for an exchange that took longer than its limit."""
        text = f"not answered completely within {limit:g} s"
        return httpx.ReadTimeout(text) if self._is_sent else httpx.ConnectTimeout(text)


_ending: set[asyncio.Future[Any]] = set()


def _take_result(exchange: asyncio.Future[Any]) -> None:
    """Let go of an exchange, which was kept from being collected before it has closed its connection."""
    _ending.discard(exchange)
    if not exchange.cancelled():
        exchange.exception()
