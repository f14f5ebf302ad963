"""A trigger's event comes no sooner than a second after the trigger began."""

from __future__ import annotations

import asyncio

import pytest

from airflow_openai_realtime.triggers.pacing import settling


@pytest.mark.parametrize(("seconds", "left"), [(0.0, [1.0]), (0.75, [0.25]), (1.0, []), (60.0, [])])
async def test_only_what_is_left_of_the_second_is_waited_for(seconds: float, left: list[float]) -> None:
    now, slept = [1000.0], []

    async def sleep(pause: float) -> None:
        slept.append(pause)

    async with settling(now=lambda: now[0], sleep=sleep):
        now[0] += seconds
    assert slept == left


async def test_the_clock_is_the_event_loops() -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with settling():
        pass
    assert loop.time() - begun >= 0.99


async def test_an_error_is_not_held_back() -> None:
    slept: list[float] = []

    async def sleep(pause: float) -> None:
        slept.append(pause)

    with pytest.raises(ZeroDivisionError):
        async with settling(sleep=sleep):
            raise ZeroDivisionError
    assert slept == []
