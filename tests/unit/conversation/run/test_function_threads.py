"""Synchronous code in threads of its own, beside the event loop."""

from __future__ import annotations

import asyncio
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
