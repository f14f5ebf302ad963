"""
What a request passes before its route: the limit of its body, and, for the private API, the token of its line.

Starlette has a middleware that limits bodies in the release that Airflow 3.3 installs (1.10), and none in that of
Airflow 3.2 (1.0). It does not do the same. A body whose stated length is too large is refused there when the
application begins to read it, after lines were looked up and tokens compared; here the application never sees such a
request. And it answers in plain text, where every error of the switchboard is ``{"error": {"code": …}}``. A test
compares the two, and fails once Starlette's can take over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.metrics import NO_LINE, REFUSALS
from airflow_openai_realtime.switchboard.server.routes.error_answers import error
from airflow_openai_realtime.switchboard.server.service import Service

log = logging.getLogger(__name__)

_TOO_LARGE = "the request body is too large"


class BodyLimit:
    """
    ASGI middleware that answers 413. No body grows beyond its limit, whether or not it states its length.

    :param app: The application behind it.
    :param most_bytes: The largest body.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._says_too_much(scope):
            await error(413, "too_large", _TOO_LARGE)(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _says_too_much(self, scope: Scope) -> bool:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        return any(value.isdigit() and int(value[:20]) > self._most_bytes for value in lengths)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise HTTPException(413, _TOO_LARGE)
            return message

        return counted


class PrivateRoute(APIRoute):
    """A route that asks for the token before it reads the body or looks at any parameter."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, which is called only when the token is right."""
        endpoint = super().get_route_handler()

        async def behind_auth(request: Request) -> Response:
            request.state.line = await _line_for(request)
            return await endpoint(request)

        return behind_auth


@dataclass(frozen=True)
class Admitted:
    """
    A request of the private API that brought the token of its line.

    :param service: The switchboard that it came to.
    :param line: Its line.
    :param now: When it was read, aware.
    """

    service: Service
    line: Line
    now: datetime


async def admitted(request: Request) -> Admitted:
    """
    Return what a private route works with, once the body is read.

    :param request: A request of a :class:`PrivateRoute`.
    """
    service: Service = request.app.state.switchboard
    return Admitted(service, request.state.line, service.now())


PrivateRequest = Annotated[Admitted, Depends(admitted)]


async def _line_for(request: Request) -> Line:
    """
    The line that a request names, if it brings the line's token.

    :raises HTTPException: 401, the same for an unknown line and for a wrong token.
    :raises LinesUnavailable: The line cannot be looked up now.
    """
    service: Service = request.app.state.switchboard
    reason, known = "no_token", NO_LINE
    name = request.headers.get(LINE_HEADER)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        line, fits = await service.lines.with_token(name, token.strip())
        if line is not None and fits:
            return line
        reason, known = ("wrong_token", line.name) if line is not None else ("unknown_line", NO_LINE)
        log.warning(logs.line("private.refused", line=logs.asked_for(name), reason=reason))
    service.counters.add(REFUSALS, reason, known)
    raise HTTPException(401, "the token or the line is wrong", headers={"WWW-Authenticate": "Bearer"})
