"""
The page's own threads, so that viewing calls never uses up the threads of Airflow's API.

Airflow's API server answers most requests in one pool of some forty threads. A page that waited there for a slow
switchboard would stop the whole API. The page therefore has its own threads, and answers 503 when too many requests
wait.
Source: https://anyio.readthedocs.io/en/stable/threads.html (the limit of that pool)
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from starlette.exceptions import HTTPException

THREADS = 12
MOST_UNDER_WAY = 48
"""Most requests of all users that run or wait for a thread."""

MOST_OF_ONE_USER = 8
LONGEST_SECONDS = 20.0
"""Longest run of a request in seconds. Its own requests to switchboards have much lower limits."""

RETRY_AFTER_SECONDS = 2

_P = ParamSpec("_P")
_T = TypeVar("_T")


class PageWork:
    """
    Runs blocking code for the page's routes.

    :param threads: Number of threads, 1 or more; started on first use.
    :param most_under_way: Most requests that run or wait.
    :param most_of_one_user: Most requests of one user among those.
    :param longest_seconds: Longest wait of a request for its work, in seconds.
    """

    def __init__(
        self,
        threads: int = THREADS,
        most_under_way: int = MOST_UNDER_WAY,
        most_of_one_user: int = MOST_OF_ONE_USER,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="openai-realtime-calls-page")
        self._most_under_way = most_under_way
        self._most_of_one_user = most_of_one_user
        self._longest_seconds = longest_seconds
        self._under_way: Counter[str] = Counter()

    async def run(self, user_name: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """
        Call ``work`` in one of the threads. When the request is cancelled, the thread still finishes.

        :param user_name: Name of the requesting user.
        :raises HTTPException: 503 with ``Retry-After``: too many requests are under way, or it takes too long.
        """
        is_full = self._under_way.total() >= self._most_under_way
        if is_full or self._under_way[user_name] >= self._most_of_one_user:
            raise _busy("too many requests for calls are under way; try again in a moment")
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        self._under_way[user_name] += 1
        future = loop.run_in_executor(self._executor, lambda: context.run(work, *args, **kwargs))
        future.add_done_callback(lambda done: self._ended(user_name, done))
        await asyncio.wait([future], timeout=self._longest_seconds)
        if not future.done():
            raise _busy("this takes too long; try again in a moment")
        return future.result()

    def close(self) -> None:
        """Shut the threads down without waiting for them."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _ended(self, user_name: str, done: asyncio.Future[_T]) -> None:
        self._under_way[user_name] -= 1
        if not self._under_way[user_name]:
            del self._under_way[user_name]
        if not done.cancelled():
            done.exception()  # retrieved also after a timeout, so that asyncio logs no warning


def _busy(message: str) -> HTTPException:
    return HTTPException(503, message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
