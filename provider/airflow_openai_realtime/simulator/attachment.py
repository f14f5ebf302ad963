"""A client at a sideband: a queue of events, filled from any thread."""

from __future__ import annotations

import asyncio

from airflow_openai_realtime.simulator.server_events import Event


class Attachment:
    """
    One client attached to a session.

    :param loop: Event loop of the socket that is fed from it.
    """

    #: Whether the socket breaks off, while the call goes on.
    broken = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event | None) -> None:
        """Hand an event over from any thread; None: there is nothing more."""
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, event)
        except RuntimeError:  # the loop is closed: the simulator is stopping
            return

    def break_off(self) -> None:
        """Break the socket off after what was handed over; the call goes on."""
        self.broken = True
        self.put(None)

    async def get(self) -> Event | None:
        """The next event; None when there is nothing more."""
        return await self._queue.get()
