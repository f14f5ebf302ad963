from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from airflow_world import CALLER, CONN_ID, OUR_NUMBER, World, until

from airflow_openai_realtime.api import network
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.api.session.realtime_session import parse_session
from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.inbound import feed as feeds
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.testing.local_airflow import CARRIER_CONN_ID
from airflow_openai_realtime.triggers import pacing
from airflow_openai_realtime.triggers import wait_for_call as under_test
from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger


def trigger(*, seconds: float = 60, owner: str = "me", **kwargs: Any) -> WaitForCallTrigger:
    return WaitForCallTrigger(
        **{"openai_realtime_conn_id": CONN_ID, "match": {}, "claimant": owner, "deadline": time.time() + seconds}
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
    path, kwargs = trigger(
        telephony_carrier_conn_id=CARRIER_CONN_ID, carrier_call_id="CA1", attempt_id="at_1"
    ).serialize()
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
    asend = SwitchboardClient.asend

    async def counted(self: SwitchboardClient, request: Request[Any]) -> Any:
        nonlocal polls, at_once, most
        is_poll = request.operation == "list_calls" and "claimed_by" not in request.params
        polls += is_poll
        at_once += is_poll
        most = max(most, at_once)
        try:
            return await asend(self, request)
        finally:
            at_once -= is_poll

    monkeypatch.setattr(SwitchboardClient, "asend", counted)
    waiting = [asyncio.create_task(fired(trigger(seconds=5, owner=f"task{number}"))) for number in range(50)]
    await until(world, lambda: at_once)
    assert feeds._FEEDS.open_count() == 1
    events = await asyncio.gather(*waiting)
    assert {event["status"] for event in events} == {"timeout"}
    assert (polls <= 3, most) == (True, 1)
    assert feeds._FEEDS.open_count() == 0


@pytest.mark.usefixtures("_no_settling")
async def test_a_cancelled_trigger_leaves_nothing_open_and_its_call_to_others(world: World) -> None:
    first = asyncio.create_task(fired(trigger(owner="first")))
    second = asyncio.create_task(fired(trigger(owner="second")))
    await asyncio.sleep(0.2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    call_id = await asyncio.to_thread(world.ring)
    assert (await second)["call_id"] == call_id
    assert feeds._FEEDS.open_count() == 0


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
    waiting, said = trigger(seconds=6), []
    monkeypatch.setattr(waiting, "_report", said.append)
    assert (await fired(waiting))["status"] == "timeout"
    assert [line for line in said if "cannot be reached" in line and "127.0.0.1:9" in line]
    assert len(said) == 1


@pytest.mark.usefixtures("_no_settling")
async def test_a_switchboard_that_comes_back_is_used_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asend, failures = SwitchboardClient.asend, []

    async def failing_at_first(self: SwitchboardClient, request: Request[Any]) -> Any:
        from airflow_openai_realtime.exceptions import SwitchboardUnreachable

        if request.operation == "list_calls" and len(failures) < 2:
            failures.append(request)
            raise SwitchboardUnreachable("restarting")
        return await asend(self, request)

    monkeypatch.setattr(SwitchboardClient, "asend", failing_at_first)
    call_id = await asyncio.to_thread(world.ring)
    assert (await fired(trigger()))["call_id"] == call_id


def test_neither_class_nor_arguments_hold_a_secret(world: World) -> None:
    shown = repr(trigger()) + json.dumps(trigger().serialize())
    assert not [secret for secret in world.secrets if secret in shown]


# -- answering --------------------------------------------------------------------------------------------------------

TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "server_url": "https://crm.example.com",
    "authorization": "oauth-very-secret",
    "require_approval": "never",
}


def answering(world: World, *, max_duration_seconds: float = 600, **kwargs: Any) -> WaitForCallTrigger:
    session = parse_session(instructions="The number is {number}.", tools=[TOOL])
    plan = AnswerPlan.of(session, max_duration_seconds, {"number": "from_number"})
    return trigger(answer=plan.seal(world.simulator.api_key), **kwargs)


def ring(world: World) -> str:
    return world.ring(script=PhoneScript.talks_for_ever())


async def test_the_call_is_accepted_at_once_and_only_the_event_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling, settled = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def until_settled() -> AsyncIterator[None]:
        yield
        settling.set()
        await settled.wait()

    monkeypatch.setattr(under_test, "settling", until_settled)
    call_id = await asyncio.to_thread(ring, world)
    running = asyncio.create_task(fired(answering(world, seconds=90)))
    await asyncio.wait_for(settling.wait(), 30)
    assert world.row(call_id).state == "accepted"
    assert world.is_open(call_id)
    assert not running.done()
    settled.set()
    assert await running == {"status": "accepted", "call_id": call_id}


@pytest.mark.usefixtures("_no_settling")
async def test_neither_secret_nor_number_shows_in_what_airflow_keeps_and_logs(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = answering(world)
    running = asyncio.create_task(fired(waiting))
    await asyncio.to_thread(ring, world)
    event = await running
    seen = json.dumps(waiting.serialize()) + repr(waiting) + json.dumps(event) + "".join(capsys.readouterr())
    hidden = (*world.secrets, CALLER, OUR_NUMBER, "very-secret", "The number is")
    assert not [text for text in hidden if text in seen]
    assert waiting.answer is not None
    assert waiting.answer not in repr(waiting)


@pytest.mark.usefixtures("_no_settling")
async def test_when_the_key_has_changed_the_task_is_told_to_start_again(world: World) -> None:
    waiting = answering(world)
    waiting.answer = AnswerPlan.of(parse_session(), 600).seal("sk-the-key-of-before")
    event = await fired(waiting)
    assert event["status"] == "error"
    assert "Let the task start again" in event["message"]


@pytest.mark.usefixtures("_no_settling")
async def test_a_refused_session_is_told(world: World) -> None:
    world.simulator.faults.status("accept", 400)
    call_id = await asyncio.to_thread(ring, world)
    event = await fired(answering(world))
    assert event["status"] == "error"
    assert call_id in event["message"]
    assert (world.row(call_id).state, world.row(call_id).end_reason) == ("ringing", "accept_failed")


@pytest.mark.usefixtures("_no_settling")
async def test_moved_to_another_triggerer_while_its_event_waits_it_fires_again_for_the_same_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 60.0)
    moved = asyncio.create_task(fired(answering(world)))
    call_id = await asyncio.to_thread(ring, world)
    await until(world, lambda: world.row(call_id).state == "accepted")
    moved.cancel()
    await asyncio.gather(moved, return_exceptions=True)
    assert world.is_open(call_id)
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)
    await asyncio.to_thread(world.ring, "+14155550199")
    assert await fired(answering(world)) == {"status": "accepted", "call_id": call_id}
    assert world.count("openai.accepted") == 1
    assert network._HTTP.open_count() == 0
