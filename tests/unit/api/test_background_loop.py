"""Blocking code runs coroutines in one loop of a background thread."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from airflow_openai_realtime.api import background_loop

WAIT_SECONDS = 30


async def where() -> tuple[int, asyncio.AbstractEventLoop]:
    return threading.get_ident(), asyncio.get_running_loop()


def test_all_threads_share_one_loop_in_a_thread_that_is_none_of_theirs() -> None:
    found = [background_loop.run(where)]
    other = threading.Thread(target=lambda: found.append(background_loop.run(where)))
    other.start()
    other.join()
    assert found[0] == found[1]
    assert found[0][0] != threading.get_ident()
    assert found[0][1] is background_loop.current()


def test_an_error_of_the_coroutine_is_raised_where_it_was_asked_for() -> None:
    async def fails() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        background_loop.run(fails)
    assert background_loop.run(where)


def test_an_error_before_the_coroutine_is_made_starts_nothing() -> None:
    def cannot_make() -> None:
        raise ValueError("no request")

    with pytest.raises(ValueError, match="no request"):
        background_loop.run(cannot_make)  # type: ignore[arg-type]


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="a signal reaches the main thread"
)
def test_an_interrupt_while_waiting_cancels_the_coroutine() -> None:
    cancelled = threading.Event()

    async def waits() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(KeyboardInterrupt):
        background_loop.run(waits)
    assert cancelled.wait(WAIT_SECONDS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_a_loop_of_its_own() -> None:
    background_loop.run(where)
    child = os.fork()
    if child == 0:  # the loop's thread does not exist here: without a new loop this waits without end
        inherited = background_loop.current() is not None
        works = threading.Event()
        threading.Thread(target=lambda: background_loop.run(where) and works.set(), daemon=True).start()
        os._exit(0 if works.wait(10) and not inherited else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
