"""What a request gets when it goes wrong."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from tests.unit.switchboard.support import SECRET, Switchboard

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    LinesUnavailable,
    MoveRefused,
    StoreUnavailable,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.server.polls import TooManyPolls
from airflow_openai_realtime.switchboard.server.routes.error_answers import add_error_answers, error
from airflow_openai_realtime.switchboard.server.store import Store


async def answer_to(problem: Exception) -> httpx.Response:
    """What a route that raises this answers."""
    app = FastAPI()
    add_error_answers(app)

    @app.get("/")
    async def raising(number: int = 0) -> None:
        raise problem

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sb") as http:
        return await http.get("/")


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (HTTPException(401, "no"), 401, "unauthorized"),
        (HTTPException(413, "no"), 413, "too_large"),
        (HTTPException(418, "no"), 418, "error"),
        (InvalidInput("no", field="x"), 422, "invalid_input"),
        (UnknownCall("no"), 404, "unknown_call"),
        (MoveRefused("no", code="not_ringing"), 409, "not_ringing"),
        (ConversationSuperseded("no", code="superseded"), 409, "superseded"),
        (StoreUnavailable("no"), 503, "unavailable"),
        (LinesUnavailable("no"), 503, "unavailable"),
        (TooManyPolls("no"), 429, "too_many_polls"),
        (RuntimeError("secret detail"), 500, "internal"),
    ],
)
async def test_every_error_has_the_same_shape_and_a_code(problem: Exception, status: int, code: str) -> None:
    answer = await answer_to(problem)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]) == {"code", "message"}
    assert "secret detail" not in answer.text
    assert answer.headers.get("retry-after") == ("1" if status in (429, 503) else None)


async def test_a_parameter_that_does_not_fit_is_named_and_its_value_is_not_repeated() -> None:
    app = FastAPI()
    add_error_answers(app)

    @app.get("/")
    async def asking(number: int) -> None: ...

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sb") as http:
        answer = await http.get("/?number=secret")
    assert answer.status_code == 422
    assert "number" in answer.json()["error"]["message"]
    assert "secret" not in answer.text


def test_a_message_is_cut_and_can_be_sent_whatever_it_quotes() -> None:
    answer = error(422, "invalid_input", "x\ud800" * 5000)
    assert len(bytes(answer.body)) < 10_000
    assert b"x?" in bytes(answer.body)


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
