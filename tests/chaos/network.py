"""A network that can be cut: a TCP proxy in front of one switchboard or several."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType

#: Closing with this option set sends a reset instead of a goodbye.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Network:
    """
    A way to one of several addresses; a client gets the next one that takes connections.

    :param urls: Addresses behind it, ``http://HOST:PORT``.
    """

    def __init__(self, *urls: str) -> None:
        self.urls = list(urls)
        self.url = ""
        self._is_cut = False
        self._turn = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        self._flowing.set()
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connected, "127.0.0.1", 0), self._loop)
        self._server = started.result(30)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """Break all connections; new ones go through."""
        self._do(self._break_all)

    def cut(self) -> None:
        """Break all connections and every new one, until healed."""
        self._is_cut = True
        self.reset()

    def stall(self) -> None:
        """Carry nothing any more, and say nothing of it, until healed."""
        self._do(self._flowing.clear)

    def heal(self) -> None:
        """Everything goes through again, also what was held back."""
        self._is_cut = False
        self._do(self._flowing.set)

    def trouble(self, times: int, longest_seconds: float) -> None:
        """Be cut, stalled or reset at random moments; healed when this returns."""
        for _ in range(times):
            time.sleep(random.uniform(0, 0.6))
            random.choice((self.cut, self.stall, self.reset))()
            time.sleep(random.uniform(0, longest_seconds))
            self.heal()

    def _do(self, what: Callable[[], None]) -> None:
        async def work() -> None:
            what()

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)

    def _break_all(self) -> None:
        for writer in self._open:
            _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._is_cut:
                return
            await self._flowing.wait()
            await self._carry(reader, writer)
        finally:
            self._open.discard(writer)
            _reset(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await self._connect()
        if behind is None:
            return
        from_behind, to_behind = behind
        self._open.add(to_behind)
        ways = [asyncio.ensure_future(self._pump(*way)) for way in ((reader, to_behind), (from_behind, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if ways[1].done():
                writer.close()  # all that came is on its way
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(to_behind)
            _reset(to_behind)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self.urls:
            self._turn += 1
            host, _, port = self.urls[self._turn % len(self.urls)].removeprefix("http://").rpartition(":")
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(host, int(port))
        return None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()

    async def _stop(self) -> None:
        self._server.close()
        self._break_all()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
