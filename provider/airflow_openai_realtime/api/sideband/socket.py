"""Opens the sockets of sidebands. Beside :mod:`airflow_openai_realtime.api.client`, the only place that connects."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from airflow_openai_realtime.api.network import tls_context
from airflow_openai_realtime.api.request import Answer, Request, Service

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_CLOSE_SECONDS = 1.0
_MAX_EVENT_BYTES = 16 * 1024 * 1024

# The library logs every header at debug level, the key among them.
_wire_log = logging.getLogger(__name__ + ".wire")
_wire_log.setLevel(logging.INFO)


@asynccontextmanager
async def open_socket(service: Service, request: Request[Any]) -> AsyncIterator[ClientConnection | Answer]:
    """
    Try once to open a socket; leaving the block closes it.

    :param service: Whose ``websocket_url`` is opened.
    :param request: With the path, and with the call for messages.
    :return: The open socket, or the answer that came instead of one.
    :raises httpx.ConnectError: There was neither.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus, WebSocketException

    class Connect(connect):
        """A connect that follows no redirect: the key goes to no other host."""

        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    url, own = service.websocket_url + request.path, service.headers
    refusal: Answer | None = None
    try:
        connection = await Connect(
            url,
            additional_headers={name: own[name] for name in own if name not in ("User-Agent", "Accept-Encoding")},
            user_agent_header=own.get("User-Agent"),
            open_timeout=service.timeout_seconds,
            close_timeout=_CLOSE_SECONDS,
            max_size=_MAX_EVENT_BYTES,
            compression=None,  # its windows would be most of what a live call costs in memory
            logger=_wire_log,
            **_socket_options(url),
        )
    except InvalidStatus as error:
        said = {name.lower(): value for name, value in error.response.headers.raw_items()}
        refusal = Answer(error.response.status_code, said, error.response.body or b"", service)
    except (OSError, asyncio.TimeoutError, WebSocketException) as error:
        raise httpx.ConnectError(str(error) or type(error).__name__) from error
    if refusal is not None:
        yield refusal
        return
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: ClientConnection) -> None:
    """Close with a handshake of at most a second; after a cancellation without it, but never leave the socket open."""
    try:
        await connection.close()
    finally:
        connection.transport.abort()


def load() -> None:
    """Load what the first socket needs, from a thread: it keeps the processor busy for tens of milliseconds."""
    import websockets.asyncio.client  # noqa: F401

    tls_context()


def _socket_options(url: str) -> dict[str, Any]:
    """
    Try IPv4 soon when IPv6 stalls (5 s were observed); only Python's own event loop knows how.

    Where there is one address to try, it is left out: cancelled at the moment of the connection, it loses the socket.

    :param url: Where the socket leads to.

    Source: ``asyncio.staggered`` of Python 3.11, observed 2026.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = {"ssl": tls_context()} if parts.scheme == "wss" else {}
    if not _is_address(parts.hostname or "") and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        options["happy_eyeballs_delay"] = 0.25
    return options


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
