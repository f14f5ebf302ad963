from __future__ import annotations

import pytest
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException
from airflow_world import World, run_task

from airflow_openai_realtime.exceptions import AuthenticationError, CallGone
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript


def accepted(world: World) -> dict[str, object]:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    call: dict[str, object] = run_task(AcceptCallOperator(task_id="accept", call=call_id))
    return call


def hanging_up(**kwargs: object) -> HangupCallOperator:
    return HangupCallOperator(task_id="hang_up", **kwargs)


def test_a_live_call_is_ended(world: World) -> None:
    call = accepted(world)
    result = run_task(hanging_up(call=call))
    assert result == {"call_id": call["call_id"], "gone": False, "end_reason": "hung_up"}
    assert not world.is_open(str(call["call_id"]))


def test_hanging_up_a_finished_call_succeeds_and_tells_why_it_ended(world: World) -> None:
    call = accepted(world)
    run_task(hanging_up(call=call))
    assert run_task(hanging_up(call=call)) == {"call_id": call["call_id"], "gone": True, "end_reason": "hung_up"}


@pytest.mark.parametrize(("if_gone", "expected"), [("skip", AirflowSkipException), ("fail", CallGone)])
def test_a_call_that_is_over_is_treated_as_told(world: World, if_gone: str, expected: type[Exception]) -> None:
    call = accepted(world)
    run_task(hanging_up(call=call))
    with pytest.raises(expected):
        run_task(hanging_up(call=call, if_gone=if_gone))


@pytest.mark.parametrize("nothing", [None, "", "None", {}])
def test_without_a_call_the_task_is_skipped_and_nothing_is_looked_up(nothing: object) -> None:
    with pytest.raises(AirflowSkipException, match="no call to hang up"):
        run_task(hanging_up(call=nothing, openai_realtime_conn_id="nowhere"))


def test_a_switchboard_that_cannot_be_reached_does_not_keep_the_call_alive(world: World) -> None:
    call = accepted(world)
    world.connect(switchboard_url="http://127.0.0.1:9")
    assert run_task(hanging_up(call=call)) == {"call_id": call["call_id"], "gone": False, "end_reason": None}
    assert not world.is_open(str(call["call_id"]))


def test_a_missing_switchboard_url_does_not_keep_the_call_alive(world: World) -> None:
    call = accepted(world)
    world.connect(switchboard_url="")
    run_task(hanging_up(call=call))
    assert not world.is_open(str(call["call_id"]))


def test_a_refused_key_fails_the_task_and_leaves_the_call_to_the_switchboard(world: World) -> None:
    call = accepted(world)
    world.simulator.faults.status("hangup", 401)
    with pytest.raises(AuthenticationError):
        run_task(hanging_up(call=call))
    assert world.row(str(call["call_id"])).state == "accepted"


def test_it_is_a_teardown_of_accept() -> None:
    with DAG("d", schedule=None):
        accept = AcceptCallOperator(task_id="accept", call="rtc_1")
        hang_up = hanging_up(call=accept.output).as_teardown(setups=accept)
    assert accept.is_setup
    assert hang_up.is_teardown
    assert hang_up.trigger_rule == TriggerRule.ALL_DONE_SETUP_SUCCESS
    assert hang_up.upstream_task_ids == {"accept"}
