from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

from airflow_openai_realtime.conversation.run.timers import Alarm

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = NOW
        self.rang: list[float] = []
        self.sleeps = 0
        self.alarm = Alarm(self.ring, lambda: self.now, self.sleep, asyncio.ensure_future)

    def ring(self) -> None:
        self.rang.append((self.now - NOW).total_seconds())

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await asyncio.sleep(0)
        self.now += timedelta(seconds=seconds)

    def set(self, seconds: float) -> None:
        self.alarm.set(NOW + timedelta(seconds=seconds))


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_rings_when_its_time_has_come() -> None:
    clock = Clock()
    clock.set(5)
    await turns()
    assert clock.rang == [5]


async def test_a_time_that_moves_back_costs_nothing() -> None:
    clock = Clock()
    for seconds in range(5, 100):
        clock.set(seconds)
    await turns()
    assert (clock.rang, clock.sleeps) == ([5], 1)


async def test_an_earlier_time_takes_the_place_of_a_later_one() -> None:
    clock = Clock()
    clock.set(50)
    clock.set(5)
    await turns()
    assert clock.rang == [5]


async def test_it_can_be_set_again_while_it_rings() -> None:
    clock = Clock()
    first = clock.ring

    def again() -> None:
        first()
        if len(clock.rang) < 3:
            clock.set(10 * len(clock.rang) + 5)

    clock.alarm._ring = again
    clock.set(5)
    await turns()
    await turns()
    assert clock.rang == [5, 15, 25]


async def test_stopped_it_does_not_ring() -> None:
    clock = Clock()
    clock.set(5)
    clock.alarm.set(None)
    clock.alarm.stop()
    await turns()
    assert clock.rang == []
