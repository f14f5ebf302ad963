"""The model speaks first when the order has a greeting, over a real socket to the simulator."""

from __future__ import annotations

import logging

import pytest

from airflow_openai_realtime.api.call_requests import accept_call, hang_up_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.server.orders import greeting
from airflow_openai_realtime.switchboard.server.orders.greeting import greet


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
    caplog.set_level(logging.DEBUG, logger=greeting.log.name)
    settings = settings_of(realtime_simulator)
    assert await greet(settings, call_id, "Say hello to Ada.")
    # The model is speaking already.
    assert not await greet(settings, call_id, "Say hello to Ada.")
    assert "conversation_already_has_active_response" in caplog.text
    monkeypatch.setattr(greeting, "GREETING_SECONDS", 0.3)
    realtime_simulator.faults.time_out("sideband")
    assert not await greet(settings, call_id, "Say hello to Ada.")
    assert "TimeoutError" in caplog.text
    monkeypatch.setattr(greeting, "attach", None)
    assert not await greet(settings, call_id, "Say hello to Ada.")
    assert "Ada" not in caplog.text
    assert realtime_simulator.log.call(call_id=call_id).open


async def test_a_call_that_is_over_is_not_greeted(realtime_simulator: Simulator, call_id: str) -> None:
    settings = settings_of(realtime_simulator)
    with CallsClient(settings) as calls:
        calls.send(hang_up_call(call_id))
    assert not await greet(settings, call_id, "Say hello.")
