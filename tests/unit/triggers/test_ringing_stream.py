"""The shared stream in Airflow's own manager of such streams, which needs Airflow 3.3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from airflow_world import OUR_NUMBER, World, until

from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.inbound import feed as feeds
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger
from airflow_openai_realtime.version_compat import has_acknowledged_streams

OTHER_NUMBER = "+14155550177"

if has_acknowledged_streams():
    from airflow.triggers.shared_stream import AckTimeout, AdvanceItem, AdvanceOutcome, SharedStreamManager

    from airflow_openai_realtime.triggers import ringing_stream
    from airflow_openai_realtime.triggers.ringing_stream import RingingStream
else:
    pytest.skip("needs Airflow 3.3", allow_module_level=True)


class Triggerer:
    """What the triggerer does with triggers that share a stream."""

    def __init__(self, **settings: Any) -> None:
        self.streams = SharedStreamManager(**settings)
        self._ids = iter(range(1000))

    @asynccontextmanager
    async def running(self, trigger: IncomingCallTrigger) -> AsyncIterator[Running]:
        """Run a trigger as the triggerer does."""
        trigger_id, key = next(self._ids), trigger.shared_stream_key()
        stream = self.streams.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async with aclosing(trigger.filter_shared_stream(stream)) as events:  # type: ignore[type-var]
                yield Running(self, trigger_id, key, events)
        finally:
            await self.streams.unsubscribe(trigger_id, key)


class Running:
    """One trigger that runs."""

    def __init__(self, triggerer: Triggerer, trigger_id: int, key: Any, events: AsyncIterator[TriggerEvent]) -> None:
        self._streams = triggerer.streams
        self._trigger_id = trigger_id
        self._key = key
        self._events = events

    async def next_id(self, *, stored: bool = True, seconds: float = 60) -> str:
        """The call of the next event; Airflow stores the event, or does not."""
        event = await asyncio.wait_for(anext(self._events), seconds)
        seq = self._streams.bind_pending_event(trigger_id=self._trigger_id, key=self._key)
        assert seq is not None
        if stored:
            self._streams.confirm_persisted([seq])
        call_id: str = event.payload["call_id"]
        return call_id


def ring(world: World, **kwargs: Any) -> Any:
    return asyncio.to_thread(world.ring, **kwargs)


async def two_more(running: Running) -> None:
    """One more may come while the claim is on its way, and no second one."""
    for _ in range(2):
        await running.next_id(seconds=1.5)


def test_triggers_of_one_connection_and_pace_share_a_stream() -> None:
    key = IncomingCallTrigger(to="+1*").shared_stream_key()
    assert key is not None
    assert key == IncomingCallTrigger(to="+49*").shared_stream_key()
    assert key != IncomingCallTrigger(openai_realtime_conn_id="other").shared_stream_key()
    assert key != IncomingCallTrigger(ring_again_seconds=30).shared_stream_key()
    assert hash(key)


async def test_each_trigger_fires_for_its_own_calls_of_the_stream(world: World) -> None:
    triggerer = Triggerer()
    ours, other = IncomingCallTrigger(to=OUR_NUMBER), IncomingCallTrigger(to=OTHER_NUMBER)
    async with triggerer.running(ours) as one, triggerer.running(other) as two:
        first, second = await ring(world), await ring(world, to=OTHER_NUMBER)
        assert await one.next_id() == first
        assert await two.next_id() == second
        assert feeds._FEEDS.open_count() == 1
    assert feeds._FEEDS.open_count() == 0


async def test_it_fires_again_until_the_call_is_claimed(world: World) -> None:
    call_id = await ring(world)
    async with Triggerer().running(IncomingCallTrigger(ring_again_seconds=1)) as running:
        assert [await running.next_id(), await running.next_id()] == [call_id, call_id]

        def claim() -> None:
            with world.client() as client:
                client.send(claim_call(call_id, "somebody"))

        await asyncio.to_thread(claim)
        async with feeds.shared_feed((await RealtimeHook().aline()).switchboard) as feed:
            await until(world, lambda: not feed.ringing)
        with pytest.raises(asyncio.TimeoutError):
            await two_more(running)


async def test_an_event_that_airflow_did_not_store_is_repeated_soon(world: World) -> None:
    call_id = await ring(world)
    triggerer = Triggerer(ack_timeout=3)
    async with (
        triggerer.running(IncomingCallTrigger(to="+1*", ring_again_seconds=60)) as lucky,
        triggerer.running(IncomingCallTrigger(to="+*", ring_again_seconds=60)) as unlucky,
    ):
        assert await lucky.next_id() == call_id
        assert await unlucky.next_id(stored=False) == call_id
        again = asyncio.ensure_future(lucky.next_id())
        with pytest.raises(AckTimeout):
            await unlucky.next_id()
        assert await again == call_id


async def test_a_trigger_that_starts_anew_fires_for_what_rings(world: World) -> None:
    call_id = await ring(world)
    triggerer = Triggerer()
    for _ in range(2):
        async with triggerer.running(IncomingCallTrigger(ring_again_seconds=60)) as running:
            assert await running.next_id() == call_id


async def test_one_call_never_waits_for_another_to_be_stored() -> None:
    stream = RingingStream("conn", 15)
    assert stream.get_advance_lane("rtc_1") != stream.get_advance_lane("rtc_2")


async def test_more_calls_than_a_trigger_can_queue_are_held_back_until_others_are_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ringing_stream, "MOST_UNDER_WAY", 2)
    ids = [await ring(world) for _ in range(3)]
    stream = RingingStream("openai_realtime_default", 60)
    async with aclosing(stream.open_stream()) as rung:  # type: ignore[type-var]
        assert [(await anext(rung))[1] for _ in range(2)] == ids[:2]
        third = asyncio.ensure_future(anext(rung))
        await asyncio.sleep(0.3)
        assert not third.done()
        await stream.advance([AdvanceItem(ids[0], AdvanceOutcome(acked=1, failed=0))])
        assert (await third)[1] == ids[2]


async def test_a_trigger_that_hangs_holds_the_others_back_only_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ringing_stream, "MOST_UNDER_WAY", 1)
    monkeypatch.setattr(ringing_stream, "LONGEST_HOLD_SECONDS", 0.2)
    ids = [await ring(world) for _ in range(3)]
    async with aclosing(RingingStream("openai_realtime_default", 60).open_stream()) as rung:  # type: ignore[type-var]
        assert [(await anext(rung))[1] for _ in range(3)] == ids
