"""What a request gets when it goes wrong: always ``{"error": {"code": …, "message": …}}``, never a detail too much."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    MoveRefused,
    SwitchboardUnreachable,
    TooManyLookups,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.server.polls import TooManyPolls

log = logging.getLogger(__name__)

_CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_LONGEST_MESSAGE = 2000
RETRY_SOON = {"Retry-After": "1"}


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """
    An error's answer; a message that quotes what came in is cut, and made such that it can be sent.

    :param status: HTTP status.
    :param code: Word for programs.
    :param message: Text for people.
    :param headers: Further headers.
    """
    said = message[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode("utf-8")
    body = {"error": {"code": code, "message": said}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def add_error_answers(app: FastAPI) -> None:
    """
    Answer every exception that a route of ours can raise.

    :param app: The application.
    """
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(InvalidInput, _invalid_input)
    app.add_exception_handler(UnknownCall, _unknown)
    app.add_exception_handler(MoveRefused, _refused)
    app.add_exception_handler(ConversationSuperseded, _refused)
    app.add_exception_handler(SwitchboardUnreachable, _unavailable)
    app.add_exception_handler(TooManyPolls, _too_many)
    app.add_exception_handler(TooManyLookups, _too_many_lookups)
    app.add_exception_handler(Exception, _unexpected)


async def _http(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101 - Starlette calls it with nothing else
    code = _CODES.get(problem.status_code, "error")
    return error(problem.status_code, code, str(problem.detail), problem.headers)


async def _invalid(_: Request, problem: Exception) -> Response:
    """Names the fields and what is wrong, without repeating what was sent."""
    assert isinstance(problem, RequestValidationError)  # noqa: S101
    said = [f"{'.'.join(str(part) for part in item['loc'][1:]) or 'body'}: {item['msg']}" for item in problem.errors()]
    return error(422, "invalid_input", "; ".join(said[:10]))


async def _invalid_input(_: Request, problem: Exception) -> Response:
    return error(422, "invalid_input", str(problem))


async def _unknown(_: Request, problem: Exception) -> Response:
    return error(404, "unknown_call", str(problem))


async def _refused(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, (MoveRefused, ConversationSuperseded))  # noqa: S101
    return error(409, problem.code, str(problem))


async def _unavailable(_: Request, problem: Exception) -> Response:
    return error(503, "unavailable", str(problem), RETRY_SOON)


async def _too_many(_: Request, problem: Exception) -> Response:
    return error(429, "too_many_polls", str(problem), RETRY_SOON)


async def _too_many_lookups(_: Request, problem: Exception) -> Response:
    return error(429, "too_many_lookups", str(problem), RETRY_SOON)


async def _unexpected(_: Request, __: Exception) -> Response:
    # The server logs the exception itself.
    return error(500, "internal", "the switchboard failed; see its log")
