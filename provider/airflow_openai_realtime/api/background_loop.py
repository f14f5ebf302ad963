"""One event loop in a background thread, for blocking code whose requests must be cancellable in every phase."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")

_turn = threading.RLock()  # a signal handler may come in while its own thread holds it
_loop: asyncio.AbstractEventLoop | None = None


def run(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """
    Run a coroutine in the background loop and wait for it; an exception here, as from a signal, cancels it.

    :param make: Called in this thread.
    """
    future: Future[_T] | None = None
    try:
        future = asyncio.run_coroutine_threadsafe(make(), _running())
        return future.result()
    finally:
        if future is not None:
            future.cancel()  # does nothing when it is done


def current() -> asyncio.AbstractEventLoop | None:
    """The loop, if it runs in this process."""
    return _loop


def _running() -> asyncio.AbstractEventLoop:
    global _loop
    with _turn:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="openai-realtime-requests", daemon=True).start()
        return _loop


def _forget() -> None:
    """Reset in a forked process, where the thread does not exist and the lock may have been held."""
    global _loop, _turn
    _turn = threading.RLock()
    _loop = None


os.register_at_fork(after_in_child=_forget)
