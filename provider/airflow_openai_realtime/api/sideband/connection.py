"""
The sideband: a WebSocket beside an accepted call, on which its events come and commands go.

OpenAI sends no "call ended" message: the end of the call is the end of the socket. Closing the socket from this side
does not end the call.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.call_requests import ATTACH_SECONDS, attach_call
from airflow_openai_realtime.api.client import Pace, openai_service, repeating
from airflow_openai_realtime.api.request import Answer, json_object
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sideband.socket import open_socket
from airflow_openai_realtime.exceptions import CallGone

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_NORMAL_CLOSE = 1000


class Sideband:
    """
    The open socket of a call: iterate over its events, send it commands. Made by :func:`attach`.

    The iteration ends when the socket closes, however it closes; ``clean_end`` then tells how: whether OpenAI closed it
    in the normal way (code 1000). Otherwise the call may go on: attach again, and CallGone then means that it is over.

    :param connection: The open socket.
    :param call_id: OpenAI's id of the call.
    """

    def __init__(self, connection: ClientConnection, call_id: str) -> None:
        self._connection = connection
        self.call_id = call_id
        self.clean_end = False

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        from websockets.exceptions import ConnectionClosed

        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as end:
                self.clean_end = end.rcvd is not None and end.rcvd.code == _NORMAL_CLOSE
                return
            event = json_object(message.encode() if isinstance(message, str) else message)
            if event is not None:
                yield event

    async def send(self, event: Mapping[str, Any]) -> None:
        """
        Send a command, for example ``{"type": "response.create"}``.

        :param event: JSON object. A ``session.update`` must carry ``session.type``.
        :raises CallGone: The socket is closed.

        Source: https://developers.openai.com/api/docs/guides/voice-server-controls
        """
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(json.dumps(event))
        except ConnectionClosed:
            raise CallGone("the call's sideband is closed, the command was not sent", call_id=self.call_id) from None


@contextlib.asynccontextmanager
async def attach(
    settings: ApiSettings, call_id: str, retry_seconds: float = ATTACH_SECONDS, *, pace: Pace | None = None
) -> AsyncIterator[Sideband]:
    """
    Open the sideband of an accepted call; leaving the block closes the socket, not the call.

    :param settings: Key, addresses and time-out.
    :param call_id: Id of the accepted call.
    :param retry_seconds: How long to start new attempts. A call accepted a moment ago may not be found yet.
    :param pace: Replaces clock, sleep and chance, for tests.
    :raises CallGone: Not found, still so after ``retry_seconds``: the call is over.
    :raises AuthenticationError: The key was refused; not retried.
    :raises RequestRefused: Another refusal, or a redirect; not retried.
    :raises ServiceUnavailable: No connection, 429 or 5xx, still so after ``retry_seconds``.

    Retries: for ``retry_seconds``; attaching twice changes nothing for the caller.
    Source: https://developers.openai.com/api/docs/guides/voice-server-controls ; 404 when too early: observed 2026.
    """
    request, service = attach_call(call_id, retry_seconds), openai_service(settings)
    opened: list[ClientConnection] = []
    async with contextlib.AsyncExitStack() as stack:

        async def open_once() -> Answer:
            answer = await stack.enter_async_context(open_socket(service, request))
            if isinstance(answer, Answer):
                return answer
            opened.append(answer)
            return Answer(101, {}, b"", service)

        await repeating(request, service, open_once, pace or Pace())
        yield Sideband(opened[-1], call_id)
