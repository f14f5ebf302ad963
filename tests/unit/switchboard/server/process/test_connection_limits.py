"""Limits for connections, over real sockets and with both parsers; what they cost without is in ``tests/fuzz``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.unit.switchboard.support import until

from airflow_openai_realtime.switchboard.server.process import connection_limits as limits
from airflow_openai_realtime.switchboard.server.process.connection_limits import Connections
from airflow_openai_realtime.switchboard.server.process.limited_h11 import LimitedH11
from airflow_openai_realtime.switchboard.server.process.limited_httptools import LimitedHttpTools

SOON = 0.6


async def slow(request: Request) -> Response:
    """Like a long poll: it takes longer than a head may."""
    await asyncio.sleep(2 * SOON)
    return PlainTextResponse(f"{len(await request.body())}")


async def refuse(_: Request) -> Response:
    """Like a wrong token: the answer does not wait for the body."""
    return PlainTextResponse("no", 401)


async def large(_: Request) -> Response:
    return PlainTextResponse("x" * 20_000_000)


class Held:
    """A route whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.began = 0
        self.let_go = asyncio.Event()

    async def answer(self, _: Request) -> Response:
        self.began += 1
        await self.let_go.wait()
        return PlainTextResponse("done")


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Those of the server; few."""
    few = Connections(most=20)
    monkeypatch.setattr(limits, "_of_this_process", [few])
    return few


Parser = type[LimitedHttpTools] | type[LimitedH11]


@pytest.fixture(params=[LimitedHttpTools, LimitedH11], ids=["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> Parser:
    """The parser that the server uses."""
    found: Parser = request.param
    return found


@pytest.fixture
async def port(
    parser: Parser, connections: Connections, held: Held, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[int]:
    """A server that waits for nothing for long."""
    monkeypatch.setattr(limits, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(limits, "MESSAGE_SECONDS", 4 * SOON)
    monkeypatch.setattr(limits, "IDLE_SECONDS", 2 * SOON)
    monkeypatch.setattr(limits, "UNREAD_SECONDS", SOON)
    routes = [Route(f"/{each.__name__}", each, methods=["POST"]) for each in (refuse, large)]
    routes.append(Route("/held", held.answer, methods=["POST"]))
    app = Starlette(routes=[Route("/", slow, methods=["POST"]), *routes])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http=parser, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    yield listener.getsockname()[1]
    held.let_go.set()
    server.should_exit = True
    await serving
    listener.close()


async def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in b"POST / HTTP/1.1\r\nX: " + b"a" * 1000:
        if reader.at_eof():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)
    answered = b""
    # A byte that was on its way when the connection was closed makes it a reset.
    with suppress(ConnectionResetError):
        answered = await asyncio.wait_for(reader.read(), 30)
    assert answered == b""
    writer.close()


async def test_what_takes_long_after_its_head_is_not_cut_off_and_the_connection_goes_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        await asyncio.sleep(1.5 * SOON)
        writer.write(b"cde")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n5"), 30)
        assert answer.startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_a_second_request_on_a_connection_has_the_same_limit(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), 30)
    writer.write(b"POST / HTTP/1.1\r\nX: ")
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def test_a_head_that_is_too_large_is_refused(port: int, parser: Parser) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nX: " + b"a" * limits.MOST_HEAD_BYTES)
    answer = await asyncio.wait_for(reader.read(), 30)
    # h11 limits the head itself, and uvicorn answers 400 to whatever that parser refuses.
    assert answer.startswith(b"HTTP/1.1 431 " if parser is LimitedHttpTools else b"HTTP/1.1 400 ")
    writer.close()


HEAD = b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (b"POST /refuse" + HEAD % 2, b"a"),  # answered, and the rest of the body never comes
        (b"POST /refuse" + HEAD % 2, b"ab"),  # the body comes after the answer, and then nothing
        (b"POST /refuse" + HEAD % 100_000, *[b"a"] * 1000),
        (b"POST /nowhere" + HEAD % 100_000, *[b"a"] * 1000),
        (b"POST /" + HEAD % 100_000, *[b"a"] * 1000),  # not answered, since the body never comes
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 1000),
        (b"POST /refuse HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", *[b"a"] * 1000),
        (b"POST /refuse" + HEAD % 0, *[b"\r\n"] * 1000),  # lines that a parser takes for nothing
    ],
)
async def test_a_connection_ends_whatever_it_sends_and_the_log_says_why(
    port: int, pieces: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.ensure_future(reader.read())
    for piece in pieces:
        if reading.done():
            break
        with suppress(ConnectionError):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(0.05)
    with suppress(ConnectionError):
        await asyncio.wait_for(reading, 30)
    writer.close()
    if b"upgrade" not in pieces[0] and pieces[1] not in (b"ab", b"\r\n"):  # some parser refuses those at once
        assert "connections.closed slow_" in caplog.text


async def test_head_and_body_of_a_request_have_one_limit_together(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 600)
    monkeypatch.setattr(limits, "MESSAGE_SECONDS", 60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\n")
    later, other = await asyncio.open_connection("127.0.0.1", port)
    other.write(b"POST /refuse" + HEAD % 0)
    await asyncio.wait_for(later.readuntil(b"401 "), 30)  # so the server has the first connection, too
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + 61)
    writer.write(b"Host: x\r\nContent-Length: 5\r\n\r\n")
    answered = b""
    try:
        with suppress(ConnectionResetError):
            answered = await asyncio.wait_for(reader.read(), 30)
    finally:
        for each in (writer, other):
            each.close()
    assert answered == b""


async def test_a_peer_that_does_not_read_its_answer_is_let_go(port: int, connections: Connections) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"POST /large" + HEAD % 0)
    await until(lambda: connections.closed["unread_answer"] == 1)
    writer.close()


async def test_slow_connections_make_room_for_a_request_that_is_there(
    port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEAD_SECONDS", "MESSAGE_SECONDS"):
        monkeypatch.setattr(limits, name, 600)
    slow_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
    for _, writer in slow_ones:
        with suppress(ConnectionError):
            writer.write(b"POST /refuse" + HEAD % 5 + b"a")
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /" + HEAD % 5 + b"abcde")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n5"), 30)).startswith(b"HTTP/1.1 200 OK")
        writer.close()
    for _, writer in slow_ones:
        writer.close()
    assert "connections.closed made_room=1 open=" in caplog.text


async def test_when_all_connections_are_being_answered_a_new_one_is_told_to_come_back(port: int, held: Held) -> None:
    busy = []
    for _ in range(20):
        busy.append(await asyncio.open_connection("127.0.0.1", port))
        busy[-1][1].write(b"POST /held" + HEAD % 5 + b"abcde")
    await until(lambda: held.began == len(busy))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = await asyncio.wait_for(reader.read(), 30)
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in said
    held.let_go.set()
    for answering, other in busy:
        assert (await asyncio.wait_for(answering.readuntil(b"\r\n\r\ndone"), 30)).startswith(b"HTTP/1.1 200 OK")
        other.close()
    writer.close()


def test_a_process_has_as_many_connections_as_it_may_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in ((256, 128), (100, 32), (1_000_000, limits.MOST_CONNECTIONS), (-1, limits.MOST_CONNECTIONS)):
        monkeypatch.setattr(limits.resource, "getrlimit", lambda _, files=files: (files, files))
        assert limits.most_connections() == most
