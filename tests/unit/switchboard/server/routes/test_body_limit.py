"""Bodies that are too large are refused before the application sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.unit.switchboard.support import Clock, a_line, running

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.switchboard.server.routes.body_limit import BodyLimit
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

LIMIT = 1000


class Application:
    """Says how much it has read; ``/early`` answers without reading."""

    def __init__(self) -> None:
        self.asked = 0
        routes = [Route("/", self._read, methods=["POST"]), Route("/early", self._early, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def _read(self, request: Request) -> Response:
        self.asked += 1
        return PlainTextResponse(str(len(await request.body())))

    async def _early(self, _: Request) -> Response:
        self.asked += 1
        return PlainTextResponse("no", 401)


async def chunks(size: int) -> AsyncIterator[bytes]:
    """A body that does not say its length."""
    for _ in range(size // 100):
        yield b"x" * 100


Post = Callable[..., Awaitable[httpx.Response]]


def posting(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sb")


async def test_a_stated_length_that_is_too_large_never_reaches_the_application() -> None:
    application = Application()
    async with posting(BodyLimit(application.app, LIMIT)) as http:
        for path in ("/", "/early", "/nowhere"):
            answer = await http.post(path, content=b"x" * (LIMIT + 1))
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert application.asked == 0
        assert (await http.post("/", content=b"x" * LIMIT)).text == str(LIMIT)


@pytest.mark.parametrize("length", ["9" * 5000, "1001", "0001001"])
async def test_however_a_length_is_written_it_counts(length: str) -> None:
    application = Application()
    async with posting(BodyLimit(application.app, LIMIT)) as http:
        answer = await http.post("/", content=chunks(0), headers={"Content-Length": length})
    assert (answer.status_code, application.asked) == (413, 0)


async def test_a_body_that_is_too_large_is_refused(sqlite_store: Store, clock: Clock) -> None:
    settings = SwitchboardSettings(max_body_bytes=1000)

    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 100):
            yield b"x" * 100

    async with running(sqlite_store, StaticLines([a_line()]), clock, settings=settings) as switchboard:
        said = await switchboard.http.post("/webhook", content=b"x" * 1001)
        unsaid = await switchboard.http.post("/webhook", content=chunks(1100))
        fits = await switchboard.http.post("/webhook", content=chunks(1000))
    assert (said.status_code, unsaid.status_code, fits.status_code) == (413, 413, 401)
    assert unsaid.json()["error"]["code"] == "too_large"


async def test_the_limit_of_starlette_does_not_do_the_same() -> None:
    """When this fails, that one may take over: see the module."""
    body_limit = pytest.importorskip("starlette.middleware.body_limit")
    application = Application()
    async with posting(body_limit.RequestBodyLimitMiddleware(application.app, max_body_size=LIMIT)) as http:
        answer = await http.post("/early", content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert application.asked == 1
    assert not answer.headers["content-type"].startswith("application/json")
