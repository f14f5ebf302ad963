"""
Running somebody's synchronous code beside an event loop.

Not in the loop's own pool of threads: a function that never returns would keep one of its few threads for ever, and the
triggerer looks up host names in them.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: More threads than this, mostly of functions that never return, are not begun.
MOST_THREADS = 64

_slots = threading.Semaphore(MOST_THREADS)


class TooManyThreads(RuntimeError):
    """As many functions run as may run at once."""


async def run_in_thread(work: Callable[[], T]) -> T:
    """
    Run work in a thread of its own; when the waiting is cancelled the thread goes on, and its result is dropped.

    :param work: Called without arguments, with the context variables of the caller.
    :raises TooManyThreads: Nothing was begun.
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
            # What would end the program, or cannot be set on a future, is a failure of the work like any other.
            is_plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
            error = raised if is_plain else RuntimeError(type(raised).__name__)
        finally:
            _slots.release()
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threading.Thread(target=run, name="call-function", daemon=True).start()
    return await done
