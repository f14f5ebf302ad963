"""One call that the switchboard listens to: its socket, opened again when it breaks. Nothing is ever sent on it."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sideband.events import read_event
from airflow_openai_realtime.exceptions import CallError, CallGone
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.standby.standby_hearing import StandbyHearing
from airflow_openai_realtime.switchboard.server.store.standing_by import SilentCall

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
DOUBT_SECONDS = 1.0
"""How long "no such call" is doubted: it may be a slip."""


class Socket(Protocol):
    """The open socket of a call, as far as it is listened to."""

    clean_end: bool

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """The events."""


class Attach(Protocol):
    """Opens the socket of a call; ``api.sideband.attach``."""

    def __call__(
        self, settings: ApiSettings, call_id: str, *, retry_seconds: float
    ) -> AbstractAsyncContextManager[Socket]:
        """Open it; leaving the block closes the socket, not the call."""


class SocketEnd(enum.Enum):
    """Why nothing more can be heard."""

    GONE = "call_gone"
    REFUSED = "refused"


class StandbyCall:
    """
    Listens to one call until it is stopped, or nothing more can be heard.

    :param call: Which, and what is known of it.
    :param lease: Names the lease under which it is listened to, uniquely.
    :param attach: Opens the socket.
    :param now: The clock.
    """

    def __init__(self, call: SilentCall, lease: str, attach: Attach, now: Callable[[], datetime]) -> None:
        self.call = call
        self.hearing = StandbyHearing(lease, call.unheard_since, call.pressed)
        self._attach = attach
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self.socket_end: SocketEnd | None = None
        #: Why it was stopped; ``None``: it was not.
        self.stopped_for: str | None = None

    def start(self, api: ApiSettings) -> None:
        """
        Begin to listen.

        :param api: Where OpenAI is, and the key.
        """
        self._task = asyncio.ensure_future(self._run(api))

    def stop(self, why: str) -> asyncio.Task[None] | None:
        """
        Hear nothing more from now on; the socket's task, which ends a little later.

        :param why: A word for the log.
        """
        if self.stopped_for is None:
            self.stopped_for = why
            self.hearing.closed(self._now())
            if self._task is not None:
                self._task.cancel()  # once: a second time would cut off the closing of the socket
        return self._task

    async def _run(self, api: ApiSettings) -> None:
        try:
            self.socket_end = await self._listen(api)
        except CallError as error:
            log.error(logs.line("standby.refused", line=self.call.line, call_id=self.call.call_id, error=error))
            self.socket_end = SocketEnd.REFUSED
        except Exception:
            log.exception(logs.line("standby.failed", line=self.call.line, call_id=self.call.call_id))
            self.socket_end = SocketEnd.REFUSED

    async def _listen(self, api: ApiSettings) -> SocketEnd:
        """
        Listen, over as many sockets as it takes.

        :raises CallError: OpenAI refuses, for example the key.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._attach(api, self.call.call_id, retry_seconds=DOUBT_SECONDS) as socket:
                    try:
                        async for sent in socket:
                            event = read_event(sent)
                            if event is not None:
                                self.hearing.hear(event, self._now())
                                pause = FIRST_PAUSE_SECONDS
                    finally:
                        self.hearing.closed(self._now())
                    if socket.clean_end:
                        return SocketEnd.GONE
            except CallGone:
                return SocketEnd.GONE
            except CallError as error:
                if not error.safe_to_retry:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
