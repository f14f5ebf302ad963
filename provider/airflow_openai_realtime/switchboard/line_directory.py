"""
Looking up lines for requests: cached for some seconds, without letting strangers wear out a secrets backend.

A stranger can send any line name and any number of wrong signatures. So names that cannot exist are not looked up,
look-ups of names that were never found are counted against a limit, and a wrong signature or token causes a fresh
look at a line at most every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard import logs
from airflow_openai_realtime.switchboard.errors import LinesUnavailable, TooManyLookups
from airflow_openai_realtime.switchboard.line_settings import is_line_name
from airflow_openai_realtime.switchboard.lines import Line, Lines
from airflow_openai_realtime.switchboard.settings import SwitchboardSettings
from airflow_openai_realtime.switchboard.threads import Threads

log = logging.getLogger(__name__)

MOST_UNKNOWN_NAMES = 1000
UNKNOWN_LOOKUPS_PER_SECOND = 20
LONGEST_STALE_SECONDS = 600.0


@dataclass(frozen=True)
class _Entry:
    line: Line | None
    read_at: float


class LineDirectory:
    """
    The lines, as requests need them.

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
        self._threads = Threads(4, "switchboard-lines")
        self._known: dict[str | None, _Entry] = {}
        self._unknown: dict[str | None, _Entry] = {}
        self._reading: dict[str | None, asyncio.Task[Line | None]] = {}
        self._recent_unknown: list[float] = []

    async def find(self, name: str | None) -> Line | None:
        """
        The line of this name, or the default one for None.

        :returns: None when there is none, or when it cannot be used (the log says why).
        :raises LinesUnavailable: It cannot be looked up now.
        """
        if name is not None and not is_line_name(name):
            return None
        entry = self._known.get(name) or self._unknown.get(name)
        if entry is not None and self._monotonic() - entry.read_at < self._settings.line_cache_seconds:
            return entry.line
        return await self._read_once(name)

    async def reread(self, name: str | None) -> Line | None:
        """
        The line, read again unless that was done in the last seconds; for a signature or token that did not fit.

        :raises LinesUnavailable: It cannot be looked up now.
        """
        entry = self._known.get(name)
        if entry is None or self._monotonic() - entry.read_at < self._settings.line_reread_seconds:
            return entry.line if entry else None
        return await self._read_once(name)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()

    async def _read_once(self, name: str | None) -> Line | None:
        """One look-up at a time for each name, whoever else asks."""
        task = self._reading.get(name)
        if task is None:
            if name not in self._known:
                self._count_unknown()
            task = asyncio.ensure_future(self._read(name))
            self._reading[name] = task
            task.add_done_callback(lambda _: self._reading.pop(name, None))
        return await asyncio.shield(task)

    async def _read(self, name: str | None) -> Line | None:
        now = self._monotonic()
        try:
            found = await self._threads.run(self._lines.find, name)
        except ConfigurationError as error:
            log.error(logs.line("line.unusable", line=name or "(default)", error=error))
            found = None
        except Exception as error:
            return self._stale(name, now, error)
        if found is None:
            self._known.pop(name, None)
            self._unknown.pop(name, None)
            while len(self._unknown) >= MOST_UNKNOWN_NAMES:
                self._unknown.pop(next(iter(self._unknown)))
            self._unknown[name] = _Entry(None, now)
        else:
            self._unknown.pop(name, None)
            self._known[name] = _Entry(found, now)
        return found

    def _stale(self, name: str | None, now: float, error: Exception) -> Line | None:
        """What was known before, while the backend is away."""
        log.error(logs.line("line.lookup_failed", line=logs.asked_for(name) or "(default)", error=type(error).__name__))
        entry = self._known.get(name)
        if entry is None or now - entry.read_at > LONGEST_STALE_SECONDS:
            raise LinesUnavailable("the line cannot be looked up now; see the switchboard's log") from error
        return entry.line

    def _count_unknown(self) -> None:
        now = self._monotonic()
        self._recent_unknown = [at for at in self._recent_unknown if now - at < 1.0]
        if len(self._recent_unknown) >= UNKNOWN_LOOKUPS_PER_SECOND:
            raise TooManyLookups("too many look-ups of unknown lines; try again in a second")
        self._recent_unknown.append(now)
