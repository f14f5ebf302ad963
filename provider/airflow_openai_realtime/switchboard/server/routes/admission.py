"""Authentication of the private API: its routes are reached only with the token of their line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.counters import NO_LINE, REFUSALS
from airflow_openai_realtime.switchboard.server.service import service_of

log = logging.getLogger(__name__)


class PrivateRoute(APIRoute):
    """A route that asks for the token before it reads the body or looks at any parameter."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, which is called only when the token is right."""
        endpoint = super().get_route_handler()

        async def behind_auth(request: Request) -> Response:
            request.state.line = await _line_for(request)
            return await endpoint(request)

        return behind_auth


async def caller_line(request: Request) -> Line:
    """
    The line whose token the caller has shown.

    :param request: The request.
    """
    line: Line = request.state.line
    return line


CallerLine = Annotated[Line, Depends(caller_line)]


async def _line_for(request: Request) -> Line:
    """
    The line that a request names, if it brings the line's token.

    :raises HTTPException: 401, the same for an unknown line and for a wrong token.
    :raises LinesUnavailable: The line cannot be looked up now.
    """
    service = service_of(request)
    directory, reason, known = service.lines, "no_token", NO_LINE
    name = request.headers.get(LINE_HEADER)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        line = await directory.find_asked(name)
        if line is not None and not line.takes_token(token.strip()):
            line = await directory.reread(name) or line
        if line is not None and line.takes_token(token.strip()):
            directory.proved(name)
            return line
        reason, known = ("wrong_token", line.name) if line is not None else ("unknown_line", NO_LINE)
        log.warning(logs.line("private.refused", line=logs.asked_for(name), reason=reason))
    service.counters.add(REFUSALS, reason, known)
    raise HTTPException(401, "the token or the line is wrong", headers={"WWW-Authenticate": "Bearer"})
