"""The switchboard's own threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from airflow_openai_realtime.switchboard.server.process.executor import Executor


async def test_blocking_work_runs_in_a_thread_of_this_name_and_its_result_comes_back() -> None:
    executor = Executor(1, "of-the-store")

    def work(number: int, *, twice: bool) -> tuple[str, int]:
        return threading.current_thread().name, number * (2 if twice else 1)

    name, result = await executor.run(work, 21, twice=True)
    executor.close()
    assert (name.startswith("of-the-store"), result) == (True, 42)


async def test_an_error_of_the_work_is_raised() -> None:
    executor = Executor(1, "test")
    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 // 0)
    executor.close()


async def test_so_many_work_at_once_and_no_more() -> None:
    executor, may_end, at_once = Executor(2, "test"), threading.Event(), threading.Semaphore(0)
    running: list[int] = []

    def work(number: int) -> None:
        running.append(number)
        at_once.release()
        assert may_end.wait(60)

    tasks = [asyncio.ensure_future(executor.run(work, number)) for number in range(5)]
    await asyncio.to_thread(lambda: (at_once.acquire(timeout=60), at_once.acquire(timeout=60)))
    assert not await asyncio.to_thread(at_once.acquire, timeout=0.05)
    assert len(running) == 2
    may_end.set()
    await asyncio.gather(*tasks)
    executor.close()
    assert sorted(running) == [0, 1, 2, 3, 4]


async def test_closing_waits_for_nothing_and_a_later_use_starts_anew() -> None:
    executor, may_end = Executor(1, "test"), threading.Event()
    running = asyncio.ensure_future(executor.run(may_end.wait, 60))
    await asyncio.sleep(0)
    executor.close()
    assert await executor.run(lambda: "again") == "again"
    may_end.set()
    assert await running is True
    executor.close()
