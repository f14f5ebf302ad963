"""Synchronous code in threads of its own, beside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest
from tests.unit.conversation import tool_samples

from airflow_openai_realtime.conversation.run import function_threads as threads
from airflow_openai_realtime.conversation.run.function_threads import TooManyThreads, run_in_thread


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    tool_samples.ran.clear()
    tool_samples.released.clear()
    yield
    tool_samples.released.set()


async def test_so_many_threads_run_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_slots", threading.Semaphore(1))
    first = asyncio.ensure_future(run_in_thread(lambda: tool_samples.released.wait(10)))
    await asyncio.sleep(0)
    with pytest.raises(TooManyThreads):
        await run_in_thread(lambda: None)
    tool_samples.released.set()
    await first
    await run_in_thread(lambda: None)


async def test_work_runs_in_a_thread_of_its_own_with_the_context_of_the_caller() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    name.set("ann")
    threads_used = [await run_in_thread(threading.current_thread) for _ in range(2)]
    assert await run_in_thread(name.get) == "ann"
    assert threading.main_thread() not in threads_used
    assert threads_used[0] is not threads_used[1]
    assert all(each.daemon for each in threads_used)


@pytest.mark.parametrize(
    ("raised", "found"),
    [
        (KeyError("gone"), KeyError),
        (StopIteration(), RuntimeError),
        (SystemExit(3), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
    ],
)
async def test_whatever_work_raises_is_raised_where_it_is_waited_for(
    raised: BaseException, found: type[Exception]
) -> None:
    def fails() -> None:
        raise raised

    with pytest.raises(found) as error:
        await run_in_thread(fails)
    if found is RuntimeError:
        assert str(error.value) == type(raised).__name__


async def test_a_slot_is_free_again_whether_the_work_failed_or_was_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_slots", threading.Semaphore(1))
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 // 0)
    begun = threading.Event()

    def works() -> None:
        begun.set()
        tool_samples.released.wait(30)

    waiting = asyncio.ensure_future(run_in_thread(works))
    await asyncio.to_thread(begun.wait, 30)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(TooManyThreads, match="64 functions run already"):
        await run_in_thread(lambda: None)
    tool_samples.released.set()
    while True:  # the thread goes on until its work is done
        try:
            assert await run_in_thread(lambda: "free") == "free"
            break
        except TooManyThreads:
            await asyncio.sleep(0.01)
