"""Connections that break off, are reset, or never answer, over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import uvicorn

from airflow_openai_realtime.simulator.connections import Connections


class Server:
    """A server whose every request does one thing with its connection."""

    def __init__(self, what: str) -> None:
        self.connections = Connections()
        self._what = what
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Server:
        config = uvicorn.Config(
            self._app,
            http=self.connections.protocol(),
            interface="asgi3",
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=0,
        )
        config.load()
        loop = asyncio.get_running_loop()
        self.connections.open(loop)
        state = uvicorn.server.ServerState()
        self._server = await loop.create_server(
            lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore[call-arg, arg-type]
            "127.0.0.1",
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        try:
            if self._what == "hang":
                await self.connections.hang(scope, receive)
            else:
                getattr(self.connections, self._what)(scope)
        finally:
            self.ended.set()

    async def get(self) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return await client.get(f"http://127.0.0.1:{self.port}/")


async def test_a_connection_that_is_reset_is_a_read_error() -> None:
    async with Server("reset") as server:
        with pytest.raises(httpx.ReadError):
            await server.get()


async def test_a_connection_that_is_closed_says_nothing() -> None:
    async with Server("close") as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await server.get()


async def test_what_hangs_is_reset_when_it_is_released() -> None:
    async with Server("hang") as server:
        asking = asyncio.ensure_future(server.get())
        await asyncio.wait_for(server.asked.wait(), 30)
        assert not asking.done()
        await asyncio.to_thread(server.connections.release)
        with pytest.raises(httpx.ReadError):
            await asking


async def test_what_hangs_ends_when_its_client_goes_away() -> None:
    async with Server("hang") as server:
        asking = asyncio.ensure_future(server.get())
        await asyncio.wait_for(server.asked.wait(), 30)
        asking.cancel()
        await asyncio.wait_for(server.ended.wait(), 30)


def test_a_connection_that_is_gone_and_a_server_that_never_ran_are_left_alone() -> None:
    connections = Connections()
    scope: Any = {"client": ("127.0.0.1", 1)}
    connections.reset(scope)
    connections.close(scope)
    connections.release()
    loop = asyncio.new_event_loop()
    connections.open(loop)
    loop.close()
    connections.release()
