"""Answering one call that an order has taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.unit.switchboard.server.orders.test_dispatcher import ANY, GONE, OpenAI, look
from tests.unit.switchboard.support import START, Clock, a_call, a_line

from airflow_openai_realtime.api.call_requests import accept_call, hang_up_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.order import OrderAnswer, OrderDraft
from airflow_openai_realtime.exceptions import InvalidInput, StoreUnavailable
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.server.orders import order_answering as module
from airflow_openai_realtime.switchboard.server.orders.order_answering import OrderAnswering, checked_session, greet
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store, TakenCall
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

LEASE = 2.0


@pytest.fixture
def openai() -> OpenAI:
    return OpenAI()


@pytest.fixture
async def answering(sqlite_store: Store, openai: OpenAI, clock: Clock) -> AsyncIterator[OrderAnswering]:
    executor = Executor(2, "test")
    made = OrderAnswering(
        sqlite_store, executor, openai.client, SwitchboardSettings(), clock, on_change=lambda line: None
    )
    yield made
    await made.close()
    executor.close()


def taken(store: Store, number: int = 1, **changes: Any) -> TakenCall:
    """A call that an order has taken just now."""
    fields: dict[str, Any] = {"match": ANY, "action": "accept", "edition": "e", "max_duration_seconds": 60.0}
    store.orders.put("support", OrderDraft("day", **{**fields, **changes}).check(), START)
    store.calls.add([a_call(number)])
    (found,) = store.order_taking.take([("support", f"rtc_{number}")], START, LEASE)
    return found


async def test_a_call_is_accepted_and_the_log_says_after_how_long(
    answering: OrderAnswering, sqlite_store: Store, openai: OpenAI, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    call = taken(sqlite_store)
    clock.move(0.25)
    await answering.answer(a_line(), call)
    assert look(sqlite_store).state == "accepted"
    assert "order.accepted line=support call_id=rtc_1 order=day after_ms=250" in caplog.text


async def test_what_openai_refuses_is_logged_without_its_words_and_the_order_does_not_take_that_call_again(
    answering: OrderAnswering, sqlite_store: Store, openai: OpenAI, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    call = taken(sqlite_store)
    assert call.order is not None
    openai.answer = lambda operation, call_id: httpx.Response(
        400, json={"error": {"code": "invalid_value", "message": "Invalid: secret words"}}
    )
    await answering.answer(a_line(), call)
    assert look(sqlite_store).state == "ringing"
    assert answering.tried == {("support", "rtc_1"): {call.order.revision}}
    assert "order.failed line=support call_id=rtc_1 order=day error=" in caplog.text
    assert "secret words" not in caplog.text
    clock.move(60)
    assert answering.tried == {}  # it has rung out


async def test_a_caller_who_is_gone_is_no_failure_of_the_order(
    answering: OrderAnswering, sqlite_store: Store, openai: OpenAI
) -> None:
    openai.answer = lambda operation, call_id: GONE
    await answering.answer(a_line(), taken(sqlite_store))
    assert (look(sqlite_store).is_over, answering.tried) == (True, {})


async def test_a_session_that_this_release_does_not_know_gives_the_call_back(
    answering: OrderAnswering, sqlite_store: Store, openai: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    call = taken(sqlite_store)
    spoiled = TakenCall(call.call, call.order, OrderAnswer({"voice_of": "tomorrow"}))
    await answering.answer(a_line(), spoiled)
    assert openai.asked == []
    assert look(sqlite_store).state == "ringing"
    assert "error=InvalidSession" in caplog.text


async def test_a_store_that_is_away_is_told_to_who_asked_and_openai_is_not_asked(
    answering: OrderAnswering, sqlite_store: Store, openai: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = taken(sqlite_store, action="reject", status_code=603, max_duration_seconds=None)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(sqlite_store.calls, "move", away)
    with pytest.raises(StoreUnavailable):
        await answering.answer(a_line(), call)
    assert openai.asked == []


@pytest.mark.parametrize("what", ["order removed", "rang out"])
async def test_a_call_that_was_left_behind_and_cannot_be_answered_any_more_is_given_up(
    answering: OrderAnswering, sqlite_store: Store, clock: Clock, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    call = taken(sqlite_store)
    if what == "order removed":
        call = TakenCall(call.call, None)
    else:
        clock.move(60)
    await answering.answer(a_line(), call, is_resumed=True)
    assert "order.gave_up line=support call_id=rtc_1" in caplog.text
    assert sqlite_store.order_taking.abandoned(clock() + timedelta(hours=1)) == []


async def test_the_first_to_accept_greets_and_the_answer_does_not_wait_for_it(
    answering: OrderAnswering, sqlite_store: Store, openai: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeted, may_greet = list[tuple[str, str]](), asyncio.Event()

    async def greet(api: object, call_id: str, words: str) -> bool:
        await may_greet.wait()
        greeted.append((call_id, words))
        return True

    monkeypatch.setattr(module, "greet", greet)
    answer = OrderAnswer({"instructions": "Hi"}, "Say hello")
    await answering.answer(a_line(), taken(sqlite_store, answer=answer))
    assert look(sqlite_store).state == "accepted"
    may_greet.set()
    await answering.settled()
    assert greeted == [("rtc_1", "Say hello")]


async def test_closing_breaks_a_greeting_off(
    answering: OrderAnswering, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    over: list[str] = []

    async def greet(*_: object) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            over.append("over")
        return True

    monkeypatch.setattr(module, "greet", greet)
    await answering.answer(a_line(), taken(sqlite_store, answer=OrderAnswer({"instructions": "Hi"}, "Say hello")))
    await asyncio.sleep(0)
    await answering.close()
    assert over == ["over"]


def test_a_session_is_checked() -> None:
    assert checked_session(OrderAnswer({"instructions": "Hi"}, "Say hello")).instructions == "Hi"
    with pytest.raises(InvalidInput):
        checked_session(OrderAnswer({"instructions": 7}))


def settings_of(simulator: Simulator) -> ApiSettings:
    return ApiSettings(simulator.api_key, endpoints_for(base_url=simulator.openai_base_url), timeout_seconds=30)


@pytest.fixture
def call_id(realtime_simulator: Simulator) -> str:
    """A call that was accepted just now."""
    ringing = realtime_simulator.call_in("+14155550123", "+14155550100", script=PhoneScript.talks_for_ever())
    with CallsClient(settings_of(realtime_simulator)) as calls:
        calls.send(accept_call(ringing, {"instructions": "Hi"}))
    return ringing


async def test_one_response_is_asked_for_and_the_call_goes_on(realtime_simulator: Simulator, call_id: str) -> None:
    assert await greet(settings_of(realtime_simulator), call_id, "Say hello to Ada.")
    log = realtime_simulator.log
    assert realtime_simulator.wait_for(lambda: log.of_kind("sideband.detached", call_id=call_id))
    commands = [entry.detail["type"] for entry in log.of_kind("sideband.command", call_id=call_id)]
    assert commands == ["response.create"]
    assert log.call(call_id=call_id).open


async def test_a_socket_that_is_not_there_yet_is_tried_again(realtime_simulator: Simulator, call_id: str) -> None:
    realtime_simulator.faults.status("sideband", 404)
    assert await greet(settings_of(realtime_simulator), call_id, "Say hello.")


async def test_a_greeting_that_fails_is_only_logged(
    realtime_simulator: Simulator, call_id: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, logger=module.log.name)
    settings = settings_of(realtime_simulator)
    assert await greet(settings, call_id, "Say hello to Ada.")
    # The model is speaking already.
    assert not await greet(settings, call_id, "Say hello to Ada.")
    assert "conversation_already_has_active_response" in caplog.text
    monkeypatch.setattr(module, "GREETING_SECONDS", 0.3)
    realtime_simulator.faults.time_out("sideband")
    assert not await greet(settings, call_id, "Say hello to Ada.")
    assert "TimeoutError" in caplog.text
    monkeypatch.setattr(module, "attach", None)
    assert not await greet(settings, call_id, "Say hello to Ada.")
    assert "Ada" not in caplog.text
    assert realtime_simulator.log.call(call_id=call_id).open


async def test_a_call_that_is_over_is_not_greeted(realtime_simulator: Simulator, call_id: str) -> None:
    settings = settings_of(realtime_simulator)
    with CallsClient(settings) as calls:
        calls.send(hang_up_call(call_id))
    assert not await greet(settings, call_id, "Say hello.")
