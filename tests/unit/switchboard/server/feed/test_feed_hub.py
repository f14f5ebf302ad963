"""Waking those who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from tests.unit.switchboard.support import until

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.feed import feed_hub
from airflow_openai_realtime.switchboard.server.feed.cursors import Cursor
from airflow_openai_realtime.switchboard.server.feed.feed_hub import FeedHub
from airflow_openai_realtime.switchboard.server.store.feed_rows import FeedPage

POLL_SECONDS = 0.005


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


class CountingHub(FeedHub):
    """Counts who has begun to wait: whoever has noted the generation misses nothing from then on."""

    begun = 0

    def generation(self, line: str) -> int:
        self.begun += 1
        return super().generation(line)

    async def wait_begun(self, amount: int = 1) -> None:
        await until(lambda: self.begun >= amount)


@pytest.fixture
async def hub(others: OtherWorkers) -> AsyncIterator[CountingHub]:
    made = CountingHub(others.end, others.since, poll_seconds=POLL_SECONDS)
    yield made
    await made.stop()


async def wait(hub: CountingHub, line: str = "support", timeout_seconds: float = 60.0) -> bool:
    """Whether something woke us before the time was over."""
    async with hub.attention():
        generation = hub.generation(line)
        await hub.wait(line, generation, timeout_seconds)
        return hub.generation(line) != generation


async def test_a_commit_of_this_worker_wakes_all_who_wait_for_the_line(hub: CountingHub) -> None:
    waiting = [asyncio.ensure_future(wait(hub)) for _ in range(10)]
    await hub.wait_begun(10)
    hub.ring("support")
    assert await asyncio.gather(*waiting) == [True] * 10


async def test_a_commit_of_another_worker_wakes_too(hub: CountingHub, others: OtherWorkers) -> None:
    waiting = asyncio.ensure_future(wait(hub))
    await hub.wait_begun()
    others.lines.append("support")
    assert await waiting


async def test_what_happens_on_another_line_wakes_nobody(hub: CountingHub, others: OtherWorkers) -> None:
    waiting = asyncio.ensure_future(wait(hub, timeout_seconds=0.05))
    await asyncio.sleep(0.02)
    others.lines.append("sales")
    hub.ring("sales")
    assert not await waiting


async def test_what_happened_after_the_look_and_before_the_wait_is_not_missed(hub: CountingHub) -> None:
    async with hub.attention():
        generation = hub.generation("support")
        hub.ring("support")
        await asyncio.wait_for(hub.wait("support", generation, 60), 30)


async def test_what_another_worker_commits_between_attention_and_wait_is_not_missed(
    hub: CountingHub, others: OtherWorkers
) -> None:
    async with hub.attention():
        generation = hub.generation("support")
        others.lines.append("support")
        await asyncio.sleep(0.02)
        await asyncio.wait_for(hub.wait("support", generation, 60), 30)


async def test_many_who_wait_cost_one_look(hub: CountingHub, others: OtherWorkers) -> None:
    begun = time.monotonic()
    waiting = [asyncio.ensure_future(wait(hub, timeout_seconds=0.1)) for _ in range(200)]
    await asyncio.gather(*waiting)
    assert others.looks <= 2 + (time.monotonic() - begun) / POLL_SECONDS


async def test_nobody_looks_while_nobody_waits(
    hub: CountingHub, others: OtherWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_hub, "LINGER_SECONDS", 0.02)
    assert others.looks == 0
    await wait(hub, timeout_seconds=0.01)
    await until(lambda: hub._looking is not None and hub._looking.done())
    looks = others.looks
    await asyncio.sleep(0.05)
    assert others.looks == looks
    # And whoever comes back is woken again.
    begun = hub.begun
    waiting = asyncio.ensure_future(wait(hub))
    await hub.wait_begun(begun + 1)
    others.lines.append("support")
    assert await waiting


async def test_a_store_that_goes_away_for_a_while_is_looked_at_again(
    hub: CountingHub, others: OtherWorkers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feed_hub, "PAUSE_AFTER_FAILURE_SECONDS", 0.005)
    waiting = asyncio.ensure_future(wait(hub))
    await hub.wait_begun()
    others.failure = StoreUnavailable("away")
    looks = others.looks
    await until(lambda: others.looks >= looks + 3)
    others.failure = None
    others.lines.append("support")
    assert await waiting
    assert caplog.text.count("feed.store_unavailable") == 1


async def test_a_store_that_is_away_from_the_start_is_an_error(hub: CountingHub, others: OtherWorkers) -> None:
    others.failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await wait(hub)
    assert hub.waiting == 0


async def test_closing_lets_everybody_go(hub: CountingHub) -> None:
    waiting = [asyncio.ensure_future(wait(hub, timeout_seconds=60)) for _ in range(3)]
    await hub.wait_begun(3)
    hub.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    await asyncio.wait_for(wait(hub, timeout_seconds=60), 30)
