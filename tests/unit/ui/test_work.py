"""Requests of the page wait in threads of its own, and no more of them than fit there."""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.exceptions import HTTPException

from airflow_openai_realtime.ui.work import PageWork


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


async def refusal(work: PageWork, user: str) -> HTTPException:
    with pytest.raises(HTTPException) as refused:
        await work.run(user, lambda: None)
    return refused.value


async def test_work_is_done_in_a_thread_of_the_page() -> None:
    """And in none of those that Airflow's API, or other code in its process, answers with."""
    work = PageWork(threads=1)
    assert "calls-page" in await work.run("vic", lambda: threading.current_thread().name)
    work.close()


async def test_more_than_fits_is_answered_503_and_says_when_to_come_back(gate: threading.Event) -> None:
    work = PageWork(threads=1, most_under_way=4, most_of_one_user=3)
    slow = [asyncio.ensure_future(work.run("vic", gate.wait, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    told = await refusal(work, "vic")
    assert (told.status_code, told.headers) == (503, {"Retry-After": "2"})
    another = asyncio.ensure_future(work.run("ann", lambda: "seen"))
    await asyncio.sleep(0)
    assert (await refusal(work, "otto")).status_code == 503
    gate.set()
    assert await another == "seen"
    assert await asyncio.gather(*slow) == [True, True, True]
    assert await work.run("vic", lambda: "again") == "again"
    work.close()


async def test_a_request_does_not_wait_for_work_that_does_not_end(gate: threading.Event) -> None:
    work = PageWork(threads=1, longest_seconds=0.05)
    with pytest.raises(HTTPException, match="takes too long"):
        await work.run("vic", gate.wait, 60)
    gate.set()
    work.close()


async def test_what_the_work_raises_is_raised(gate: threading.Event) -> None:
    work = PageWork(threads=1)
    with pytest.raises(KeyError):
        await work.run("vic", lambda: {}["x"])
    work.close()
