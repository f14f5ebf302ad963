"""The check of OpenAI's side before a phone is dialed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from airflow_openai_realtime.api.client import CallsClient, Pace
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import Preflight
from airflow_openai_realtime.exceptions import AuthenticationError, ConfigurationError, RequestRefused
from airflow_openai_realtime.outbound.preflight import check_before_dialing, openai_check
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import preflight

API = ApiSettings(api_key="sk-1", endpoints=endpoints_for())
MODEL = "gpt-realtime-2.1"


def refused(status: int, code: str | None, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "code": code, "type": "x", "param": None}})


class Checking:
    """Checks against an OpenAI that answers by path, and a switchboard that remembers or not."""

    def __init__(self, answers: dict[str, httpx.Response], *, switchboard: int = 200, api: ApiSettings = API) -> None:
        self.asked: list[str] = []
        self.told = 0
        self.lines: list[str] = []
        self._answers, self._status, self._api = answers, switchboard, api

    def __call__(self, known: Preflight = Preflight(), model: str | None = MODEL) -> None:  # noqa: B008 - a value
        def openai(request: httpx.Request) -> httpx.Response:
            self.asked.append(request.url.path)
            return self._answers[request.url.path]

        def board(request: httpx.Request) -> httpx.Response:
            self.told += 1
            return httpx.Response(self._status, json={})

        pace = Pace(sleep=lambda _: asyncio.sleep(0))
        open_calls: Callable[[], CallsClient] = lambda: CallsClient(  # noqa: E731
            self._api, transport=httpx.MockTransport(openai), pace=pace
        )
        with SwitchboardClient("http://board", "token-1", transport=httpx.MockTransport(board)) as switchboard:
            check_before_dialing(known, switchboard, open_calls, self._api, model, self.lines.append)


def test_a_good_key_passes_and_the_switchboard_is_told() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(200, json={"id": MODEL})})
    checking()
    assert (checking.asked, checking.told, checking.lines) == ([f"/v1/models/{MODEL}"], 1, [])


def test_a_check_that_passed_is_not_made_again() -> None:
    checking = Checking({})
    checking(Preflight(passed=frozenset({openai_check(API, MODEL)})))
    assert checking.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_restricted_key_that_may_not_see_models_is_not_refused(status: int) -> None:
    said = "You have insufficient permissions for this operation. Missing scopes: api.model.read."
    checking = Checking({f"/v1/models/{MODEL}": refused(status, None, said)})
    checking()
    assert "not known" in checking.lines[0]


def test_a_key_that_is_wrong_is_refused() -> None:
    checking = Checking({f"/v1/models/{MODEL}": refused(401, "invalid_api_key", "Incorrect API key provided.")})
    with pytest.raises(AuthenticationError, match="nothing was dialed"):
        checking()
    assert checking.told == 0


def test_a_server_in_between_that_shows_no_single_model_is_asked_for_all() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(404), "/v1/models": httpx.Response(200, json={})})
    checking()
    assert checking.asked == [f"/v1/models/{MODEL}", "/v1/models"]


def test_an_address_that_is_wrong_is_refused() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(404), "/v1/models": httpx.Response(404)})
    with pytest.raises(RequestRefused, match="base URL"):
        checking()


def test_azure_is_not_asked_for_a_deployment_by_name() -> None:
    """There the model is the name of a deployment, and only models are listed."""
    azure = replace(API, auth_style="api-key")
    checking = Checking({"/v1/models": httpx.Response(200, json={})}, api=azure)
    checking()
    assert checking.asked == ["/v1/models"]


def test_a_switchboard_that_cannot_be_told_does_not_keep_the_phone_from_ringing() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(200, json={})}, switchboard=404)
    checking()
    assert len(checking.lines) == 1


def test_what_the_switchboard_lacks_is_said_before_openai_is_asked() -> None:
    checking = Checking({})
    with pytest.raises(ConfigurationError, match="nothing was dialed: no secret"):
        checking(Preflight(problems=("no secret",)))


def test_the_name_of_a_check_depends_on_key_address_and_model_and_shows_none() -> None:
    names = {
        openai_check(API, MODEL),
        openai_check(API, None),
        openai_check(replace(API, api_key="sk-2"), MODEL),
        openai_check(replace(API, project="proj_1"), MODEL),
        openai_check(replace(API, endpoints=endpoints_for(region="eu")), MODEL),
    }
    assert len(names) == 5
    assert not [name for name in names if "sk-" in name]


def test_a_switchboard_of_an_older_version_knows_nothing() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404, json={"detail": "Not Found"}))
    with SwitchboardClient("http://board", "token-1", transport=transport) as switchboard:
        assert switchboard.send(preflight(["a"])) == Preflight()
