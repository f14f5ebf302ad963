"""
Look up lines for requests: cached for some seconds, with limits that protect a secrets backend from untrusted clients.

An untrusted client can send any line name and any number of wrong signatures. Invalid names are therefore not looked
up, names without a valid signature or token so far have a limit of their own, and a wrong signature or token causes a
new look-up of a line at most every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from airflow_openai_realtime.calls.line_settings import is_line_name
from airflow_openai_realtime.calls.lines import Line, Lines
from airflow_openai_realtime.exceptions import ConfigurationError, LinesUnavailable, TooManyLookups
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

MOST_UNPROVEN_NAMES = 1000
MOST_KNOWN_NAMES = 10_000
UNPROVEN_LOOKUPS_PER_SECOND = 20
MOST_UNPROVEN_AT_ONCE = 8
"""Look-ups of unproven names that may wait for a backend at the same time."""

EXPECTED_SECONDS = 5.0
"""How often the names that can be listed are listed at most."""

LONGEST_STALE_SECONDS = 600.0


@dataclass(frozen=True)
class _Entry:
    line: Line | None
    read_at: float


class LineDirectory:
    """
    The lines, as requests need them.

    Look-ups of unproven names have a limit, threads and a memory of their own. A name is proven when a request for it
    had a valid signature or token, when the switchboard itself asks for it, and when :class:`Lines` can list it.

    :param lines: Where they come from.
    :param settings: How long a look-up holds.
    :param monotonic: A clock in seconds that never jumps.
    """

    def __init__(
        self, lines: Lines, settings: SwitchboardSettings, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._settings = settings
        self._monotonic = monotonic
        self._threads = Executor(4, "switchboard-lines")
        self._threads_for_strangers = Executor(2, "switchboard-unproven-lines")
        self._known: dict[str | None, _Entry] = {}
        self._unproven: dict[str | None, _Entry] = {}
        self._reading: dict[str | None, asyncio.Task[Line | None]] = {}
        self._recent_unproven: list[float] = []
        self._unproven_under_way = 0
        self._expected: frozenset[str] = frozenset()
        self._expected_at = -math.inf
        self._listing: asyncio.Task[None] | None = None

    @property
    def remembered_names(self) -> int:
        """How many names are remembered, those without a line included."""
        return len(self._known) + len(self._unproven)

    async def find(self, name: str | None) -> Line | None:
        """
        The line of this name, or the default one for None; for the switchboard's own work.

        :param name: Name of a line; ``None`` for the default one.
        :returns: None when there is none, or when it cannot be used (the log says why).
        :raises LinesUnavailable: It cannot be looked up now.
        """
        return await self._find(name, is_own=True)

    async def find_asked(self, name: str | None) -> Line | None:
        """
        The line that a request from an untrusted client names, as :meth:`find`.

        :param name: Name from the request; ``None`` for the default line.
        :raises TooManyLookups: Too many names that are not known were asked for a moment ago.
        :raises LinesUnavailable: It cannot be looked up now.
        """
        return await self._find(name, is_own=False)

    async def with_token(self, name: str | None, token: str) -> tuple[Line | None, bool]:
        """
        The line that a request from an untrusted client names, and whether the token that it brought is the line's.

        A token that does not fit may be newer than what is remembered, so the line is read again for it.

        :param name: Name from the request; ``None`` for the default line.
        :param token: Token from the request.
        :raises TooManyLookups: Too many names that are not known were asked for a moment ago.
        :raises LinesUnavailable: It cannot be looked up now.
        """
        line = await self.find_asked(name)
        if line is not None and not line.takes_token(token):
            line = await self.reread(name) or line
        fits = line is not None and line.takes_token(token)
        if fits:
            self.proved(name)
        return line, fits

    def proved(self, name: str | None) -> None:
        """
        Note that a request for this name brought a good signature or token.

        :param name: Name from the request.
        """
        entry = self._unproven.pop(name, None)
        if entry is not None:
            _remember(self._known, name, entry, MOST_KNOWN_NAMES)

    async def reread(self, name: str | None) -> Line | None:
        """
        The line, read again unless that was done in the last seconds; for a signature or token that did not fit.

        :param name: Name of a line; ``None`` for the default one.
        :raises TooManyLookups: Too many names that are not known were asked for a moment ago.
        :raises LinesUnavailable: It cannot be looked up now.
        """
        if self._lines.is_in_memory:
            return self._lines.find(name)
        entry = self._entry(name)
        if entry is None or self._monotonic() - entry.read_at < self._settings.line_reread_seconds:
            return entry.line if entry else None
        return await self._read_once(name, is_own=False)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()
        self._threads_for_strangers.close()

    async def _find(self, name: str | None, *, is_own: bool) -> Line | None:
        if name is not None and not is_line_name(name):
            return None
        if self._lines.is_in_memory:
            return self._lines.find(name)
        entry = self._entry(name)
        if entry is not None and self._monotonic() - entry.read_at < self._settings.line_cache_seconds:
            return entry.line
        return await self._read_once(name, is_own=is_own)

    def _entry(self, name: str | None) -> _Entry | None:
        return self._known.get(name) or self._unproven.get(name)

    async def _read_once(self, name: str | None, *, is_own: bool) -> Line | None:
        """Run one look-up at a time for each name; concurrent requests share it."""
        is_known = is_own or name in self._known or await self._is_expected(name)
        task = self._reading.get(name)
        if task is None:
            if not is_known:
                self._count_unproven()
            task = asyncio.ensure_future(self._read(name, is_known))
            self._reading[name] = task
            task.add_done_callback(partial(self._was_read, name, is_known))
        return await asyncio.shield(task)

    def _was_read(self, name: str | None, is_known: bool, _: asyncio.Task[Line | None]) -> None:
        self._reading.pop(name, None)
        self._unproven_under_way -= not is_known

    async def _read(self, name: str | None, is_known: bool) -> Line | None:
        now = self._monotonic()
        threads = self._threads if is_known else self._threads_for_strangers
        try:
            found = await threads.run(self._lines.find, name)
        except ConfigurationError as error:
            log.error(logs.line("line.unusable", line=name or "(default)", error=error))
            found = None
        except Exception as error:
            return self._stale(name, now, error)
        for names in (self._known, self._unproven):
            names.pop(name, None)
        if is_known and found is not None:
            _remember(self._known, name, _Entry(found, now), MOST_KNOWN_NAMES)
        else:
            _remember(self._unproven, name, _Entry(found, now), MOST_UNPROVEN_NAMES)
        return found

    def _stale(self, name: str | None, now: float, error: Exception) -> Line | None:
        """Return the earlier look-up while the backend does not answer."""
        log.error(logs.line("line.lookup_failed", line=logs.asked_for(name) or "(default)", error=type(error).__name__))
        entry = self._entry(name)
        if entry is None or now - entry.read_at > LONGEST_STALE_SECONDS:
            raise LinesUnavailable("the line cannot be looked up now; see the switchboard's log") from error
        return entry.line

    async def _is_expected(self, name: str | None) -> bool:
        """Whether a name is the default or among those that can be listed; lists them anew from time to time."""
        if name is None or name in self._expected:
            return True
        if self._monotonic() - self._expected_at >= EXPECTED_SECONDS and self._listing is None:
            self._listing = asyncio.ensure_future(self._list())
        if self._listing is not None:
            await asyncio.shield(self._listing)
        return name in self._expected

    async def _list(self) -> None:
        try:
            self._expected = frozenset(await self._threads.run(self._lines.listed_names))
        except Exception as error:
            log.error(logs.line("line.listing_failed", error=type(error).__name__))
        finally:
            self._expected_at, self._listing = self._monotonic(), None

    def _count_unproven(self) -> None:
        now = self._monotonic()
        self._recent_unproven = [at for at in self._recent_unproven if now - at < 1.0]
        is_too_many = len(self._recent_unproven) >= UNPROVEN_LOOKUPS_PER_SECOND
        if is_too_many or self._unproven_under_way >= MOST_UNPROVEN_AT_ONCE:
            raise TooManyLookups("too many look-ups of unknown lines; try again in a second")
        self._recent_unproven.append(now)
        self._unproven_under_way += 1


def _remember(names: dict[str | None, _Entry], name: str | None, entry: _Entry, most: int) -> None:
    while len(names) >= most:
        names.pop(next(iter(names)))
    names[name] = entry
