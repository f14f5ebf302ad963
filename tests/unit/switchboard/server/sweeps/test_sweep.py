"""The sweep: its rhythm, its work on single calls, and that no failure ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.unit.switchboard.support import Clock, until

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.sweeps.sweep import Sweep

HOUR = 3600.0


class Rounds:
    """Counts rounds; the first ones may fail."""

    def __init__(self, *failures: Exception) -> None:
        self.made = 0
        self.failures = list(failures)

    async def __call__(self) -> None:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)


def make(look: Callable[[], Awaitable[object]], every_seconds: float = HOUR, **options: Any) -> Sweep:
    return Sweep("test", look, Clock(), every_seconds, **options)


async def stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


class Jobs:
    """Work on calls that ends when it may."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over: list[str] = []
        self.may_end = asyncio.Event()

    def on(self, call_id: str) -> Callable[[], Any]:
        async def work() -> None:
            self.begun.append(call_id)
            await self.may_end.wait()
            self.over.append(call_id)

        return work


async def test_rounds_follow_each_other_after_the_pause() -> None:
    rounds = Rounds()
    running = asyncio.ensure_future(make(rounds, 0.001).run())
    await until(lambda: rounds.made >= 3)
    await stop(running)


async def test_a_round_comes_at_once_when_it_is_asked_for() -> None:
    rounds = Rounds()
    sweep = make(rounds)
    running = asyncio.ensure_future(sweep.run())
    await until(lambda: rounds.made == 1)
    await asyncio.sleep(0.02)
    assert rounds.made == 1
    sweep.soon()
    await until(lambda: rounds.made == 2)
    await stop(running)


async def test_what_is_asked_for_during_a_round_is_found_by_the_next_one() -> None:
    looks: list[Sweep] = []

    async def look() -> None:
        looks.append(sweep)
        if len(looks) == 1:
            sweep.soon()

    sweep = make(look)
    running = asyncio.ensure_future(sweep.run())
    await until(lambda: len(looks) == 2)
    await stop(running)


async def test_the_first_round_may_come_later() -> None:
    rounds = Rounds()
    sweep = make(rounds, 0.001, first_after_seconds=HOUR)
    running = asyncio.ensure_future(sweep.run())
    await asyncio.sleep(0.02)
    assert rounds.made == 0
    sweep.soon()
    await until(lambda: rounds.made >= 2)
    await stop(running)


async def test_a_sweep_can_be_cancelled_at_the_moment_it_is_woken() -> None:
    rounds = Rounds()
    sweep = make(rounds)
    running = asyncio.ensure_future(sweep.run())
    await until(lambda: rounds.made == 1)
    await asyncio.sleep(0)
    sweep.soon()
    await stop(running)


async def test_no_failure_ends_a_sweep_and_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    away, again = StoreUnavailable("away"), StoreUnavailable("away again")
    rounds = Rounds(away, away, away, RuntimeError("a mistake"), again)
    sweep = make(rounds, 0.001)
    running = asyncio.ensure_future(sweep.run())
    await until(lambda: sweep.last_at is not None)
    rounds.failures = [again]
    await until(lambda: not rounds.failures)
    await stop(running)
    assert caplog.text.count("test.store_unavailable error=away") == 1
    assert caplog.text.count('test.store_unavailable error="away again"') == 1
    assert caplog.text.count("test.sweep_failed") == 1


async def test_only_a_round_that_succeeds_counts_as_the_last_one() -> None:
    sweep = make(Rounds(StoreUnavailable("away")))
    with pytest.raises(StoreUnavailable):
        await sweep.once()
    assert sweep.last_at is None
    await sweep.once()
    assert sweep.last_at == Clock()()


