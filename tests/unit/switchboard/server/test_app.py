"""The application as a whole: which doors there are, and who may pass."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.switchboard.routes import PUBLIC, every_route
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Clock, Switchboard, a_line, running, until

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.store import Store


def as_url(path: str) -> str:
    for name in ("{call_id:path}", "{attempt_id}", "{line}"):
        path = path.replace(name, "x")
    return path


PRIVATE = 35


async def test_every_route_that_is_not_public_asks_for_a_token_before_anything_else(switchboard: Switchboard) -> None:
    private = [route for route in every_route(switchboard.app.routes) if route not in PUBLIC]
    assert len(private) == PRIVATE, private
    bad: list[dict[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {derived_token(SECRET)}"},
        {"Authorization": f"Bearer {derived_token(OTHER_SECRET)}"},
        {"Authorization": f"Bearer {derived_token(SECRET)}", "OpenAI-Realtime-Line": "sales"},
        {"Authorization": f"Bearer {derived_token(SECRET)}", "OpenAI-Realtime-Line": "nobody"},
        {"Authorization": "Bearer \xe9"},
    ]
    answers = set()
    for method, path in private:
        for headers in bad:
            raw = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = await switchboard.http.request(method, as_url(path), headers=raw, content=b"{not json")
            assert answer.status_code == 401, (method, path, headers)
            answers.add(answer.text)
    assert answers == {'{"error":{"code":"unauthorized","message":"the token or the line is wrong"}}'}


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


async def test_health_says_up_and_nothing_else(switchboard: Switchboard) -> None:
    answer = await switchboard.http.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "up"})


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/v1", "/webhooks", "/docs/oauth2-redirect"])
async def test_there_is_no_other_page(switchboard: Switchboard, path: str) -> None:
    answer = await switchboard.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(("method", "path"), [("GET", "/webhook"), ("PUT", "/webhook/x"), ("DELETE", "/v1/status")])
async def test_other_methods_are_refused_in_the_same_shape(switchboard: Switchboard, method: str, path: str) -> None:
    answer = await switchboard.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_the_token_opens_the_default_line_or_the_one_that_is_named(switchboard: Switchboard) -> None:
    async with switchboard.client() as support, switchboard.client(line="sales", secret=OTHER_SECRET) as sales:
        assert (await support.check())["line"] == "support"
        assert (await sales.check())["line"] == "sales"


async def test_a_lone_line_answers_to_any_connection_id(sqlite_store: Store, clock: Clock) -> None:
    started = running(sqlite_store, StaticLines([a_line()]), clock)
    async with started as alone, alone.client(line="openai_realtime_default") as client:
        assert (await client.check())["line"] == "support"


async def test_a_store_that_is_away_at_the_start_is_prepared_when_it_is_back(
    sqlite_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_openai_realtime.switchboard.server.service.PAUSE_BETWEEN_TRIES_SECONDS", 0.02)
    store, prepare = Store(sqlite_url), Store.prepare
    tries: list[int] = []

    def flaky(self: Store) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StoreUnavailable("away")
        prepare(self)

    monkeypatch.setattr(Store, "prepare", flaky)
    async with running(store, StaticLines([a_line()]), clock) as switchboard:
        assert (await switchboard.http.get("/health")).status_code == 200
        assert (await switchboard.deliver()).status_code == 503
        await until(lambda: store.database.ready)
        assert (await switchboard.deliver()).status_code == 200


async def test_an_unexpected_failure_says_nothing_of_itself(
    switchboard: Switchboard, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(sqlite_store.calls, "counts", broken)
    headers = {"Authorization": f"Bearer {derived_token(SECRET)}"}
    answer = await switchboard.http.get("/v1/status", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret detail" not in answer.text


async def test_status_tells_how_the_line_is(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    switchboard.clock.move(12)
    async with switchboard.client() as client:
        status = await client.check()
    assert status["calls"] == {"ringing": 1, "claimed": 0, "accepted": 0, "rejected": 0, "ended": 0, "missed": 0}
    assert status["oldest_ringing_seconds"] == 12
    assert status["store"] == "sqlite"
