"""Opening a socket once: it is open, or there is an answer, or there is no connection."""

from __future__ import annotations

import http

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from airflow_openai_realtime.api.call_requests import attach_call
from airflow_openai_realtime.api.request import Answer, Service
from airflow_openai_realtime.api.sideband.socket import open_socket


def service(port: int) -> Service:
    return Service(
        "openai", "http://x", {"Authorization": "Bearer k"}, ("k",), 5.0, websocket_url=f"ws://127.0.0.1:{port}"
    )


async def test_leaving_the_block_closes_the_socket() -> None:
    async def behave(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(behave, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_socket(service(port), attach_call("rtc_1")) as opened:
            assert not isinstance(opened, Answer)
            assert opened.close_code is None
        assert opened.close_code is not None


async def test_a_refusal_is_an_answer() -> None:
    def refuse(connection: ServerConnection, _: object) -> object:
        return connection.respond(http.HTTPStatus.NOT_FOUND, "no")

    async with serve(lambda _: None, "127.0.0.1", 0, process_request=refuse) as server:  # type: ignore[arg-type,return-value]
        port = server.sockets[0].getsockname()[1]
        async with open_socket(service(port), attach_call("rtc_1")) as opened:
            assert isinstance(opened, Answer)
            assert (opened.status_code, opened.content) == (404, b"no")


async def test_no_connection_is_an_error_of_the_network() -> None:
    with pytest.raises(httpx.ConnectError):
        async with open_socket(service(9), attach_call("rtc_1")):
            pytest.fail("there is no server")
