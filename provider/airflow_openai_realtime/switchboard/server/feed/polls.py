"""Long polls: what changed since a cursor, held back until something did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from airflow_openai_realtime.calls.call import CallPage
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.switchboard.server.feed.cursors import Cursor
from airflow_openai_realtime.switchboard.server.feed.feed_hub import FeedHub
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import CallChanges, CallFilter, Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


class TooManyPolls(SwitchboardUnreachable):
    """As many polls wait as this worker allows."""


@dataclass(frozen=True)
class _Read:
    """Polls that ask for the same at the same moment share one look at the store."""

    line: str
    cursor: str
    wanted: CallFilter
    generation: int


class Polls:
    """
    Answers polls of one worker.

    :param hub: Says when to look again.
    """

    def __init__(
        self, store: Store, hub: FeedHub, threads: Executor, settings: SwitchboardSettings, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._hub = hub
        self._threads = threads
        self._settings = settings
        self._now = now
        self._reads: dict[_Read, asyncio.Task[CallChanges]] = {}

    async def current(self, line: str, wanted: CallFilter, limit: int) -> CallPage:
        """Calls as they are now, and a cursor."""
        return await self._threads.run(self._store.calls.select_with_cursor, line, wanted, limit, self._now())

    async def changes(self, line: str, wanted: CallFilter, cursor: Cursor, wait_seconds: float) -> CallPage:
        """
        Calls that changed since a cursor and are wanted as they are now; waits for one when there is none.

        :raises TooManyPolls: As many wait as the settings allow.
        :raises StoreUnavailable: The store does not answer.
        """
        if wait_seconds <= 0:
            found = await self._look(line, wanted, cursor)
            return CallPage(found.calls, str(found.cursor))
        if self._hub.waiting >= self._settings.long_poll_limit:
            raise TooManyPolls("too many long polls wait in this worker")
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        async with self._hub.attention():
            while True:
                generation = self._hub.generation(line)
                found = await self._look(line, wanted, cursor)
                cursor = found.cursor
                if found.calls or self._hub.closing or loop.time() >= until:
                    return CallPage(found.calls, str(cursor))
                await self._hub.wait(line, generation, until - loop.time())

    async def _look(self, line: str, wanted: CallFilter, cursor: Cursor) -> CallChanges:
        while True:
            found = await self._shared(line, wanted, cursor)
            if found.calls or not found.is_full:
                return found
            cursor = found.cursor

    async def _shared(self, line: str, wanted: CallFilter, cursor: Cursor) -> CallChanges:
        # The generation is part of what is asked: a look that began before an event must not answer for it.
        read = _Read(line, str(cursor), wanted, self._hub.generation(line))
        task = self._reads.get(read)
        if task is None:
            work = self._threads.run(self._store.calls.changes, line, wanted, cursor, self._now())
            task = asyncio.ensure_future(work)
            self._reads[read] = task
            task.add_done_callback(lambda _: self._reads.pop(read, None))
        return await asyncio.shield(task)
