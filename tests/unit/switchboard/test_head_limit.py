"""The limit for a request's head, over real sockets; what it costs without it is in ``tests/fuzz``."""

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

from airflow_openai_realtime.switchboard import head_limit
from airflow_openai_realtime.switchboard.head_limit import LimitedHttpProtocol

SOON = 0.6


async def slow(request: Request) -> Response:
    """Like a long poll: it takes longer than a head may."""
    await asyncio.sleep(2 * SOON)
    return PlainTextResponse(f"{len(await request.body())}")


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server whose heads must be there soon."""
    monkeypatch.setattr(head_limit, "HEAD_SECONDS", SOON)
    app = Starlette(routes=[Route("/", slow, methods=["POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http=LimitedHttpProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    yield listener.getsockname()[1]
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


async def test_a_head_that_is_too_large_is_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nX: " + b"a" * head_limit.MOST_HEAD_BYTES)
    assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 431 ")
    writer.close()
