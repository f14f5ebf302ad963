"""
The only place that sends HTTP requests: to OpenAI, to carriers and to the switchboard, as often as each may be sent.

One exchange, its limits and the connections are in :mod:`airflow_openai_realtime.api.network`.
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx
import tenacity

from airflow_openai_realtime.api import network
from airflow_openai_realtime.api.request import (
    AMBIGUOUS,
    OPENAI,
    WEBSOCKET,
    Answer,
    NoAnswer,
    Policy,
    Request,
    Sendable,
    Service,
    Trouble,
    quotable,
)
from airflow_openai_realtime.api.settings import USER_AGENT, ApiSettings
from airflow_openai_realtime.exceptions import OpenAIRealtimeError

T = TypeVar("T")
Self = TypeVar("Self", bound="Client")

# Errors that come before the first byte of the request.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


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

    Connections are kept for the next request for :data:`~airflow_openai_realtime.api.network.KEEP_SECONDS`: those of
    blocking code always, those of an event loop while at least one of its clients is entered.

    :param service: Who is asked.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    :param retries: Whether requests are repeated as their policies say.
    """

    def __init__(
        self,
        service: Service,
        *,
        transport: network.Transport | None = None,
        pace: Pace | None = None,
        retries: bool = True,
    ) -> None:
        self.service = service
        self._transport = transport
        self._pace = pace or Pace()
        self._retries = retries
        self._entered = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service.base_url}>"

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing: the connections of blocking code stay."""

    async def __aenter__(self: Self) -> Self:
        await self._entered.enter_async_context(network.connections(self.service.base_url, self._transport))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._entered.aclose()

    def send(self, what: Sendable[T]) -> T:
        """
        Send a request, or several that have one result, and return what came of it.

        :param what: The request.
        :raises OpenAIRealtimeError: What the function that built the request says.

        Retries: as the request's policy says. An exception in the waiting thread, as from a signal, breaks it off.
        """
        return network.run(functools.partial(self.asend, what))

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
        exchange = (
            functools.partial(self._knock, request)
            if request.method == WEBSOCKET
            else functools.partial(network.exchange, self.service, request, self._transport)
        )
        return await repeating(request, self.service, exchange, self._pace, self._retries)

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

    def __init__(
        self, settings: ApiSettings, *, transport: network.Transport | None = None, pace: Pace | None = None
    ) -> None:
        super().__init__(openai_service(settings), transport=transport, pace=pace)


def openai_service(settings: ApiSettings) -> Service:
    """
    Return where requests about calls of a project are sent, and how they are signed.

    :param settings: Key, addresses and time-out.
    """
    return Service(
        OPENAI,
        settings.endpoints.rest_url,
        signed_headers(settings),
        (settings.api_key,),
        settings.timeout_seconds,
        websocket_url=settings.endpoints.websocket_url,
    )


def signed_headers(settings: ApiSettings) -> dict[str, str]:
    """
    Headers of every request, with the key: never log them.

    ``Accept-Encoding: identity`` keeps answers short and plain, so that reading one cannot fail on its packing.

    :param settings: Where OpenAI is, and the key.
    """
    result = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
    if settings.auth_style == "api-key":
        result["api-key"] = settings.api_key
    else:
        result["Authorization"] = f"Bearer {settings.api_key}"
    if settings.organization:
        result["OpenAI-Organization"] = settings.organization
    if settings.project:
        result["OpenAI-Project"] = settings.project
    return result


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
        try:
            return request.read(request, answer)
        except OpenAIRealtimeError:
            trouble, asked_seconds = answer.trouble, retry_after_seconds(answer.headers, time.time())
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


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """
    Read how long a server asks to wait.

    :param headers: ``retry-after-ms`` (milliseconds) wins over ``retry-after`` (seconds or an HTTP date).
    :param now: Unix time, for a date.
    :returns: Seconds, 0 or more, or ``None`` when nothing usable is said.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


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
