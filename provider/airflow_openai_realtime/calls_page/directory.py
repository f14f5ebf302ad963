"""
All calls of all sources as one list, without asking any of them too often.

People's browsers ask every few seconds; what they ask for is remembered for a moment, so that many who look on are one
request to each switchboard. One that is away is left alone for a while, and the page says that its calls are missing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_openai_realtime.calls_page.sources import FoundCall, Source
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.switchboard import logs
from airflow_openai_realtime.switchboard.recent import Place, RecentPage, UnreachedAttempt, merged

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
AWAY_SECONDS = 20.0
"""How long a switchboard that did not answer is not asked again."""

MOST_AT_ONCE = 8

_T = TypeVar("_T")


@dataclass(frozen=True)
class Missing:
    """
    A source that did not answer.

    :param conn_id: The connection whose calls are missing; ``None``: those of the switchboard in this API server.
    :param problem: What went wrong, without secrets.
    """

    conn_id: str | None
    problem: str


class Remembered(Generic[_T]):
    """
    The last answer to a question, which is asked by one thread at a time.

    :param now: A clock that never goes back, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._turn = threading.Lock()
        self._answer: _T | Missing | None = None
        self._good_until = 0.0

    def get(self, ask: Callable[[], _T], conn_id: str | None) -> _T | Missing:
        """The answer, asked for when there is none that is fresh."""
        with self._turn:
            if self._answer is None or self._now() >= self._good_until:
                self._answer = _answer_of(ask, conn_id)
                lasts = AWAY_SECONDS if isinstance(self._answer, Missing) else FRESH_SECONDS
                self._good_until = self._now() + lasts
            return self._answer


class CallDirectory:
    """
    The calls of all sources.

    :param sources: Says where calls are, each time anew: connections come and go.
    :param now: A clock that never goes back, in seconds.
    """

    def __init__(self, sources: Callable[[], Sequence[Source]], now: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._now = now
        self._first_pages: dict[tuple[object, int], Remembered[RecentPage]] = {}

    def page(self, before: Place | None, limit: int) -> tuple[RecentPage, list[Missing]]:
        """
        Live calls and the newest that are over, of all sources, and those sources that did not answer.

        :param before: From an earlier page: only older ones that are over.
        :param limit: How many that are over, at most.
        """
        sources = list(self._sources())
        pages: list[RecentPage] = []
        missing: list[Missing] = []
        for answer in _at_once(lambda source: self._page_of(source, before, limit), sources):
            if isinstance(answer, Missing):
                missing.append(answer)
            else:
                pages.append(answer)
        return merged(pages, limit), missing

    def find(self, conn_id: str, call_id: str) -> tuple[Source, FoundCall] | None:
        """
        A call, and where it is.

        :raises OpenAIRealtimeError: It is in none that answered, and one did not answer.
        """
        problem: OpenAIRealtimeError | None = None
        for source in self._sources():
            try:
                found = source.find(conn_id, call_id)
            except OpenAIRealtimeError as error:
                problem = error
                continue
            if found is not None:
                return source, found
        if problem is not None:
            raise problem
        return None

    def find_attempt(self, conn_id: str, attempt_id: str) -> UnreachedAttempt | None:
        """
        An attempt, also one that has become a call.

        :raises OpenAIRealtimeError: It is in none that answered, and one did not answer.
        """
        problem: OpenAIRealtimeError | None = None
        for source in self._sources():
            try:
                found = source.find_attempt(conn_id, attempt_id)
            except OpenAIRealtimeError as error:
                problem = error
                continue
            if found is not None:
                return found
        if problem is not None:
            raise problem
        return None

    def forget(self) -> None:
        """Ask anew next time, since something was changed from here."""
        self._first_pages = {}

    def _page_of(self, source: Source, before: Place | None, limit: int) -> RecentPage | Missing:
        def ask() -> RecentPage:
            return source.page(before, limit)

        if before is not None:
            return _answer_of(ask, source.conn_id)
        key = (source if source.conn_id is not None else None, limit)
        return self._first_pages.setdefault(key, Remembered(self._now)).get(ask, source.conn_id)


def _answer_of(ask: Callable[[], _T], conn_id: str | None) -> _T | Missing:
    try:
        return ask()
    except OpenAIRealtimeError as error:
        log.warning(logs.line("calls_page.source_away", conn_id=conn_id, error=error))
        return Missing(conn_id, str(error))
    except Exception as error:
        log.exception("calls_page.source_failed")
        return Missing(conn_id, f"unexpected ({type(error).__name__}); see the log of Airflow's API server")


def _at_once(ask: Callable[[Source], _T], sources: Iterable[Source]) -> list[_T]:
    """Ask all, several at once: one that is away takes seconds."""
    found = list(sources)
    if len(found) < 2:
        return [ask(source) for source in found]
    with ThreadPoolExecutor(min(len(found), MOST_AT_ONCE)) as threads:
        return list(threads.map(ask, found))
