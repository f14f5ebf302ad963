"""Peers that answer too slowly, too much or never: real sockets, for tests of what must not wait for them."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

#: Far shorter than any read limit, so that only a limit of the whole exchange can end it.
EVERY_SECONDS = 0.05

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def never() -> Iterator[bytes]:
    """Nothing at all, while the connection stays open."""
    while True:
        yield b""


def endless_head() -> Iterator[bytes]:
    """A header that does not end."""
    yield _HEAD + b"x-filler: "
    while True:
        yield b"a"


def slow_body() -> Iterator[bytes]:
    """A body that comes byte by byte."""
    yield _HEAD + b"content-length: 1000000\r\n\r\n{"
    while True:
        yield b" "


def endless_body() -> Iterator[bytes]:
    """A body of 300 MB and more, as fast as it is read."""
    yield _HEAD + b"transfer-encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b" " * 65536 + b"\r\n"


KINDS: dict[str, Callable[[], Iterator[bytes]]] = {
    each.__name__: each for each in (never, endless_head, slow_body, endless_body)
}


class SlowPeer:
    """
    A server that treats every request in one way, until this is left.

    :param kind: One of :data:`KINDS`.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._port = self._listener.getsockname()[1]
        #: Of all connections together.
        self.sent_bytes = 0
        self.connections = 0
        self.has_sent = threading.Event()
        #: An asker has closed its connection.
        self.is_cut_off = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> SlowPeer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(5)
                connection.recv(65536)
                pause = 0.0 if self._kind == "endless_body" else EVERY_SECONDS
                for part in itertools.takewhile(lambda _: not self._stop.is_set(), KINDS[self._kind]()):
                    connection.sendall(part)
                    self.sent_bytes += len(part)
                    self.has_sent.set()
                    time.sleep(pause)
            except OSError:
                self.is_cut_off.set()
