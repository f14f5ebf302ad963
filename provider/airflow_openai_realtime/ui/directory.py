"""
All calls of all sources as one list, without asking any of them too often.

People's browsers ask every few seconds; what they ask for is remembered for a moment, so that many who look on are one
request to each switchboard. One that is away is left alone for a while, and the page says that its calls are missing.
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
"""How long a switchboard that did not answer is not asked again."""

MOST_AT_ONCE = 16
"""How many sources are asked at once, for all who look on."""

MOST_ASKING_ONE = 3
"""How many questions one source has to answer at once: a slow one does not take the page's threads."""

PATIENCE_SECONDS = 2.0
"""How long a further question waits for its turn."""

STORE_AWAY_SECONDS = 2.0
"""The same as :data:`AWAY_SECONDS` for the store of the switchboard in this API server."""

FIRST_ANSWER_SECONDS = 10.0

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
    The last answer to a question. One thread asks; the others get the last answer meanwhile, or wait for the first.

    :param now: A clock that never goes back, in seconds.
    :param fresh_seconds: How long an answer is used before it is asked for again.
    """

    def __init__(self, now: Callable[[], float], fresh_seconds: float = FRESH_SECONDS) -> None:
        self._now = now
        self._fresh_seconds = fresh_seconds
        self._turn = threading.Lock()  # never held while a source is asked
        self._answer: _T | Missing | None = None
        self._asking: Future[_T | Missing] | None = None
        self._good_until = 0.0

    def get(self, ask: Callable[[], _T | Missing], conn_id: str | None = None) -> _T | Missing:
        """
        The answer, asked for when there is none that is fresh.

        :param ask: Raises nothing.
        :param conn_id: For the message when the first answer takes too long.
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
    How a source is asked: by few at once, and not again for a while when it did not answer.

    :param now: A clock that never goes back, in seconds.
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
        What a source says, or why it says nothing.

        :param ask: May raise.
        :param conn_id: The source's connection.
        :param away: After errors of this kind the source is left alone for a while; others concern the question.
        :raises InvalidInput: The question makes no sense.
        """
        if (missing := self._not_now()) is not None:
            return missing
        if not self._places.acquire(timeout=PATIENCE_SECONDS):
            return Missing(conn_id, "it is slow, and too many questions wait for it")
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

    :param sources: Says where calls are, each time anew: connections come and go.
    :param now: A clock that never goes back, in seconds.
    """

    def __init__(self, sources: Callable[[], Sequence[Source]], now: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._now = now
        self._first_pages: dict[tuple[object, int], Remembered[RecentPage]] = {}
        self._visits: dict[object, _Visits] = {}
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="openai-realtime-calls-sources")

    def page(self, before: Place | None, limit: int) -> tuple[RecentPage, list[Missing]]:
        """
        Live calls and the newest that are over, of all sources, and those sources that did not answer.

        :param before: From an earlier page: only older ones that are over.
        :param limit: How many that are over, at most.
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
        A call, and where it is.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :raises OpenAIRealtimeError: It is in none that answered, and one did not answer.
        """
        return self._first_of(conn_id, lambda source: source.find(conn_id, call_id))

    def find_claimed(self, conn_id: str, claimant: str) -> str | None:
        """
        Id of the newest call of a claimant.

        :param conn_id: Id of the connection.
        :param claimant: Name of the claimant.
        :raises OpenAIRealtimeError: It is in none that answered, and one did not answer.
        """
        found = self._first_of(conn_id, lambda source: source.find_claimed(conn_id, claimant))
        return None if found is None else found[1]

    def find_attempt(self, conn_id: str, attempt_id: str) -> UnreachedAttempt | None:
        """
        An attempt, also one that has become a call.

        :param conn_id: Id of the connection.
        :param attempt_id: Id of the attempt.
        :raises OpenAIRealtimeError: It is in none that answered, and one did not answer.
        """
        found = self._first_of(conn_id, lambda source: source.find_attempt(conn_id, attempt_id))
        return None if found is None else found[1]

    def forget(self) -> None:
        """Ask anew next time, since something was changed from here."""
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
        """Ask all, several at once: one that is away takes seconds."""
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
