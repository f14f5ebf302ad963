"""
The page as a web application. Every route requires Airflow's user, since Airflow does not guard plugin applications.

Routes, dependencies and error handlers are all coroutines: FastAPI would run others in the threads of Airflow's API.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from airflow_openai_realtime.exceptions import InvalidInput, OpenAIRealtimeError
from airflow_openai_realtime.ui import assets
from airflow_openai_realtime.ui import page_routes as routes
from airflow_openai_realtime.ui.headers import SecureHeaders
from airflow_openai_realtime.ui.page import CallsPage, signed_in_user

LOGIN = "../api/v2/auth/login"
"""URL of Airflow's login, relative to the page."""


def create_calls_page(page: CallsPage) -> FastAPI:
    """
    Make the application. It opens nothing before the first request.

    :param page: The parts of the page.
    """
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(signed_in_user)],  # also guards routes that do not name the dependency
    )
    app.state.calls_page = page
    app.dependency_overrides[signed_in_user] = page.auth
    app.add_middleware(SecureHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(InvalidInput, _invalid_input)
    app.add_exception_handler(OpenAIRealtimeError, _failed)
    app.include_router(assets.router)
    app.include_router(routes.router)
    return app


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101 - Starlette passes nothing else
    root = request.scope.get("root_path", "")
    if problem.status_code == 401 and request.method == "GET" and request.url.path == f"{root}/":
        # Relative, since a proxy may have added a path prefix.
        return RedirectResponse(f"{LOGIN}?{urlencode({'next': f'{root}/'})}", status_code=303)
    return _said(problem.status_code, str(problem.detail), problem.headers)


async def _invalid(_: Request, problem: Exception) -> Response:
    """Name the invalid fields and their problems, without repeating the values."""
    assert isinstance(problem, RequestValidationError)  # noqa: S101
    told = [f"{'.'.join(str(part) for part in item['loc'][1:]) or 'body'}: {item['msg']}" for item in problem.errors()]
    return _said(422, "; ".join(told[:10]))


async def _invalid_input(_: Request, problem: Exception) -> Response:
    return _said(422, str(problem))


async def _failed(_: Request, problem: Exception) -> Response:
    """Answer 502: a switchboard or OpenAI did not carry out the request."""
    return _said(502, str(problem))


def _said(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    told = message.encode("utf-8", "replace").decode("utf-8")
    return JSONResponse({"error": told}, status_code=status, headers=None if headers is None else dict(headers))
