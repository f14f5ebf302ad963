"""
Sends all HTTP requests of this package: every answer is limited in total time and in bytes.

httpx limits each phase of a request and each read of its answer, so a peer that sends one byte every few seconds blocks
its caller without end, and an answer of any size is read. Here the limit is for the whole exchange, and an answer that
is too long is not read to its end.

Source: https://www.python-httpx.org/advanced/timeouts/ (what its limits mean)
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from airflow_openai_realtime.api import background_loop
from airflow_openai_realtime.api.retry import Trouble

CONNECT_SECONDS = 5.0

MOST_ANSWER_BYTES = 4 * 1024 * 1024
"""Of one answer of OpenAI or a carrier; theirs have some kilobytes."""

# Errors that come before the first byte of the request.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class AnswerTooLong(httpx.ReadError):
    """An answer has more bytes than it may have; the rest was not read."""


@dataclass(frozen=True)
class Answer:
    """
    An answer that was read to its end.

    :param status_code: HTTP status.
    :param headers: Case-insensitive.
    :param content: The body.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class AsyncTransport:
    """
    Sends requests for coroutines.

    :param headers: Of every request.
    :param auth: For HTTP basic authentication.
    :param timeout_seconds: Limit for one exchange from connecting to the last byte of the answer, in seconds, above 0;
        connecting takes at most 5 s of it.
    :param most_bytes: Largest body of an answer, in bytes.
    :param reuse_seconds: How long a connection is kept for the next request, in seconds; 0: each request has its own.
    :param transport: Replaces the network, for tests.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        most_bytes: int = MOST_ANSWER_BYTES,
        reuse_seconds: float = 0.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._most_bytes = most_bytes
        kept = httpx.Limits(keepalive_expiry=reuse_seconds) if reuse_seconds > 0 else None
        self._http = httpx.AsyncClient(
            # Answers are short, and an encoded one could grow beyond any limit when it is decoded.
            headers={"Accept-Encoding": "identity", **(headers or {})},
            auth=auth,
            transport=transport,
            verify=tls_context() if transport is None else True,
            limits=kept or httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
        )

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, method: str, url: str, *, wait_seconds: float = 0.0, **request: Any) -> Answer:
        """
        Send a request and read its answer, whatever its status.

        :param method: HTTP method.
        :param url: The whole address.
        :param wait_seconds: How much longer the whole exchange may take, for a long poll.
        :param request: ``params``, ``headers``, ``json``, ``data``, ``content`` as httpx takes them.
        :raises httpx.RequestError: No answer came in time, or it cannot be read; :func:`trouble_of_error` says whether
            the request can have left.

        Retries: none.
        """
        limit = self._timeout_seconds + wait_seconds
        progress = _Progress()
        exchange = asyncio.ensure_future(progress.closing(self._exchange(progress, method, url, limit, request)))
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
        self, progress: _Progress, method: str, url: str, limit: float, request: Mapping[str, Any]
    ) -> Answer:
        timeout = httpx.Timeout(limit, connect=min(CONNECT_SECONDS, self._timeout_seconds))
        async with self._http.stream(
            method, url, timeout=timeout, extensions={"trace": progress.trace}, **request
        ) as response:
            coding = response.headers.get("content-encoding", "identity").strip().lower()
            if coding not in ("", "identity"):
                raise httpx.DecodingError(f"the answer is encoded ({coding[:20]}) though none was asked for")
            parts: list[bytes] = []
            length = 0
            async for part in response.aiter_bytes():
                length += len(part)
                if length > self._most_bytes:
                    raise AnswerTooLong(f"the answer is longer than {self._most_bytes:,} bytes")
                parts.append(part)
            return Answer(response.status_code, response.headers, b"".join(parts))


class Transport:
    """
    :class:`AsyncTransport` for code that blocks; usable by several threads. The parameters are the same.

    All requests run in one shared background thread, where a request can be cancelled in every phase.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._made: AsyncTransport | None = None
        self._made_in: object = None

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        made, self._made = self._made, None
        if made is not None and self._made_in is background_loop.current():
            background_loop.run(made.aclose)

    def send(self, method: str, url: str, *, wait_seconds: float = 0.0, **request: Any) -> Answer:
        """Send a request and read its answer: :meth:`AsyncTransport.send`."""
        return background_loop.run(functools.partial(self._send, method, url, wait_seconds=wait_seconds, **request))

    async def _send(self, method: str, url: str, **request: Any) -> Answer:
        loop = asyncio.get_running_loop()
        if self._made is None or self._made_in is not loop:  # a forked process has a loop of its own
            self._made, self._made_in = AsyncTransport(**self._options), loop
        return await self._made.send(method, url, **request)


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

    async def closing(self, exchange: Coroutine[Any, Any, Answer]) -> Answer:
        """Run an exchange; httpcore 1.0.9 leaves a connection open that is cancelled while TLS is agreed on."""
        try:
            return await exchange
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


def tls_context() -> ssl.SSLContext:
    """The TLS settings that all requests of a process share; making them takes tens of milliseconds."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.lru_cache(maxsize=4)
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def trouble_of_error(error: httpx.RequestError) -> Trouble:
    """Say whether a request that got no answer can have left."""
    return Trouble.NOT_SENT if isinstance(error, _BEFORE_SENDING) else Trouble.NO_ANSWER
