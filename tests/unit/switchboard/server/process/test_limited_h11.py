"""What is still to come on a connection, as the parser that is always there tells it."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from airflow_openai_realtime.switchboard.server.process.limited_h11 import LimitedH11
from airflow_openai_realtime.switchboard.server.process.limited_httptools import LimitedHttpTools


class Peer(asyncio.Transport):
    """The other side of a connection; takes what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def connected(kind: type[LimitedH11] | type[LimitedHttpTools]) -> LimitedH11 | LimitedHttpTools:
    """A connection to an application that never answers."""

    async def never(scope: object, receive: object, send: object) -> None:
        await asyncio.sleep(3600)

    config = uvicorn.Config(never, log_config=None, lifespan="off")  # type: ignore[arg-type]
    config.load()
    connection = kind(config, ServerState(), {})  # type: ignore[call-arg]
    connection.connection_made(Peer())  # type: ignore[arg-type]
    return connection


KINDS = [LimitedH11]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_on_which_no_request_has_begun_waits_for_nothing(kind: type[LimitedH11]) -> None:
    connection = connected(kind)
    assert connection.receiving() == connection.NOTHING
    connection.connection_lost(None)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_is_its_head_then_its_body_then_nothing(kind: type[LimitedH11]) -> None:
    connection = connected(kind)
    connection.data_received(b"POST /webhook HTTP/1.1\r\nHost: x\r\n")
    assert connection.receiving() == connection.HEAD
    connection.data_received(b"Content-Length: 3\r\n\r\n")
    assert connection.receiving() == connection.BODY
    connection.data_received(b"ab")
    assert connection.receiving() == connection.BODY
    connection.data_received(b"c")
    assert connection.receiving() == connection.NOTHING
    connection.connection_lost(None)
