"""
No request body grows beyond its limit, whether or not it says its length beforehand.

Starlette has a middleware of this kind in the release that Airflow 3.3 installs (1.10), and none in that of Airflow 3.2
(1.0). It does not do the same. A body whose stated length is too large is refused there when the application begins to
read it, after lines were looked up and tokens compared; here the application never sees such a request. And it answers
in plain text, where every error of the switchboard is ``{"error": {"code": …}}``. A test compares the two, and fails
once Starlette's can take over.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_openai_realtime.switchboard.server.routes.error_answers import error

_MESSAGE = "the request body is too large"


class BodyLimit:
    """
    ASGI middleware that answers 413.

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
            await error(413, "too_large", _MESSAGE)(scope, receive, send)
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
                raise HTTPException(413, _MESSAGE)
            return message

        return counted
