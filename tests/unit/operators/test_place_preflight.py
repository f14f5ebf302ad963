"""What is wrong is found before a phone is dialed."""

from __future__ import annotations

import os
from typing import Any

import pytest
from airflow_world import World, run_task

from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    ConfigurationError,
    RequestRefused,
    ServiceUnavailable,
    SwitchboardRefused,
)
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts
from airflow_openai_realtime.testing.local_airflow import CONN_ID

PHONE = "+14155550142"
WHOLE_CALL: dict[str, Any] = {"wait_for_end": True, "model": "gpt-realtime-2.1", "instructions": "Be brief."}
BOTH_WAYS = pytest.mark.parametrize("how", [{}, WHOLE_CALL], ids=["placed", "whole call"])


def placing(**kwargs: Any) -> PlaceCallOperator:
    return PlaceCallOperator(task_id="place", **{"to": PHONE, "campaign": "reminders", **kwargs})


def models_asked(world: World) -> int:
    return world.count("openai.models")


@BOTH_WAYS
def test_a_wrong_key_is_noticed_before_the_phone_rings_and_the_corrected_task_rings(
    world: World, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    with monkeypatch.context() as patch:
        world.connect(switchboard_token=world.token)
        wrong = os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"].replace(world.simulator.api_key, "sk-wrong")
        patch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", wrong)
        with pytest.raises(AuthenticationError, match="nothing was dialed"):
            run_task(placing(**how))
    assert not world.simulator.log.calls
    with world.client() as client:
        assert [row.state for row in client.send(list_attempts("reminders"))] == ["reserved"]
    assert run_task(placing())["status"] == "placed"


def test_a_model_that_the_project_does_not_have_is_noticed_before_the_phone_rings(world: World) -> None:
    with pytest.raises(RequestRefused, match=r"nothing was dialed.*gpt-realtime-9"):
        run_task(placing(**{**WHOLE_CALL, "model": "gpt-realtime-9"}))
    assert not world.simulator.log.calls


def test_a_missing_key_is_noticed_before_the_phone_rings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without = os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"].replace(world.simulator.api_key, "")
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", without)
    with pytest.raises(ConfigurationError, match=f"{CONN_ID}.*key is missing"):
        run_task(placing())
    assert not world.simulator.log.calls


def test_a_switchboard_that_does_not_take_the_token_is_noticed_before_the_phone_rings(world: World) -> None:
    world.connect(switchboard_token="another-token-0123456789")
    with pytest.raises(SwitchboardRefused):
        run_task(placing())
    assert not world.simulator.log.calls


def test_openai_away_is_noticed_before_the_phone_rings_and_a_retry_dials(world: World) -> None:
    world.simulator.faults.status("models", 503, times=2)
    with pytest.raises(ServiceUnavailable) as caught:
        run_task(placing())
    assert caught.value.safe_to_retry
    assert not world.simulator.log.calls
    assert run_task(placing())["status"] == "placed"


def test_a_rate_limit_of_the_check_does_not_keep_the_phone_from_ringing(world: World) -> None:
    world.simulator.faults.status("models", 429, times=2)
    assert run_task(placing())["status"] == "placed"


def test_a_mapped_campaign_checks_the_key_once(world: World) -> None:
    for number in range(20):
        run_task(placing(to=f"+141555501{number:02d}"))
    assert models_asked(world) == 1


def test_a_key_that_was_replaced_is_checked_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_task(placing())
    connection = os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"]
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", connection.replace(world.simulator.api_key, "sk-replaced"))
    with pytest.raises(AuthenticationError):
        run_task(placing(to="+14155550143"))


def test_a_retry_of_a_placed_call_checks_nothing_at_openai(world: World) -> None:
    run_task(placing())
    world.simulator.faults.status("models", 503, times=9)
    assert run_task(placing())["status"] == "already_placed"
