"""Following the calls of a line without end, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from airflow_world import CONN_ID, World

from airflow_openai_realtime.inbound import feed as feeds
from airflow_openai_realtime.triggers import ringing
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger
from airflow_openai_realtime.triggers.ringing import SparingReport, idle_for_ever


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringing, "FIRST_PAUSE_SECONDS", 0.05)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(IncomingCallTrigger, "_report", lambda _, line: lines.append(line))
    return lines


@asynccontextmanager
async def events_of(trigger: IncomingCallTrigger) -> AsyncIterator[AsyncIterator[TriggerEvent]]:
    """What a trigger yields on its own, as on Airflow 3.2."""
    _, kwargs = trigger.serialize()
    async with aclosing(IncomingCallTrigger(**json.loads(json.dumps(kwargs))).run()) as events:  # type: ignore[type-var]
        yield events


async def next_id(events: AsyncIterator[TriggerEvent], seconds: float = 60) -> str:
    event = await asyncio.wait_for(anext(events), seconds)
    call_id: str = event.payload["call_id"]
    return call_id


def ring(world: World, **kwargs: Any) -> Any:
    return asyncio.to_thread(world.ring, **kwargs)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_connection_that_is_missing_or_wrong_is_reported_once_and_waited_for(
    world: World, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = await ring(world)
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    async with events_of(IncomingCallTrigger()) as events:
        waiting = asyncio.ensure_future(next_id(events))
        await until(lambda: said)
        world.connect(switchboard_token="wrong")
        await asyncio.sleep(0.5)
        assert not waiting.done()
        world.connect()
        assert await waiting == call_id
    assert len(said) == 1
    assert f"there is no connection {CONN_ID}" in said[0]
    assert not any(secret in said[0] for secret in world.secrets)


async def test_a_changed_connection_is_used_after_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringing, "LOOK_UP_EVERY_SECONDS", 0.1)
    used: list[str] = []
    changed = asyncio.Event()
    shared_feed = ringing.shared_feed

    def noted(address: Any) -> Any:
        used.append(address.token)
        if address.token == "another":
            changed.set()
        return shared_feed(address)

    monkeypatch.setattr(ringing, "shared_feed", noted)
    async with events_of(IncomingCallTrigger(ring_again_seconds=60)) as events:
        call_id = await ring(world)
        assert await next_id(events) == call_id
        world.connect(switchboard_token="another")
        waiting = asyncio.ensure_future(next_id(events, seconds=60))
        await asyncio.wait_for(changed.wait(), 30)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
    assert used[0] == world.token


async def test_airflow_being_away_does_not_stop_the_ringing(
    world: World, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ringing, "LOOK_UP_EVERY_SECONDS", 0.1)
    async with events_of(IncomingCallTrigger(ring_again_seconds=60)) as events:
        waiting = asyncio.ensure_future(next_id(events))
        await until(lambda: feeds._FEEDS.open_count())
        monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
        await until(lambda: said)
        assert await ring(world) == await waiting
    assert "going on with it as it was" in said[0]


def test_trouble_is_reported_once_a_minute() -> None:
    now, said = [0.0], []
    report = SparingReport(said.append, lambda: now[0])
    for second in range(0, 181, 10):
        now[0] = second
        report(f"line {second}")
    assert said == ["line 0", "line 60", "line 120", "line 180"]


async def test_being_idle_is_reported_once_a_minute() -> None:
    said: list[str | float] = []

    async def sleep(seconds: float) -> None:
        said.append(seconds)
        if len(said) == 6:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await idle_for_ever("so it is", said.append, sleep)
    assert said == ["so it is", 60.0] * 3
