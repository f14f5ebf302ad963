"""
All calls of all sources as one list, with a limited rate of requests to each source.

Browsers ask every few seconds. Answers are cached for a moment, so that many viewers cause one request to each
switchboard. A switchboard that does not answer is not asked again for a while, and the page says that its calls are
missing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TakesTooLong
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from airflow_openai_realtime.calls.recent import Place, RecentPage, UnreachedAttempt, merged
from airflow_openai_realtime.exceptions import InvalidInput, OpenAIRealtimeError, SwitchboardUnreachable
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.ui.sources import FoundCall, Source

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
AWAY_SECONDS = 20.0
"""Seconds for which a switchboard that did not answer is not asked again."""

MOST_AT_ONCE = 16
"""Most sources that are asked at once, for all viewers together."""

MOST_ASKING_ONE = 3
"""Most requests to one source at once, so that a slow one does not occupy the page's threads."""

PATIENCE_SECONDS = 2.0
"""Longest wait of a further request for its turn, in seconds."""

STORE_AWAY_SECONDS = 2.0
"""The same as :data:`AWAY_SECONDS` for the store of the switchboard in this API server."""

FIRST_ANSWER_SECONDS = 10.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Missing:
    """
    A source that did not answer.

    :param conn_id: The connection whose calls are missing; ``None``: those of the switchboard in this API server.
    :param problem: Description of the error, without secrets.
    """

    conn_id: str | None
    problem: str


class Remembered(Generic[_T]):
    """
    Cache of the last answer to one request. One thread asks; meanwhile others get the last answer, or wait for the
    first.

    :param now: Monotonic clock, in seconds.
    :param fresh_seconds: Seconds for which an answer is reused.
    """

    def __init__(self, now: Callable[[], float], fresh_seconds: float = FRESH_SECONDS) -> None:
        self._now = now
        self._fresh_seconds = fresh_seconds
        self._turn = threading.Lock()  # not held during a request to a source
        self._answer: _T | Missing | None = None
        self._asking: Future[_T | Missing] | None = None
        self._good_until = 0.0

    def get(self, ask: Callable[[], _T | Missing], conn_id: str | None = None) -> _T | Missing:
        """
        Return the cached answer, or ask when it is not fresh.

        :param ask: Sends the request; returns errors as ``Missing``.
        :param conn_id: Connection for the message when the first answer takes too long.
        """
        with self._turn:
            if self._answer is not None and (self._now() < self._good_until or self._asking is not None):
                return self._answer
            asked_by_other = self._asking
            asking = self._asking = asked_by_other or Future()
        if asked_by_other is not None:
            try:
                return asking.result(timeout=FIRST_ANSWER_SECONDS)
            except TakesTooLong:
                return Missing(conn_id, "it does not answer in time")
        try:
            answer = ask()
        except BaseException as error:
            with self._turn:
                self._asking = None
            asking.set_exception(error)
            raise
        with self._turn:
            self._answer, self._asking = answer, None
            self._good_until = self._now() + (0.0 if isinstance(answer, Missing) else self._fresh_seconds)
        asking.set_result(answer)
        return answer


