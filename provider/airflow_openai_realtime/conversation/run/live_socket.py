"""
The socket of a live call. It is opened again after each break, until the call is over.

OpenAI sends no "call ended" message: the end of the call is the end of its socket. A socket without a normal close may
have broken while the call goes on; attaching again shows which.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from airflow_openai_realtime.api.sideband.events import SidebandEvent, read_event
from airflow_openai_realtime.conversation.run.ports import CallPorts, Sideband
from airflow_openai_realtime.exceptions import CallError, CallGone

#: Pauses before the socket is attached again, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
#: Seconds for which "no such call" is retried: just after the accept the socket may not be ready yet; later the answer
#: may be an error.
FIRST_ATTACH_SECONDS = 3.0
ATTACH_AGAIN_SECONDS = 1.0


class SocketEnd(enum.Enum):
    """How the socket of a call finally ended."""

    #: It was open, and the call is over.
    CLOSED = "closed"
    #: It could never be opened: there is no such call.
    REFUSED = "refused"


class LiveSocket:
    """
    The socket of one call.

    :param ports: OpenAI and the clock.
    :param call_id: OpenAI's id of the call.
    :param on_event: Called with each event.
    :param on_broken: Called after the socket is lost.
    :param before: Awaited before a command that names a timeline entry, with its key, until the entry is saved.
    :param is_known: Whether a process was attached to the call before.
    """

    def __init__(
        self,
        ports: CallPorts,
        call_id: str,
        *,
        on_event: Callable[[SidebandEvent], None],
        on_broken: Callable[[], None],
        before: Callable[[str], Awaitable[object]],
        is_known: bool = False,
    ) -> None:
        self._ports = ports
        self._call_id = call_id
        self._on_event = on_event
        self._on_broken = on_broken
        self._before = before
        self._was_open = is_known
        self._breaks = 0
        self._is_last = False
        self._outbox: asyncio.Queue[tuple[Mapping[str, Any], str | None]] = asyncio.Queue()
        self._told: set[str] = set()

    def send(self, command: Mapping[str, Any], after: str | None = None) -> None:
        """
        Send a command in order. Commands that are still queued when the socket is lost are dropped.

        :param command: The command, a JSON object.
        :param after: Key of a timeline entry to save first; ``None``: none.
        """
        self._outbox.put_nowait((command, after))

    def expect_end(self) -> None:
        """Take the next end of the socket as final: the call is hung up."""
        self._is_last = True

    async def run(self) -> SocketEnd:
        """
        Listen until the call is over.

        :raises AuthenticationError: The key was refused.
        :raises CallError: Another error that a retry cannot fix.

        Retries: with pauses of 0.2 to 10 s, without a limit, after a break or an error that is safe to retry.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                doubt_seconds = ATTACH_AGAIN_SECONDS if self._was_open else FIRST_ATTACH_SECONDS
                async with self._ports.attach(self._call_id, doubt_seconds) as sideband:
                    if self._breaks:
                        self._tell("broke", "The socket of the call broke, and was opened again.")
                    self._was_open, pause = True, FIRST_PAUSE_SECONDS
                    await self._converse(sideband)
                    if sideband.clean_end or self._is_last:
                        return SocketEnd.CLOSED
                    self._breaks += 1
            except CallGone:
                return SocketEnd.CLOSED if self._was_open else SocketEnd.REFUSED
            except CallError as error:
                if not error.safe_to_retry:
                    raise
                self._tell("error", f"The socket of the call cannot be opened; retrying: {error}")
            await self._ports.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _converse(self, sideband: Sideband) -> None:
        while not self._outbox.empty():
            self._outbox.get_nowait()
        writer = asyncio.ensure_future(self._write(sideband))
        try:
            async for sent in sideband:
                event = read_event(sent)
                if event is not None:
                    self._on_event(event)
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            self._on_broken()

    async def _write(self, sideband: Sideband) -> None:
        while True:
            command, after = await self._outbox.get()
            if after is not None:
                await self._before(after)
            try:
                await sideband.send(command)
            except CallGone:
                # The reader notices the end of the socket.
                return

    def _tell(self, what: str, line: str) -> None:
        """Log a line, once for consecutive reports of the same kind."""
        if what not in self._told:
            self._told = {what}
            self._ports.report(line)
