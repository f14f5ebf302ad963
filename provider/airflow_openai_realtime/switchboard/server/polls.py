"""
Long polls: what changed since a cursor, held back until something did.

However many clients wait, a worker takes one look at the store for equal questions, and one look at the feed every few
milliseconds: what this worker commits wakes the polls at once (:meth:`Polls.wake`), what other workers commit is found
in the feed. The feed is read only while a client waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from airflow_openai_realtime.calls.call import CallPage
from airflow_openai_realtime.exceptions import StoreUnavailable, SwitchboardUnreachable
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import CallChanges, CallFilter, Store
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

_T = TypeVar("_T")

log = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""How long the feed is read on when no client waits: one that polls is usually back at once."""

PAUSE_AFTER_FAILURE_SECONDS = 0.5


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
    The polls of one worker.

    A poll misses nothing because of its order of steps: the feed is watched before the poll looks, and the line's
    *generation*, which counts what was committed there, is noted before the look and compared before the wait.

    :param store: Where calls and their feed are.
    :param threads: To use the store from.
    :param settings: How many may wait, and how often the feed is read.
    :param now: The clock.
    """

    def __init__(
        self, store: Store, threads: Executor, settings: SwitchboardSettings, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._threads = threads
        self._settings = settings
        self._now = now
        self._reads: dict[_Read, asyncio.Task[CallChanges]] = {}
        self._generations: Counter[str] = Counter()
        self._changed: dict[str, asyncio.Event] = {}  # by line, while polls wait for it
        self._cursor: Cursor | None = None  # of the watch; None while nothing is watched
        self._watch: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._idle_since = 0.0
        self._is_closed = False
        self.waiting = 0
        """How many polls wait now."""

    async def current(self, line: str, wanted: CallFilter, limit: int) -> CallPage:
        """
        Calls as they are now, and a cursor.

        :param line: Of this line.
        :param wanted: Which calls.
        :param limit: How many calls at most, the newest.
        :raises StoreUnavailable: The store does not answer.
        """
        return await self._read(self._store.calls.select_with_cursor, line, wanted, limit)

    async def changes(self, line: str, wanted: CallFilter, cursor: Cursor, wait_seconds: float) -> CallPage:
        """
        Calls that changed since a cursor and are wanted as they are now; waits for one when there is none.

        :param line: Of this line.
        :param wanted: Which calls.
        :param cursor: The place behind what the client knows.
        :param wait_seconds: How long to wait at most, in seconds; 0 answers at once.
        :raises TooManyPolls: As many wait as the settings allow.
        :raises StoreUnavailable: The store does not answer.
        """
        if wait_seconds <= 0:
            found = await self._look(line, wanted, cursor)
            return CallPage(found.calls, str(found.cursor))
        if self.waiting >= self._settings.long_poll_limit:
            raise TooManyPolls("too many long polls wait in this worker")
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        async with self._watching():
            while True:
                generation = self._generations[line]
                found = await self._look(line, wanted, cursor)
                cursor = found.cursor
                if found.calls or self._is_closed or loop.time() >= until:
                    return CallPage(found.calls, str(cursor))
                await self._wait(line, generation, until - loop.time())

    def wake(self, line: str) -> None:
        """
        Let the polls of a line look again: something there was committed.

        :param line: The line.
        """
        self._generations[line] += 1
        changed = self._changed.pop(line, None)
        if changed is not None:
            changed.set()

    def open(self) -> None:
        """Let polls wait, also after :meth:`close`."""
        self._is_closed = False

    def close(self) -> None:
        """Answer all that wait, and let none wait from now on."""
        self._is_closed = True
        for line in list(self._changed):
            self.wake(line)

    async def stop(self) -> None:
        """Close, and stop reading the feed."""
        self.close()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    # -- looking at the store -------------------------------------------------------------------------------------

    async def _read(self, method: Callable[..., _T], *args: object) -> _T:
        return await self._threads.run(method, *args, self._now())

    async def _look(self, line: str, wanted: CallFilter, cursor: Cursor) -> CallChanges:
        while True:
            found = await self._shared(line, wanted, cursor)
            if found.calls or not found.is_full:
                return found
            cursor = found.cursor

    async def _shared(self, line: str, wanted: CallFilter, cursor: Cursor) -> CallChanges:
        # The generation is part of the question: a look that began before a commit must not answer for it.
        read = _Read(line, str(cursor), wanted, self._generations[line])
        task = self._reads.get(read)
        if task is None:
            task = asyncio.ensure_future(self._read(self._store.calls.changes, line, wanted, cursor))
            self._reads[read] = task
            task.add_done_callback(lambda _: self._reads.pop(read, None))
        return await asyncio.shield(task)

    # -- waiting for changes --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """
        While this is entered, commits of other workers are looked for.

        :raises StoreUnavailable: The store does not answer.
        """
        self.waiting += 1
        try:
            async with self._starting:
                if self._cursor is None:
                    self._cursor = await self._read(self._store.feed.end)
                if self._watch is None or self._watch.done():
                    self._watch = asyncio.ensure_future(self._watch_feed())
            yield
        finally:
            self.waiting -= 1
            self._idle_since = asyncio.get_running_loop().time()

    async def _wait(self, line: str, generation: int, seconds: float) -> None:
        """Wait until something is committed after ``generation``, the time is over, or the polls are closed."""
        if self._is_closed or self._generations[line] != generation:
            return
        changed = self._changed.setdefault(line, asyncio.Event())
        try:
            await asyncio.wait_for(changed.wait(), seconds)
        except asyncio.TimeoutError:
            return

    async def _watch_feed(self) -> None:
        loop = asyncio.get_running_loop()
        is_away = False
        while not self._is_closed:
            if not self.waiting and loop.time() - self._idle_since > LINGER_SECONDS:
                self._cursor = None
                return
            try:
                page = await self._read(self._store.feed.since, self._cursor or Cursor())
            except StoreUnavailable as error:
                if not is_away:
                    log.error(logs.line("feed.store_unavailable", error=error))
                is_away = True
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                continue
            except Exception:
                log.exception("feed.failed")
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                continue
            is_away = False
            self._cursor = page.cursor
            for line in {line for line, _ in page.changes}:
                self.wake(line)
            if not page.is_full:
                await asyncio.sleep(self._settings.feed_poll_seconds)
