"""The token of a line, before anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.unit.switchboard.routes import PUBLIC, as_url, every_route
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Clock, LinesElsewhere, Switchboard, a_line, running

from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status
from airflow_openai_realtime.switchboard.server.process.metrics import NO_LINE, REFUSALS
from airflow_openai_realtime.switchboard.server.routes.admission import BodyLimit
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


async def test_with_its_token_no_private_route_answers_401(switchboard: Switchboard) -> None:
    for method, path in every_route(switchboard.app.routes):
        if (method, path) not in PUBLIC:
            headers = {"Authorization": f"Bearer {derived_token(SECRET)}"}
            answer = await switchboard.http.request(method, as_url(path), headers=headers, json={})
            assert answer.status_code in (200, 404, 422), (method, path, answer.text)


async def test_the_private_routes_are_private_by_their_class(switchboard: Switchboard) -> None:
    """A second look at the same promise, that does not depend on how the routes are walked."""
    for path in ("/v1/calls", "/v1/calls/x/claim", "/v1/attempts", "/v1/status", "/v1/attempts/x/move"):
        for method in ("GET", "POST"):
            answer = await switchboard.http.request(method, path)
            assert answer.status_code in (401, 405)


async def test_the_token_opens_the_default_line_or_the_one_that_is_named(switchboard: Switchboard) -> None:
    async with switchboard.client() as support, switchboard.client(line="sales", secret=OTHER_SECRET) as sales:
        assert (await support.asend(get_status()))["line"] == "support"
        assert (await sales.asend(get_status()))["line"] == "sales"


async def test_a_lone_line_answers_to_any_connection_id(sqlite_store: Store, clock: Clock) -> None:
    started = running(sqlite_store, StaticLines([a_line()]), clock)
    async with started as alone, alone.client(line="openai_realtime_default") as client:
        assert (await client.asend(get_status()))["line"] == "support"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(switchboard: Switchboard, scheme: str) -> None:
    headers = {"Authorization": f"{scheme}  {derived_token(SECRET)} "}
    assert (await switchboard.http.get("/v1/status", headers=headers)).status_code == 200


async def test_a_refusal_is_counted_by_its_reason_and_says_how_to_be_let_in(
    switchboard: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    answer = await switchboard.http.get("/v1/status", headers=wrong)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    await switchboard.http.get("/v1/status")
    await switchboard.http.get("/v1/status", headers={**wrong, LINE_HEADER: "+14155550123"})
    counters = switchboard.service.counters
    assert counters.of(REFUSALS, "support") == {"wrong_token": 1}
    assert counters.of(REFUSALS, NO_LINE) == {"no_token": 1, "unknown_line": 1}
    assert "private.refused line=+1***0123 reason=unknown_line" in caplog.text
    assert "wrong " not in caplog.text


async def test_a_token_that_was_replaced_since_the_line_was_read_opens_it(sqlite_store: Store, clock: Clock) -> None:
    class Vault(LinesElsewhere):
        secret = SECRET

        def find(self, name: str | None) -> Line | None:
            return a_line("support", self.secret) if name in (None, "support") else None

    vault = Vault()
    async with running(sqlite_store, vault, clock) as switchboard:
        old = {"Authorization": f"Bearer {derived_token(SECRET)}"}
        new = {"Authorization": f"Bearer {derived_token(OTHER_SECRET)}"}
        assert (await switchboard.http.get("/v1/status", headers=old)).status_code == 200
        vault.secret = OTHER_SECRET
        switchboard.service.lines._monotonic = lambda: 1e12  # long after the last look
        assert (await switchboard.http.get("/v1/status", headers=new)).status_code == 200
        assert (await switchboard.http.get("/v1/status", headers=old)).status_code == 401


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
