"""Waking those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from airflow_openai_realtime.switchboard import feed_hub
from airflow_openai_realtime.switchboard.cursors import Cursor
from airflow_openai_realtime.switchboard.errors import StoreUnavailable
from airflow_openai_realtime.switchboard.feed_hub import FeedHub
from airflow_openai_realtime.switchboard.store.feed import FeedPage


class OtherWorkers:
    """A feed into which other workers write."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.looks = 0
        self.failure: Exception | None = None

    async def end(self) -> Cursor:
        if self.failure is not None:
            raise self.failure
        return Cursor(len(self.lines))

    async def since(self, cursor: Cursor) -> FeedPage:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        changes = tuple((line, "rtc_1") for line in self.lines[cursor.high :])
        return FeedPage(changes, Cursor(len(self.lines)), is_full=False)


@pytest.fixture
def others() -> OtherWorkers:
    return OtherWorkers()


@pytest.fixture
async def hub(others: OtherWorkers) -> AsyncIterator[FeedHub]:
    made = FeedHub(others.end, others.since, poll_seconds=0.005)
    yield made
    await made.stop()


async def wait(hub: FeedHub, line: str = "support", timeout_seconds: float = 5.0) -> bool:
    """Whether something woke us before the time was over."""
    async with hub.attention():
        generation = hub.generation(line)
        await hub.wait(line, generation, timeout_seconds)
        return hub.generation(line) != generation


async def test_a_commit_of_this_worker_wakes_all_who_wait_for_the_line(hub: FeedHub) -> None:
    waiting = [asyncio.ensure_future(wait(hub)) for _ in range(10)]
    await asyncio.sleep(0.02)
    hub.ring("support")
    assert await asyncio.gather(*waiting) == [True] * 10


async def test_a_commit_of_another_worker_wakes_too(hub: FeedHub, others: OtherWorkers) -> None:
    waiting = asyncio.ensure_future(wait(hub))
    await asyncio.sleep(0.02)
    others.lines.append("support")
    assert await waiting


async def test_what_happens_on_another_line_wakes_nobody(hub: FeedHub, others: OtherWorkers) -> None:
    waiting = asyncio.ensure_future(wait(hub, timeout_seconds=0.05))
    await asyncio.sleep(0.02)
    others.lines.append("sales")
    hub.ring("sales")
    assert not await waiting


async def test_what_happened_after_the_look_and_before_the_wait_is_not_missed(hub: FeedHub) -> None:
    async with hub.attention():
        generation = hub.generation("support")
        hub.ring("support")
        await asyncio.wait_for(hub.wait("support", generation, 60), 1)


async def test_what_another_worker_commits_between_attention_and_wait_is_not_missed(
    hub: FeedHub, others: OtherWorkers
) -> None:
    async with hub.attention():
        generation = hub.generation("support")
        others.lines.append("support")
        await asyncio.sleep(0.02)
        await asyncio.wait_for(hub.wait("support", generation, 60), 1)


async def test_many_who_wait_cost_one_look(hub: FeedHub, others: OtherWorkers) -> None:
    waiting = [asyncio.ensure_future(wait(hub, timeout_seconds=0.1)) for _ in range(200)]
    await asyncio.gather(*waiting)
    assert others.looks < 40


async def test_nobody_looks_while_nobody_waits(
    hub: FeedHub, others: OtherWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_hub, "LINGER_SECONDS", 0.02)
    assert others.looks == 0
    await wait(hub, timeout_seconds=0.01)
    await asyncio.sleep(0.1)
    looks = others.looks
    await asyncio.sleep(0.05)
    assert others.looks == looks
    # And whoever comes back is woken again.
    waiting = asyncio.ensure_future(wait(hub))
    await asyncio.sleep(0.02)
    others.lines.append("support")
    assert await waiting


async def test_a_store_that_goes_away_for_a_while_is_looked_at_again(
    hub: FeedHub, others: OtherWorkers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feed_hub, "PAUSE_AFTER_FAILURE_SECONDS", 0.005)
    waiting = asyncio.ensure_future(wait(hub))
    await asyncio.sleep(0.02)
    others.failure = StoreUnavailable("away")
    await asyncio.sleep(0.05)
    others.failure = None
    others.lines.append("support")
    assert await waiting
    assert caplog.text.count("feed.store_unavailable") == 1


async def test_a_store_that_is_away_from_the_start_is_an_error(hub: FeedHub, others: OtherWorkers) -> None:
    others.failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await wait(hub)
    assert hub.waiting == 0


async def test_closing_lets_everybody_go(hub: FeedHub) -> None:
    waiting = [asyncio.ensure_future(wait(hub, timeout_seconds=60)) for _ in range(3)]
    await asyncio.sleep(0.02)
    hub.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    await asyncio.wait_for(wait(hub, timeout_seconds=60), 1)
