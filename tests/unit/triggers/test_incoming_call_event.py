from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from airflow import __version__ as AIRFLOW_VERSION
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.serialization.encoders import encode_trigger
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow_world import CALLER, CONN_ID, OUR_NUMBER, World

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.inbound import feed as feeds
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call
from airflow_openai_realtime.triggers import ringing
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger

OTHER_NUMBER = "+14155550177"
PATH = "airflow_openai_realtime.triggers.incoming_call_event.IncomingCallTrigger"


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


async def two_more(fire: Callable[[], Awaitable[str]]) -> None:
    """One more may come while the claim is on its way, and no second one."""
    await fire()
    await fire()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


# -- as Airflow keeps it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trigger",
    [
        IncomingCallTrigger(),
        IncomingCallTrigger("+1415*", "+1*", {"X-Queue": "sales"}, 5, "other_conn"),
        IncomingCallTrigger(to="+1*", ring_again_seconds="20"),  # type: ignore[arg-type]
    ],
)
def test_it_is_made_again_from_json_and_is_then_the_same_to_airflow(trigger: IncomingCallTrigger) -> None:
    path, kwargs = trigger.serialize()
    again = IncomingCallTrigger(**json.loads(json.dumps(kwargs)))
    assert path == PATH
    assert again.serialize() == (path, kwargs)
    assert BaseEventTrigger.hash(path, kwargs) == BaseEventTrigger.hash(*again.serialize())
    assert encode_trigger(again) == encode_trigger(trigger)


def test_the_constructor_never_raises() -> None:
    IncomingCallTrigger(5, {}, "x", "soon", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"to": 5}, "to"),
        ({"headers": {"X-A": ""}}, "headers.X-A"),
        ({"headers": "not a dict"}, "headers"),
        ({"ring_again_seconds": 0.5}, "ring_again_seconds"),
        ({"ring_again_seconds": "soon"}, "ring_again_seconds"),
    ],
)
def test_what_cannot_be_used_is_an_import_error_of_the_dag(given: dict[str, Any], field: str) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    watcher = AssetWatcher(name="notifier", trigger=IncomingCallTrigger(**given))
    dag = DAG(dag_id="calls", schedule=[Asset("calls", watchers=[watcher])])
    with pytest.raises(Exception, match=field) as raised:
        DagSerialization.to_dict(dag)
    assert InvalidInput.__name__ in repr([raised.value, raised.value.__cause__, raised.value.__context__])


def test_streams_are_shared_from_airflow_3_3_on() -> None:
    has_streams = tuple(map(int, AIRFLOW_VERSION.split(".")[:2])) >= (3, 3)
    assert (IncomingCallTrigger().shared_stream_key() is not None) == has_streams


# -- ringing ----------------------------------------------------------------------------------------------------------


async def test_it_fires_for_each_call_and_says_nothing_personal(world: World) -> None:
    call_id = await ring(world)
    async with events_of(IncomingCallTrigger()) as events:
        event = await anext(events)
        row = await asyncio.to_thread(world.row, call_id)
        assert event.payload == {
            "call_id": call_id,
            "line": CONN_ID,
            "received_at": row.received_at.isoformat(),
        }
        assert CALLER not in repr(event)
        others = [await ring(world), await ring(world)]
        assert [await next_id(events), await next_id(events)] == others


async def test_it_fires_only_for_calls_that_match_and_for_none_of_a_campaign(world: World) -> None:
    await ring(world, to=OTHER_NUMBER)
    await ring(world, headers=[("X-Correlation-Id", "c1")])
    wanted = await ring(world)
    async with events_of(IncomingCallTrigger(to=OUR_NUMBER)) as events:
        assert await next_id(events) == wanted
        with pytest.raises(asyncio.TimeoutError):
            await next_id(events, seconds=0.3)


async def test_it_fires_again_until_the_call_is_claimed(world: World) -> None:
    call_id = await ring(world)
    async with events_of(IncomingCallTrigger(ring_again_seconds=1)) as events:
        assert [await next_id(events), await next_id(events)] == [call_id, call_id]

        def claim() -> None:
            with world.client() as client:
                client.send(claim_call(call_id, "somebody"))

        await asyncio.to_thread(claim)
        async with feeds.shared_feed((await RealtimeHook().aline()).switchboard) as feed:
            await until(lambda: not feed.ringing)
        with pytest.raises(asyncio.TimeoutError):
            await two_more(lambda: next_id(events, seconds=1.5))


async def test_moved_to_another_triggerer_it_fires_for_what_rings(world: World) -> None:
    call_id = await ring(world)
    for _ in range(2):
        async with events_of(IncomingCallTrigger(ring_again_seconds=60)) as events:
            assert await next_id(events) == call_id
        assert feeds._FEEDS.open_count() == 0


async def test_all_of_a_process_share_one_long_poll_and_take_nothing_from_those_who_wait(world: World) -> None:
    async with events_of(IncomingCallTrigger()) as one, events_of(IncomingCallTrigger(to=OUR_NUMBER)) as two:
        first = asyncio.ensure_future(next_id(one))
        second = asyncio.ensure_future(next_id(two))
        call_id = await ring(world)
        assert [await first, await second] == [call_id, call_id]
        assert feeds._FEEDS.open_count() == 1
    assert (await asyncio.to_thread(world.row, call_id)).state == "ringing"


# -- what goes wrong --------------------------------------------------------------------------------------------------


async def test_a_switchboard_that_is_away_for_a_while_loses_no_call(world: World, said: list[str]) -> None:
    async with events_of(IncomingCallTrigger(ring_again_seconds=60)) as events:
        waiting = asyncio.ensure_future(next_id(events))
        await until(lambda: feeds._FEEDS.open_count())
        with world.switchboard_away():
            await asyncio.sleep(0.5)
        call_id = await ring(world)
        assert await waiting == call_id


async def test_a_condition_that_cannot_be_used_keeps_quiet_and_alive(said: list[str]) -> None:
    trigger = IncomingCallTrigger(to=5)  # type: ignore[arg-type]
    assert trigger.shared_stream_key() is None
    event = asyncio.ensure_future(anext(trigger.run()))
    await until(lambda: said)
    assert (await asyncio.wait([event], timeout=0.2))[1] == {event}
    event.cancel()
    await asyncio.wait([event])
    assert len(said) == 1
    assert "to must be" in said[0]
