"""
The sideband: a WebSocket beside an accepted call, on which its events come and commands go.

OpenAI sends no "call ended" message: the end of the call is the end of the socket. Closing the socket from this side
does not end the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import ipaddress
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow_openai_realtime.api import requests, retry
from airflow_openai_realtime.api.error_text import json_object, quotable
from airflow_openai_realtime.api.requests import CallRequest
from airflow_openai_realtime.api.retry import Pace, Trouble, Verdict
from airflow_openai_realtime.api.settings import USER_AGENT, ApiSettings, headers
from airflow_openai_realtime.api.sip import check_call_id
from airflow_openai_realtime.exceptions import CallError, CallGone, ServiceUnavailable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

RETRY_SECONDS = 3.0
_NORMAL_CLOSE = 1000
_CLOSE_SECONDS = 1.0
_MAX_EVENT_BYTES = 16 * 1024 * 1024

# The library logs every header at debug level, the key among them.
_wire_log = logging.getLogger(__name__ + ".wire")
_wire_log.setLevel(logging.INFO)


class Sideband:
    """
    The open socket of a call: iterate over its events, send it commands. Made by :func:`attach`.

    The iteration ends when the socket closes, however it closes; ``clean_end`` then tells how: whether OpenAI closed it
    in the normal way (code 1000). Otherwise the call may go on: attach again, and CallGone then means that it is over.

    :param connection: The open socket.
    :param call_id: OpenAI's id of the call.
    """

    def __init__(self, connection: ClientConnection, call_id: str) -> None:
        self._connection = connection
        self.call_id = call_id
        self.clean_end = False

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        from websockets.exceptions import ConnectionClosed

        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as end:
                self.clean_end = end.rcvd is not None and end.rcvd.code == _NORMAL_CLOSE
                return
            event = json_object(message.encode() if isinstance(message, str) else message)
            if event is not None:
                yield event

    async def send(self, event: Mapping[str, Any]) -> None:
        """
        Send a command, for example ``{"type": "response.create"}``.

        :param event: JSON object. A ``session.update`` must carry ``session.type``.
        :raises CallGone: The socket is closed.

        Source: https://developers.openai.com/api/docs/guides/voice-server-controls
        """
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(json.dumps(event))
        except ConnectionClosed:
            raise CallGone("the call's sideband is closed, the command was not sent", call_id=self.call_id) from None


@contextlib.asynccontextmanager
async def attach(
    settings: ApiSettings, call_id: str, *, retry_seconds: float = RETRY_SECONDS, pace: Pace | None = None
) -> AsyncIterator[Sideband]:
    """
    Open the sideband of an accepted call; leaving the block closes the socket, not the call.

    :param settings: Key, addresses and time-out.
    :param call_id: Id of the accepted call.
    :param retry_seconds: How long to start new attempts. A call accepted a moment ago may not be found yet.
    :param pace: Replaces clock, sleep and chance, for tests.
    :raises CallGone: Not found, still so after ``retry_seconds``: the call is over.
    :raises AuthenticationError: The key was refused; not retried.
    :raises RequestRefused: Another refusal, or a redirect; not retried.
    :raises ServiceUnavailable: No connection, 429 or 5xx, still so after ``retry_seconds``.

    Retries: for ``retry_seconds``; attaching twice changes nothing for the caller.
    Source: https://developers.openai.com/api/docs/guides/voice-server-controls ; 404 when too early: observed 2026.
    """
    url = f"{settings.endpoints.websocket_url}?call_id={quote(check_call_id(call_id), safe='')}"
    request = CallRequest("attach", call_id, "GET", url)
    policy = dataclasses.replace(retry.POLICIES["attach"], total_seconds=retry_seconds)

    async def attempt() -> Verdict:
        return await _open(settings, request)

    verdict: Verdict = await retry.async_retrying(policy, pace or Pace())(attempt)
    if verdict.error is not None:
        raise verdict.error
    try:
        yield Sideband(verdict.value, call_id)
    finally:
        await _close(verdict.value)


async def _close(connection: ClientConnection) -> None:
    """Say goodbye for a second at most; whoever is cancelled meanwhile leaves without, and leaves no socket open."""
    try:
        await connection.close()
    finally:
        connection.transport.abort()


async def _open(settings: ApiSettings, request: CallRequest) -> Verdict:
    """Try once to open the socket."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus, WebSocketException

    class Connect(connect):
        """A connect that follows no redirect: the key goes to no other host."""

        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    own = headers(settings)
    try:
        connection = await Connect(
            request.path,
            additional_headers={name: own[name] for name in own if name not in ("User-Agent", "Accept-Encoding")},
            user_agent_header=USER_AGENT,
            open_timeout=settings.timeout_seconds,
            close_timeout=_CLOSE_SECONDS,
            max_size=_MAX_EVENT_BYTES,
            compression=None,  # its windows would be most of what a live call costs in memory
            logger=_wire_log,
            **_socket_options(request.path),
        )
    except InvalidStatus as error:
        return _refused(settings, request, error)
    except (OSError, asyncio.TimeoutError, WebSocketException) as error:
        why = quotable(str(error), (settings.api_key,)) or type(error).__name__
        host = urlsplit(request.path).hostname
        text = f"no sideband connection to {host}: {why}. Check the network, the proxy and the base URL"
        return Verdict(ServiceUnavailable(text, call_id=request.call_id), Trouble.NOT_SENT)
    return Verdict(value=connection)


def _refused(settings: ApiSettings, request: CallRequest, error: Any) -> Verdict:
    response = error.response
    said = {name.lower(): value for name, value in response.headers.raw_items()}
    try:
        requests.interpret(request, response.status_code, said, response.body or b"", hide=(settings.api_key,))
    except CallGone as gone:
        return Verdict(gone, Trouble.NOT_READY)
    except CallError as refusal:
        return Verdict(refusal, retry.trouble_of_status(response.status_code))
    text = f"the sideband answered HTTP {response.status_code} instead of a socket: check the base URL"
    return Verdict(ServiceUnavailable(text, call_id=request.call_id), Trouble.FINAL)


def load() -> None:
    """Load what the first socket needs, from a thread: it keeps the processor busy for tens of milliseconds."""
    import websockets.asyncio.client  # noqa: F401

    _tls()


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all sockets: each reads all certificates that the system trusts, so many at once would hold up all."""
    return ssl.create_default_context()


def _socket_options(url: str) -> dict[str, Any]:
    """
    Try IPv4 soon when IPv6 stalls (5 s were observed); only Python's own event loop knows how.

    Where there is one address to try, it is left out: cancelled at the moment of the connection, it loses the socket.

    :param url: Where the socket leads to.

    Source: ``asyncio.staggered`` of Python 3.11, observed 2026.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = {"ssl": _tls()} if parts.scheme == "wss" else {}
    if not _is_address(parts.hostname or "") and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        options["happy_eyeballs_delay"] = 0.25
    return options


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
