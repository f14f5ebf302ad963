"""
Run synchronous code of a DAG author beside an event loop.

It does not run in the loop's own thread pool: a function that never returns would occupy one of its few threads
permanently, and the triggerer looks up host names in that pool.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: Most threads at once; the limit is reached mainly by functions that never return.
MOST_THREADS = 64

_slots = threading.Semaphore(MOST_THREADS)


class TooManyThreads(RuntimeError):
    """The limit of functions that run at once is reached."""


async def run_in_thread(work: Callable[[], T]) -> T:
    """
    Run work in a thread of its own. When the await is cancelled, the thread goes on and its result is dropped.

    :param work: Called without arguments, with the context variables of the caller.
    :raises TooManyThreads: The limit is reached; the work was not begun.
    """
    if not _slots.acquire(blocking=False):
        raise TooManyThreads(f"{MOST_THREADS} functions run already")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(work)
        except BaseException as raised:
            # Errors that would end the program, or that a future rejects, become an ordinary failure.
            is_plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
            error = raised if is_plain else RuntimeError(type(raised).__name__)
        finally:
            _slots.release()
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed, so the result is not awaited
            return

    threading.Thread(target=run, name="call-function", daemon=True).start()
    return await done
