from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow_world import CARRIER_CONN_ID, CONN_ID, World

from airflow_openai_realtime.calls import shared_clients
from airflow_openai_realtime.switchboard.client import AsyncSwitchboardClient
from airflow_openai_realtime.triggers import pacing
from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger


def trigger(*, seconds: float = 10, claimant: str = "me", **kwargs: Any) -> WaitForCallTrigger:
    return WaitForCallTrigger(
        **{"openai_realtime_conn_id": CONN_ID, "match": {}, "claimant": claimant, "deadline": time.time() + seconds}
        | kwargs
    )


async def fired(waiting: WaitForCallTrigger) -> dict[str, Any]:
    events = [event.payload async for event in waiting.run()]
    assert len(events) == 1
    return events[0]


@pytest.fixture
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def test_it_is_made_again_from_json() -> None:
    path, kwargs = trigger(telephony_carrier_conn_id=CARRIER_CONN_ID, carrier_call_id="CA1").serialize()
    assert path == "airflow_openai_realtime.triggers.wait_for_call.WaitForCallTrigger"
    assert WaitForCallTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)


def test_the_constructor_never_raises() -> None:
    WaitForCallTrigger(None, None, None, None)  # type: ignore[arg-type]


async def test_an_event_does_not_come_within_the_first_second(world: World) -> None:
    await asyncio.to_thread(world.ring)
    started = time.monotonic()
    assert (await fired(trigger()))["status"] == "claimed"
    assert time.monotonic() - started >= 0.95


@pytest.mark.usefixtures("_no_settling")
async def test_the_event_names_the_call_and_nothing_personal(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring)
    assert await fired(trigger()) == {"status": "claimed", "call_id": call_id}


@pytest.mark.usefixtures("_no_settling")
async def test_the_deadline_is_its_own(world: World) -> None:
    assert (await fired(trigger(seconds=0.05)))["status"] == "timeout"


@pytest.mark.usefixtures("_no_settling")
async def test_a_deadline_that_passed_while_no_triggerer_lived_still_looks_once(world: World) -> None:
    assert (await fired(trigger(seconds=-100)))["status"] == "timeout"


@pytest.mark.usefixtures("_no_settling")
@pytest.mark.parametrize(
    ("problem", "text"),
    [
        ({"openai_realtime_conn_id": "nowhere"}, "there is no connection nowhere"),
        ({"match": {"to": ""}}, "to must be"),
        ({"match": {"shoe_size": "44"}}, "unknown condition"),
    ],
)
async def test_what_waiting_cannot_mend_is_told(world: World, problem: dict[str, Any], text: str) -> None:
    event = await fired(trigger(**problem))
    assert event["status"] == "error"
    assert text in event["message"]


@pytest.mark.usefixtures("_no_settling")
async def test_a_refused_token_is_told(world: World) -> None:
    world.connect(switchboard_token="wrong-token")
    event = await fired(trigger())
    assert event["status"] == "error"
    assert "refused the token" in event["message"]
    assert "wrong-token" not in event["message"]


@pytest.mark.usefixtures("_no_settling")
async def test_fifty_triggers_share_one_poll_and_close_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    polls, at_once, most = 0, 0, 0
    calls = AsyncSwitchboardClient.calls

    async def counted(self: AsyncSwitchboardClient, **kwargs: Any) -> Any:
        nonlocal polls, at_once, most
        polls += kwargs.get("claimed_by") is None
        at_once += kwargs.get("claimed_by") is None
        most = max(most, at_once)
        try:
            return await calls(self, **kwargs)
        finally:
            at_once -= kwargs.get("claimed_by") is None

    monkeypatch.setattr(AsyncSwitchboardClient, "calls", counted)
    waiting = [asyncio.create_task(fired(trigger(seconds=1.5, claimant=f"task{number}"))) for number in range(50)]
    await asyncio.sleep(0.5)
    assert shared_clients._FEEDS.open_count() == 1
    events = await asyncio.gather(*waiting)
    assert {event["status"] for event in events} == {"timeout"}
    assert (polls <= 3, most) == (True, 1)
    assert shared_clients._FEEDS.open_count() == 0


@pytest.mark.usefixtures("_no_settling")
async def test_a_cancelled_trigger_leaves_nothing_open_and_its_call_to_others(world: World) -> None:
    first = asyncio.create_task(fired(trigger(claimant="first")))
    second = asyncio.create_task(fired(trigger(claimant="second")))
    await asyncio.sleep(0.2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    call_id = await asyncio.to_thread(world.ring)
    assert (await second)["call_id"] == call_id
    assert shared_clients._FEEDS.open_count() == 0


@pytest.mark.usefixtures("_no_settling")
async def test_moved_to_another_triggerer_it_finds_the_call_that_it_had_claimed(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring)
    await fired(trigger())
    await asyncio.to_thread(world.ring, "+14155550199")
    assert (await fired(trigger()))["call_id"] == call_id


@pytest.mark.usefixtures("_no_settling")
async def test_a_switchboard_that_cannot_be_reached_shows_in_the_task_s_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect(switchboard_url="http://127.0.0.1:9")
    waiting, said = trigger(seconds=3), []
    monkeypatch.setattr(waiting, "_report", said.append)
    assert (await fired(waiting))["status"] == "timeout"
    assert [line for line in said if "cannot be reached" in line and "127.0.0.1:9" in line]
    assert len(said) == 1


@pytest.mark.usefixtures("_no_settling")
async def test_a_switchboard_that_comes_back_is_used_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, failures = AsyncSwitchboardClient.calls, []

    async def failing_at_first(self: AsyncSwitchboardClient, **kwargs: Any) -> Any:
        from airflow_openai_realtime.exceptions import SwitchboardUnreachable

        if len(failures) < 2:
            failures.append(kwargs)
            raise SwitchboardUnreachable("restarting")
        return await calls(self, **kwargs)

    monkeypatch.setattr(AsyncSwitchboardClient, "calls", failing_at_first)
    call_id = await asyncio.to_thread(world.ring)
    assert (await fired(trigger()))["call_id"] == call_id


def test_neither_class_nor_arguments_hold_a_secret(world: World) -> None:
    shown = repr(trigger()) + json.dumps(trigger().serialize())
    assert not [secret for secret in world.secrets if secret in shown]
