"""The page as an application: missing sign-in, refusals, and the answers to them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.testclient import TestClient
from tests.unit.ui.support import PREFIX, PageWorld, User

from airflow_openai_realtime.exceptions import InvalidInput, ServiceUnavailable, SwitchboardUnreachable


@pytest.fixture
def signed_in(page: PageWorld) -> PageWorld:
    page.user = User()
    return page


def with_route(page: PageWorld, error: Exception) -> Any:
    """A route that an extension added to the page."""
    router = APIRouter()

    @router.get("/added")
    async def added(number: int = 0) -> dict[str, int]:
        if number:
            return {"number": number}
        raise error

    page.page.include_router(router)
    return lambda **params: page.http.get(f"{PREFIX}/added", params=params)


def test_whoever_opens_the_page_without_a_login_is_led_there_and_back(page: PageWorld) -> None:
    answer = page.http.get(f"{PREFIX}/")
    assert answer.status_code == 303
    assert answer.headers["location"] == "../api/v2/auth/login?next=%2Fopenai-realtime-calls%2F"


@pytest.mark.parametrize("path", ["/api/calls", "/added"])
def test_everything_else_is_refused_as_json_also_a_route_that_does_not_ask(page: PageWorld, path: str) -> None:
    with_route(page, InvalidInput("never reached"))
    answer = page.http.get(f"{PREFIX}{path}", params={"number": 1})
    assert (answer.status_code, answer.json()) == (401, {"error": "Not authenticated"})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HTTPException(404, "there is no such call"), 404),
        (HTTPException(503, "busy", {"Retry-After": "2"}), 503),
        (InvalidInput("before must be a cursor"), 422),
        (SwitchboardUnreachable("the switchboard does not answer"), 502),
        (ServiceUnavailable("OpenAI does not answer"), 502),
    ],
)
def test_what_goes_wrong_is_told_in_words(signed_in: PageWorld, error: Exception, status: int) -> None:
    answer = with_route(signed_in, error)()
    said = error.detail if isinstance(error, HTTPException) else str(error)
    assert (answer.status_code, answer.json()) == (status, {"error": said})
    assert answer.headers["cache-control"] == "no-store"
    if status == 503:
        assert answer.headers["retry-after"] == "2"


def test_a_wrong_parameter_is_named_without_its_value(signed_in: PageWorld) -> None:
    answer = with_route(signed_in, InvalidInput("x"))(number="<script>")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("number: ")
    assert "script" not in answer.text


def test_a_message_with_half_a_character_is_told_all_the_same(signed_in: PageWorld) -> None:
    answer = with_route(signed_in, InvalidInput("odd \ud800 text"))()
    assert answer.json() == {"error": "odd ? text"}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/api/calls/"])
def test_there_is_no_description_of_the_api_and_one_spelling_of_each_path(signed_in: PageWorld, path: str) -> None:
    assert signed_in.http.get(f"{PREFIX}{path}").status_code == 404


def test_mounted_under_another_path_it_leads_back_there(page: PageWorld) -> None:
    airflow = FastAPI(routes=[Mount("/base/calls", page.page)])
    with TestClient(airflow, follow_redirects=False) as http:
        assert http.get("/base/calls/").headers["location"].endswith("next=%2Fbase%2Fcalls%2F")
