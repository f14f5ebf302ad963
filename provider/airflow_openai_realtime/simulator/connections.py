"""What an ASGI application cannot do: break a TCP connection off, with or without a reset, or never answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakValueDictionary

from starlette.types import Receive, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connections:
    """The open TCP connections of one server, by the client's address."""

    def __init__(self) -> None:
        self._transports: MutableMapping[tuple[Any, ...], asyncio.Transport] = WeakValueDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._released = asyncio.Event()

    def protocol(self) -> type[H11Protocol]:
        """A uvicorn protocol class that notes each connection as it is made; an upgrade to WebSocket keeps it."""
        transports = self._transports

        class NotingProtocol(H11Protocol):
            """HTTP/1.1, with each transport noted under the client's address."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                transports[tuple(transport.get_extra_info("peername")[:2])] = transport
                super().connection_made(transport)
                # Set here and not in uvicorn's config, which would silence other servers of this process too.
                self.access_log = False

        return NotingProtocol

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the event loop that the server runs on."""
        self._loop = loop

    def reset(self, scope: Scope) -> None:
        """
        Break a connection off with TCP RST: what is on its way is lost, the client sees "connection reset".

        :param scope: ASGI scope of a request or socket on it.
        """
        transport = self._transports.get(tuple(scope["client"]))
        if transport is not None and not transport.is_closing():
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

    def close(self, scope: Scope) -> None:
        """
        Close a connection without a word of the protocol on it; what was written before still arrives.

        :param scope: ASGI scope of a request or socket on it.
        """
        transport = self._transports.get(tuple(scope["client"]))
        if transport is not None:
            transport.close()

    async def hang(self, scope: Scope, receive: Receive) -> None:
        """
        Never answer: wait until the client goes away, or :meth:`release`; then the connection is reset.

        :param scope: ASGI scope of the request or socket.
        :param receive: Its ASGI ``receive``.
        """
        released = asyncio.ensure_future(self._released.wait())
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait((released, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            released.cancel()
            gone.cancel()
            await asyncio.gather(released, gone, return_exceptions=True)
        self.reset(scope)

    def release(self) -> None:
        """Let everything that hangs go, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._released.set()
        self._released = asyncio.Event()


async def _until_gone(receive: Receive) -> None:
    while not (await receive())["type"].endswith("disconnect"):
        pass
