"""
Waiting for changes, however many wait: one look at the feed for all of a worker's long polls.

What this worker commits wakes the waiting at once; what other workers commit is seen by a look at the feed every few
milliseconds, which is taken only while somebody waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.feed.cursors import Cursor
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.store.feed_rows import FeedPage

log = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""How long the looks go on when nobody waits: whoever polls is usually back at once."""

PAUSE_AFTER_FAILURE_SECONDS = 0.5


class FeedHub:
    """
    Wakes those who wait for a line.

    To miss nothing: enter :meth:`attention`, note :meth:`generation`, read the store, and wait with that generation.

    :param end: The place behind everything in the feed.
    :param since: What came after a place.
    :param poll_seconds: Pause between two looks.
    """

    def __init__(
        self,
        end: Callable[[], Awaitable[Cursor]],
        since: Callable[[Cursor], Awaitable[FeedPage]],
        *,
        poll_seconds: float,
    ) -> None:
        self._end = end
        self._since = since
        self._poll_seconds = poll_seconds
        self._generations: Counter[str] = Counter()
        self._bells: dict[str, asyncio.Event] = {}
        self._cursor: Cursor | None = None  # None while nobody looks
        self._looking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._idle_since = 0.0
        self.waiting = 0
        self.closing = False

    def generation(self, line: str) -> int:
        """Counts what happened on a line."""
        return self._generations[line]

    def ring(self, line: str) -> None:
        """Something on this line was committed: wake whoever waits for it."""
        self._generations[line] += 1
        bell = self._bells.pop(line, None)
        if bell is not None:
            bell.set()

    @asynccontextmanager
    async def attention(self) -> AsyncIterator[None]:
        """
        While this is entered, changes by other workers are looked for.

        :raises StoreUnavailable: The store does not answer.
        """
        self.waiting += 1
        try:
            async with self._starting:
                if self._cursor is None:
                    self._cursor = await self._end()
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.ensure_future(self._look())
            yield
        finally:
            self.waiting -= 1
            self._idle_since = asyncio.get_running_loop().time()

    async def wait(self, line: str, generation: int, timeout_seconds: float) -> None:
        """Wait until something happens on a line after ``generation``, the time is over, or the hub closes."""
        if self.closing or self._generations[line] != generation:
            return
        bell = self._bells.setdefault(line, asyncio.Event())
        try:
            await asyncio.wait_for(bell.wait(), timeout_seconds)
        except asyncio.TimeoutError:
            return

    def close(self) -> None:
        """Let everybody who waits go, now and from now on."""
        self.closing = True
        for line in list(self._bells):
            self.ring(line)

    async def stop(self) -> None:
        """Close, and end the looks."""
        self.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        failing = False
        while not self.closing:
            if not self.waiting and loop.time() - self._idle_since > LINGER_SECONDS:
                self._cursor = None
                return
            try:
                page = await self._since(self._cursor or Cursor())
            except StoreUnavailable as error:
                if not failing:
                    log.error(logs.line("feed.store_unavailable", error=error))
                failing = True
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                continue
            except Exception:
                log.exception("feed.failed")
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                continue
            failing = False
            self._cursor = page.cursor
            for line in {line for line, _ in page.changes}:
                self.ring(line)
            if not page.is_full:
                await asyncio.sleep(self._poll_seconds)