class _Visits:
    """
    Limits the requests to one source: few at once, and none for a while after it did not answer.

    :param now: Monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._places = threading.BoundedSemaphore(MOST_ASKING_ONE)
        self._missing: Missing | None = None
        self._away_until = 0.0

    def answer_of(
        self, ask: Callable[[], _T], conn_id: str | None, away: type[Exception] = SwitchboardUnreachable
    ) -> _T | Missing:
        """
        Return the answer of a source, or the reason why there is none.

        :param ask: Sends the request; may raise.
        :param conn_id: Connection of the source.
        :param away: After errors of this type the source is not asked for a while; others concern only the request.
        :raises InvalidInput: The request is invalid.
        """
        if (missing := self._not_now()) is not None:
            return missing
        if not self._places.acquire(timeout=PATIENCE_SECONDS):
            return Missing(conn_id, "it is slow, and too many requests wait for it")
        try:
            return self._not_now() or ask()
        except InvalidInput:
            raise
        except Exception as error:
            missing = _missing(error, conn_id)
            if isinstance(error, away):
                seconds = AWAY_SECONDS if conn_id is not None else STORE_AWAY_SECONDS
                self._missing, self._away_until = missing, self._now() + seconds
            return missing
        finally:
            self._places.release()

    def _not_now(self) -> Missing | None:
        return self._missing if self._now() < self._away_until else None


class CallDirectory:
    """
    The calls of all sources.

    :param sources: Returns the sources; called for each request, since connections change.
    :param now: Monotonic clock, in seconds.
    """

    def __init__(self, sources: Callable[[], Sequence[Source]], now: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._now = now
        self._first_pages: dict[tuple[object, int], Remembered[RecentPage]] = {}
        self._visits: dict[object, _Visits] = {}
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="openai-realtime-calls-sources")

    def page(self, before: Place | None, limit: int) -> tuple[RecentPage, list[Missing]]:
        """
        Return a page of all sources' calls: live ones, and the newest that are over.

        :param before: Cursor of an earlier page; ``None`` for the first page. Later pages have no live calls.
        :param limit: Most calls that are over, 1 or more.
        :return: The page, and the sources that did not answer.
        """
        sources = list(self._sources())
        pages: list[RecentPage] = []
        missing: list[Missing] = []
        for answer in self._at_once(lambda source: self._page_of(source, before, limit), sources):
            if isinstance(answer, Missing):
                missing.append(answer)
            else:
                pages.append(answer)
        return merged(pages, limit), missing

    def find(self, conn_id: str, call_id: str) -> tuple[Source, FoundCall] | None:
        """
        Find a call and its source.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :return: ``None`` when no source has it.
        :raises OpenAIRealtimeError: No source that answered has it, and one did not answer.
        """
        return self._first_of(conn_id, lambda source: source.find(conn_id, call_id))

    def find_claimed(self, conn_id: str, owner: str) -> str | None:
        """
        Find the id of the newest call of an owner.

        :param conn_id: Id of the connection.
        :param owner: Name of the owner.
        :return: ``None`` when no source has one.
        :raises OpenAIRealtimeError: No source that answered has one, and one did not answer.
        """
        found = self._first_of(conn_id, lambda source: source.find_claimed(conn_id, owner))
        return None if found is None else found[1]

    def find_attempt(self, conn_id: str, attempt_id: str) -> UnreachedAttempt | None:
        """
        Find an attempt, also one that has become a call.

        :param conn_id: Id of the connection.
        :param attempt_id: Id of the attempt.
        :return: ``None`` when no source has it.
        :raises OpenAIRealtimeError: No source that answered has it, and one did not answer.
        """
        found = self._first_of(conn_id, lambda source: source.find_attempt(conn_id, attempt_id))
        return None if found is None else found[1]

    def forget(self) -> None:
        """Drop cached pages after a change made from this page."""
        self._first_pages = {}

    def _first_of(self, conn_id: str, ask: Callable[[Source], _T | None]) -> tuple[Source, _T] | None:
        missing: Missing | None = None
        for source in self._sources():
            if source.conn_id not in (None, conn_id):
                continue
            answer = self._visits_to(source).answer_of(partial(ask, source), source.conn_id)
            if isinstance(answer, Missing):
                missing = answer
            elif answer is not None:
                return source, answer
        if missing is not None:
            raise SwitchboardUnreachable(missing.problem)
        return None

    def _page_of(self, source: Source, before: Place | None, limit: int) -> RecentPage | Missing:
        def ask() -> RecentPage | Missing:
            return self._visits_to(source).answer_of(partial(source.page, before, limit), source.conn_id, Exception)

        if before is not None:
            return ask()
        return self._first_pages.setdefault((_key_of(source), limit), Remembered(self._now)).get(ask, source.conn_id)

    def _visits_to(self, source: Source) -> _Visits:
        return self._visits.setdefault(_key_of(source), _Visits(self._now))

    def _at_once(self, ask: Callable[[Source], _T], sources: Sequence[Source]) -> list[_T]:
        """Ask all sources, several at once: a source that does not answer takes seconds."""
        if len(sources) < 2:
            return [ask(source) for source in sources]
        return list(self._threads.map(ask, sources))


def _key_of(source: Source) -> object:
    return source if source.conn_id is not None else None


def _missing(error: Exception, conn_id: str | None) -> Missing:
    if isinstance(error, OpenAIRealtimeError):
        log.warning(logs.line("calls_page.source_away", conn_id=conn_id, error=error))
        return Missing(conn_id, str(error))
    log.exception("calls_page.source_failed")
    return Missing(conn_id, f"unexpected ({type(error).__name__}); see the log of Airflow's API server")
