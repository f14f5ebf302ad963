"""Notice a shutdown of the process in time to answer long polls."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def on_termination(tell: Callable[[], object]) -> Iterator[None]:
    """
    While entered, call ``tell`` on a signal to end the process, before the other handlers of that signal.

    A web server waits for its open requests before it tells an application that it stops; a long poll would keep it
    waiting. So its signal handlers are kept and called, only later. Does nothing outside the main thread.

    :param tell: Called in a signal handler: it must only hand over to the event loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former: dict[int, Any] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        tell()
        if callable(former[number]):
            former[number](number, frame)
        elif former[number] == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for caught in (signal.SIGTERM, signal.SIGINT):
        former[caught] = signal.getsignal(caught)
        signal.signal(caught, heard)
    try:
        yield
    finally:
        for number, handler in former.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
