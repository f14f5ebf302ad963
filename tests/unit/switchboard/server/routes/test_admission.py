"""The token of a line, before anything else."""

from __future__ import annotations

import pytest
from tests.unit.switchboard.routes import PUBLIC, as_url, every_route
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Clock, LinesElsewhere, Switchboard, a_line, running

from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status
from airflow_openai_realtime.switchboard.server.process.counters import NO_LINE, REFUSALS
from airflow_openai_realtime.switchboard.server.store import Store


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