async def test_work_on_a_call_goes_on_beside_the_rounds_and_is_begun_once() -> None:
    rounds, jobs = Rounds(), Jobs()
    sweep = make(rounds, 0.001)
    sweep.begin(("support", "rtc_1"), jobs.on("rtc_1"))
    sweep.begin(("support", "rtc_1"), jobs.on("rtc_1 again"))
    running = asyncio.ensure_future(sweep.run())
    await until(lambda: rounds.made >= 2)
    assert (jobs.begun, sweep.is_working_on(("support", "rtc_1"))) == (["rtc_1"], True)
    jobs.may_end.set()
    await sweep.settled()
    assert (jobs.over, sweep.is_working_on(("support", "rtc_1"))) == (["rtc_1"], False)
    sweep.begin(("support", "rtc_1"), jobs.on("rtc_1 later"))
    await sweep.settled()
    assert jobs.over == ["rtc_1", "rtc_1 later"]
    await stop(running)


async def test_a_line_works_on_so_many_calls_at_once_and_holds_up_no_other_line() -> None:
    jobs = Jobs()
    sweep = make(Rounds(), calls_at_once=2)
    for number in range(5):
        sweep.begin(("support", f"rtc_{number}"), jobs.on(f"rtc_{number}"))
    sweep.begin(("sales", "rtc_9"), jobs.on("rtc_9"))
    await until(lambda: len(jobs.begun) >= 3)
    await asyncio.sleep(0.01)
    assert jobs.begun == ["rtc_0", "rtc_1", "rtc_9"]
    jobs.may_end.set()
    await sweep.settled()
    assert sorted(jobs.over) == ["rtc_0", "rtc_1", "rtc_2", "rtc_3", "rtc_4", "rtc_9"]


async def test_a_call_that_fails_reaches_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs()
    jobs.may_end.set()
    sweep = make(Rounds())

    async def away() -> None:
        raise StoreUnavailable("away")

    async def mistaken() -> None:
        raise RuntimeError("a mistake")

    sweep.begin(("support", "rtc_1"), away)
    sweep.begin(("support", "rtc_2"), mistaken)
    sweep.begin(("support", "rtc_3"), jobs.on("rtc_3"))
    await sweep.settled()
    assert jobs.over == ["rtc_3"]
    assert "test.store_unavailable line=support call_id=rtc_1 error=away" in caplog.text
    assert "test.failed line=support call_id=rtc_2" in caplog.text


async def test_leases_are_kept_on_what_takes_longer_than_a_round() -> None:
    jobs, renewed = Jobs(), list[Sequence[tuple[str, str]]]()

    async def renew(keys: Sequence[tuple[str, str]]) -> None:
        renewed.append(keys)

    sweep = make(Rounds(), calls_at_once=9, renew=renew)
    sweep.begin(("support", "rtc_1"), jobs.on("rtc_1"))
    await sweep.once()
    assert renewed == []  # its lease is fresh
    sweep.begin(("support", "rtc_2"), jobs.on("rtc_2"))
    await sweep.once()
    await sweep.once()
    assert renewed == [[("support", "rtc_1")], [("support", "rtc_1"), ("support", "rtc_2")]]
    jobs.may_end.set()
    await sweep.settled()
    await sweep.once()
    assert len(renewed) == 2


async def test_a_lease_that_cannot_be_kept_fails_the_round() -> None:
    rounds, jobs = Rounds(), Jobs()

    async def renew(keys: Sequence[tuple[str, str]]) -> None:
        raise StoreUnavailable("away")

    sweep = make(rounds, renew=renew)
    sweep.begin(("support", "rtc_1"), jobs.on("rtc_1"))
    await sweep.once()
    with pytest.raises(StoreUnavailable):
        await sweep.once()
    assert rounds.made == 1
    await sweep.close()


async def test_closing_lets_work_end_in_time_and_breaks_off_the_rest() -> None:
    jobs = Jobs()
    sweep = make(Rounds(), calls_at_once=2)
    sweep.begin(("support", "rtc_1"), jobs.on("rtc_1"))
    closing = asyncio.ensure_future(sweep.close(HOUR))
    await until(lambda: jobs.begun)
    assert not closing.done()
    jobs.may_end.set()
    await closing
    assert jobs.over == ["rtc_1"]
    jobs.may_end.clear()
    sweep.begin(("support", "rtc_2"), jobs.on("rtc_2"))
    await until(lambda: len(jobs.begun) == 2)
    await sweep.close(0.01)
    assert jobs.over == ["rtc_1"]
    assert not sweep.is_working_on(("support", "rtc_2"))
