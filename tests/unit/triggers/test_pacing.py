"""A trigger's event comes no sooner than a second after the trigger began."""

from __future__ import annotations

import asyncio

import pytest

from airflow_openai_realtime.triggers import pacing
from airflow_openai_realtime.triggers.pacing import Settling


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times: list[float] = []

    async def sleep(seconds: float) -> None:
        times.append(seconds)

    monkeypatch.setattr(pacing.asyncio, "sleep", sleep)
    return times


async def waited(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Wait, ``seconds`` after the trigger has begun."""
    loop = asyncio.get_running_loop()
    now = [1000.0]
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: now[0])
        settling = Settling()
        now[0] += seconds
        await settling.wait()


@pytest.mark.parametrize(("seconds", "left"), [(0.0, [1.0]), (0.75, [0.25]), (1.0, []), (60.0, [])])
async def test_only_what_is_left_of_the_second_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, slept: list[float], seconds: float, left: list[float]
) -> None:
    await waited(monkeypatch, seconds)
    assert slept == left
