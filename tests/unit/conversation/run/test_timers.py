"""Waiting by a given clock, and tasks of which none fails unseen."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from airflow_openai_realtime.conversation.run.timers import Tasks, wait_for_any


class Pause:
    """A clock that stands still until a test says that the time is over."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over = asyncio.Event()
        self.is_cancelled = False

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_thing_that_happens_ends_the_waiting_and_the_others_go_on() -> None:
    pause, first, second = Pause(), asyncio.Event(), asyncio.Event()
    things = {asyncio.ensure_future(each.wait()) for each in (first, second)}
    waiting = asyncio.ensure_future(wait_for_any(set(things), 5, pause.sleep))
    await turns()
    assert not waiting.done()
    first.set()
    await waiting
    await turns()
    assert (pause.asked, pause.is_cancelled) == ([5], True)
    assert sorted(each.done() for each in things) == [False, True]
    second.set()
    await asyncio.wait(things)


async def test_when_the_time_is_over_nothing_is_cancelled() -> None:
    pause = Pause()
    thing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(wait_for_any({thing}, 5, pause.sleep))
    await turns()
    pause.over.set()
    await waiting
    assert not thing.done()


async def test_what_fails_is_not_raised_by_waiting_for_it() -> None:
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(KeyError("gone"))
    await wait_for_any({failed}, 5, Pause().sleep)
    assert isinstance(failed.exception(), KeyError)


async def test_who_stops_waiting_stops_the_clock() -> None:
    pause = Pause()
    waiting = asyncio.ensure_future(wait_for_any({asyncio.get_running_loop().create_future()}, 5, pause.sleep))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await turns()
    assert pause.is_cancelled


async def fails(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


async def test_the_first_failure_is_noticed_and_the_next_ones_do_not_replace_it() -> None:
    tasks = Tasks()
    tasks.start(fails(KeyError("first")))
    tasks.start(fails(ValueError("second")))
    await turns()
    with pytest.raises(KeyError, match="first"):
        tasks.failed.result()
    await tasks.stop()


async def test_a_task_that_ends_well_or_is_cancelled_is_no_failure() -> None:
    tasks = Tasks()
    well, cancelled = tasks.start(asyncio.sleep(0, "done")), tasks.start(asyncio.Event().wait())
    cancelled.cancel()
    await turns()
    assert well.result() == "done"
    assert not tasks.failed.done()
    await tasks.stop()


async def test_stopping_waits_until_what_runs_has_ended() -> None:
    tasks, ended = Tasks(), list[str]()

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    tasks.start(works())
    await turns()
    await tasks.stop()
    assert ended == ["cleaned up"]
    assert tasks.failed.cancelled()


async def test_a_failure_that_nobody_waits_for_any_more_is_complained_about_by_nobody() -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tasks = Tasks()
    tasks.start(fails(KeyError("too late")))
    await turns()
    del tasks
    gc.collect()
    await turns()
    assert complaints == []
