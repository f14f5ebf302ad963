"""
Sending ready-made requests to a server as fast as it answers, over a fixed number of connections.

By ``wrk`` where it is installed (``apt-get install wrk``); otherwise by a generator of our own in a process of its own,
which takes more of a small machine's processor away from the server.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("load.lua")


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
        if shutil.which("wrk"):
            # Whole seconds are all that wrk knows.
            limits = ["-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "10s"]
            command = ["wrk", *limits, "-s", str(SCRIPT), url, "--", file.name]
        else:
            command = [sys.executable, "-m", "bench.load", url, file.name, str(connections), str(seconds)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = next(line.removeprefix("RESULT ") for line in said.splitlines() if line.startswith("RESULT "))
    return LoadResult(**json.loads(result))


def _read_requests(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while length := file.readline():
            yield file.read(int(length))


async def _generate(url: str, path: str, connections: int, seconds: float) -> LoadResult:
    """The generator for machines without wrk."""
    parts = urlsplit(url)
    requests = _read_requests(path)
    took: list[float] = []
    failed = 0
    begun = time.perf_counter()

    async def one_connection() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for request in requests:
            sent = time.perf_counter()
            if sent - begun > seconds:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            took.append(time.perf_counter() - sent)
            failed += not head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3"))
        writer.close()

    await asyncio.gather(*(one_connection() for _ in range(connections)))
    percentiles = statistics.quantiles(took, n=100)
    over = time.perf_counter() - begun
    return LoadResult(len(took) - failed, failed, over, percentiles[49] * 1000, percentiles[98] * 1000)


if __name__ == "__main__":
    result = asyncio.run(_generate(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    print("RESULT", json.dumps(result.__dict__))
