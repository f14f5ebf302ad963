"""Work that a cancelled trigger has begun is brought to its end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_openai_realtime.triggers.carried_through import carry_through, despite_shutdown


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_waits_for_the_work() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("ended")

    await carry_through(work())
    assert done == ["ended"]


async def test_work_goes_on_however_often_the_waiting_is_cancelled() -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        done.set()

    waiting = asyncio.ensure_future(carry_through(work()))
    await turns()
    for _ in range(3):
        waiting.cancel()
        await turns()
    assert waiting.cancelled()
    go_on.set()
    await asyncio.wait_for(done.wait(), 30)


async def test_work_that_fails_is_raised_and_logged_also_when_it_is_waited_for_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("gone")

    with caplog.at_level(logging.ERROR):
        with pytest.raises(KeyError):
            await carry_through(fails())
        waiting = asyncio.ensure_future(carry_through(fails()))
        await asyncio.sleep(0)
        waiting.cancel()
        await turns()
    assert [record.message for record in caplog.records if "could not be ended" in record.message] == [
        "a killed task's call could not be ended"
    ] * 2


async def test_a_request_that_is_cut_off_is_sent_once_more_and_the_end_is_not_swallowed() -> None:
    sent: list[str] = []
    begun = asyncio.Event()

    async def send() -> str:
        sent.append("begun")
        if len(sent) == 1:
            begun.set()
            await asyncio.Event().wait()
        sent.append("ended")
        return "answer"

    task = asyncio.ensure_future(despite_shutdown(send))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent == ["begun", "begun", "ended"]


async def test_a_request_that_arrives_is_sent_once_and_one_that_fails_is_not_repeated() -> None:
    sent: list[str] = []

    async def send() -> str:
        sent.append("sent")
        if len(sent) == 2:
            raise KeyError("refused")
        return "answer"

    assert await despite_shutdown(send) == "answer"
    with pytest.raises(KeyError):
        await despite_shutdown(send)
    assert sent == ["sent"] * 2
