"""
Sending ready-made requests to a server as fast as it answers, over a fixed number of connections.

The generator runs in a process of its own and does as little as it can for a request, since it shares the machine with
the server: no HTTP library, no event loop, one system call to send and one to receive.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_SILENCE_SECONDS = 30.0  # after that the generator gives up


@dataclass(frozen=True)
class LoadResult:
    """
    What came of a load.

    :param answered: Requests answered with a status below 400.
    :param failed: Requests answered otherwise or not at all.
    :param seconds: How long it took.
    :param p50_ms: Half of the answers came within this time, in milliseconds.
    :param p99_ms: 99 % of the answers came within this time, in milliseconds.
    """

    answered: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


def post(url: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def send_all(url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> LoadResult:
    """
    Send requests, each at most once, until all are sent or the time is over.

    :param url: The server.
    :param requests: As :func:`post` makes them.
    :param connections: How many are under way at once.
    :param seconds: When to stop, at the latest.
    """
    with tempfile.NamedTemporaryFile() as file:
        for request in requests:
            file.write(b"%d\n%b" % (len(request), request))
        file.flush()
        command = [sys.executable, "-m", "bench.load", url, file.name, str(connections), str(seconds)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return LoadResult(**json.loads(said))


def _read_requests(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while length := file.readline():
            yield file.read(int(length))


class _Generator:
    """One load: connections that each send the next request when their last one is answered."""

    def __init__(self, url: str, requests: Iterator[bytes], seconds: float) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._began = time.perf_counter()
        self._until = self._began + seconds
        self._sent_at: dict[socket.socket, float] = {}
        self._received: dict[socket.socket, bytes] = {}
        self.took: list[float] = []
        self.failed = 0

    def run(self, connections: int) -> LoadResult:
        """Send over so many connections until the time is over and all that was sent is answered."""
        for _ in range(connections):
            connection = socket.create_connection(self._address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
            self._send_next(connection)
        while self._sent_at:
            ready = self._selector.select(_SILENCE_SECONDS)
            if not ready:
                self.failed += len(self._sent_at)
                break
            for key, _ in ready:
                self._receive(key.fileobj)  # type: ignore[arg-type]
        over = time.perf_counter() - self._began
        percentiles = statistics.quantiles(self.took, n=100)
        answered = len(self.took)
        return LoadResult(answered, self.failed, over, percentiles[49] * 1000, percentiles[98] * 1000)

    def _send_next(self, connection: socket.socket) -> None:
        now = time.perf_counter()
        request = next(self._requests, None) if now < self._until else None
        if request is None:
            self._close(connection)
            return
        self._received[connection] = b""
        self._sent_at[connection] = now
        connection.sendall(request)

    def _receive(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if not data:
            self.failed += 1
            self._close(connection)
            return
        answer = self._received[connection] = self._received[connection] + data
        head, separator, body = answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not separator or len(body) < int(length or 0):
            return
        if head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3")):
            self.took.append(time.perf_counter() - self._sent_at[connection])
        else:
            self.failed += 1
        self._send_next(connection)

    def _close(self, connection: socket.socket) -> None:
        self._sent_at.pop(connection, None)
        self._selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    url, path, connections, seconds = sys.argv[1:]
    print(json.dumps(_Generator(url, _read_requests(path), float(seconds)).run(int(connections)).__dict__))
