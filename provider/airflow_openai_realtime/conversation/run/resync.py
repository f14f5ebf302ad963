"""
Read what the switchboard heard while no owner listened, once it has written all of it.

The switchboard listens until the next owner is attached, and then writes what it has heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.timers import Tasks
from airflow_openai_realtime.exceptions import OpenAIRealtimeError

#: Seconds after attaching at which the timeline is read.
WRITTEN_SECONDS = 3.0


class Resync:
    """
    Reads the timeline of one call again, once after each time that another process may have listened.

    :param ports: The switchboard and the clock.
    :param call_id: OpenAI's id of the call.
    :param tasks: Runs the read.
    :param on_read: Called with the conversation.
    """

    def __init__(self, ports: CallPorts, call_id: str, tasks: Tasks, on_read: Callable[[Conversation], None]) -> None:
        self._ports = ports
        self._call_id = call_id
        self._tasks = tasks
        self._on_read = on_read
        self._reading: asyncio.Task[None] | None = None
        self._is_due = False

    def begin(self) -> None:
        """Schedule a read: another process may have listened until now."""
        self._is_due = True
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self._tasks.start(self._read_later())

    async def make_sure(self, *, is_due: bool = False) -> None:
        """
        Finish a scheduled read before the call is finished.

        :param is_due: Whether another process may have listened although :meth:`begin` was not called.
        """
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._is_due or (is_due and self._reading is None):
            await self._read()

    async def _read_later(self) -> None:
        await self._ports.sleep(WRITTEN_SECONDS)
        await self._read()

    async def _read(self) -> None:
        try:
            kept = await self._ports.read(self._call_id)
        except OpenAIRealtimeError as error:
            self._ports.report(f"What the switchboard heard in call {self._call_id} cannot be read: {error}")
            return
        self._is_due = False
        if kept is not None:
            self._on_read(kept)
