"""
The page as a web application. Every route asks for Airflow's user first: Airflow itself guards no plugin's application.

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
"""Airflow's own way to its login, seen from the page."""


def create_calls_page(page: CallsPage) -> FastAPI:
    """
    Make the application; nothing is opened before it is asked.

    :param page: What the page shows.
    """
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(signed_in_user)],  # also for a route that is added and does not ask
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
    assert isinstance(problem, HTTPException)  # noqa: S101 - Starlette calls it with nothing else
    root = request.scope.get("root_path", "")
    if problem.status_code == 401 and request.method == "GET" and request.url.path == f"{root}/":
        # Relative, since a proxy in front may have put a path before it.
        return RedirectResponse(f"{LOGIN}?{urlencode({'next': f'{root}/'})}", status_code=303)
    return _said(problem.status_code, str(problem.detail), problem.headers)


async def _invalid(_: Request, problem: Exception) -> Response:
    """Names the fields and what is wrong, without repeating what was sent."""
    assert isinstance(problem, RequestValidationError)  # noqa: S101
    told = [f"{'.'.join(str(part) for part in item['loc'][1:]) or 'body'}: {item['msg']}" for item in problem.errors()]
    return _said(422, "; ".join(told[:10]))


async def _invalid_input(_: Request, problem: Exception) -> Response:
    return _said(422, str(problem))


async def _failed(_: Request, problem: Exception) -> Response:
    """A switchboard or OpenAI did not do what was asked."""
    return _said(502, str(problem))


def _said(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    told = message.encode("utf-8", "replace").decode("utf-8")
    return JSONResponse({"error": told}, status_code=status, headers=None if headers is None else dict(headers))
