"""A standalone switchboard and bytes that are hardly HTTP: it goes on serving, within its memory."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.fuzz.hostile import Hostile
from tests.fuzz.test_routes import SEED
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.switchboard.server.process.connection_limits import MOST_HEAD_BYTES
from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store

REQUESTS = 400
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def file_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sockets')}/switchboard.db"


@pytest.fixture(scope="module")
def standalone(file_url: str) -> Iterator[Standalone]:
    with Standalone(file_url) as started:
        yield started
        assert httpx.get(f"{started.url}/health", timeout=60).json() == {"status": "up"}
        assert "Traceback" not in started.log()


def exchanged(url: str, *pieces: bytes, seconds: float = 30.0, most: int = MEGABYTE) -> bytes:
    """Send pieces and read what comes back until the other side closes, or says nothing more."""
    parts = urlsplit(url)
    said = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection, suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while len(said) < most and (more := connection.recv(65536)):
            said += more
    return said


def statuses(said: bytes) -> list[int]:
    """The status of each answer."""
    return [int(found) for found in re.findall(rb"^HTTP/1\.[01] ([0-9]{3}) ", said, re.MULTILINE)]


def most_memory(standalone: Standalone) -> int:
    """The most memory that the process has ever had, in bytes."""
    found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{standalone.process.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def hardly_http(hostile: Hostile) -> bytes:
    """A request with something wrong about it."""
    paths = [b"/webhook", b"/webhook/support", b"/v1/calls", b"/v1/calls/rtc_1/claim", b"/health", b"*"]
    path = hostile.random.choice(paths)
    method = hostile.random.choice([b"POST", b"GET", b"PUT", b"post", b"\x16\x03\x01", b"PRI", b"CONNECT", b""])
    body = hostile.body()
    lengths = [b"Content-Length: %d" % len(body), b"Content-Length: 5", b"Content-Length: -1", b"content-length: 1e9"]
    lengths += [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, gzip", b"Content-Length: " + b"9" * 20]
    lines = [b"%b %b HTTP/%b" % (method, path, hostile.random.choice([b"1.1", b"1.0", b"2.0", b"9.9", b""]))]
    lines += hostile.random.sample(lengths, hostile.random.choice([0, 1, 1, 2]))
    lines += [b": ".join(pair) for pair in hostile.headers()]
    others = [b"Host: x", b"Host: y", b"Upgrade: websocket", b"Connection: upgrade", b" folded"]
    lines += hostile.random.sample(others, 3)
    content = b"\r\n".join([*lines, b"", body])
    return hostile.broken(content) if hostile.chance(0.3) else content


def test_hundreds_of_requests_that_are_hardly_http(standalone: Standalone, file_url: str) -> None:
    hostile = Hostile(SEED)
    answered = 0
    for _ in range(REQUESTS):
        content = hardly_http(hostile)
        found = statuses(exchanged(standalone.url, content, seconds=5))
        answered += bool(found)
        assert all(status < 500 for status in found), f"{found} with FUZZ_SEED={SEED}: {content[:2000]!r}"
    assert answered > REQUESTS / 2
    store = Store(file_url)
    store.prepare()
    assert store.calls.select("default", CallFilter(), 10, utc_now()) == []
    store.close()


@pytest.mark.parametrize(
    "start",
    [
        b"POST /webhook HTTP/1.1\r\nX: ",  # a header that does not end
        b"POST /webhook?",  # a path that does not end
        b"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",  # a piece that does not
        b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
        b"POST /v1/attempts HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
    ],
)
def test_what_does_not_end_is_cut_off_and_does_not_fill_the_memory(standalone: Standalone, start: bytes) -> None:
    before = most_memory(standalone)
    said = [exchanged(standalone.url, start, *[b"a" * MEGABYTE] * 48, seconds=5) for _ in range(3)]
    assert all(status in (400, 401, 413, 431) for each in said for status in statuses(each))
    assert most_memory(standalone) - before < 24 * MEGABYTE


def test_many_headers_are_refused_by_their_size(standalone: Standalone) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    line = b"X-Header: " + b"a" * 1000 + b"\r\n"
    few = [line] * (MOST_HEAD_BYTES // len(line) - 2)
    assert statuses(exchanged(standalone.url, head, *few, b"\r\n")) == [200]
    said = exchanged(standalone.url, head, *[line] * 5000, b"\r\n")
    assert statuses(said) in ([431], [])  # it is closed: the answer may be lost with what was still on its way


def test_a_connection_is_used_again_after_large_requests(standalone: Standalone) -> None:
    """The limit is for each request, not for all of a connection."""
    with httpx.Client() as client:
        for _ in range(5):
            headers = {"X-Large": "a" * 30_000}
            assert client.post(f"{standalone.url}/webhook", headers=headers, content=b"x" * 200_000).status_code == 401


def test_a_websocket_is_no_way_in(standalone: Standalone) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers = {**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    for path, status in (("/webhook", 405), ("/v1/calls", 401)):
        assert httpx.get(f"{standalone.url}{path}", headers=headers).status_code == status
