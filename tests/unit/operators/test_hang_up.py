from __future__ import annotations

import pytest
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException
from airflow_world import CALLER, World, run_task
from tests.unit.airflow_world import dying_at

from airflow_openai_realtime.exceptions import AuthenticationError, CallGone
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.simulator.faults import Fault
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
    assert result == {"call_id": call["call_id"], "gone": False, "declined": False, "end_reason": "hung_up"}
    assert not world.is_open(str(call["call_id"]))


def test_hanging_up_a_finished_call_succeeds_and_tells_why_it_ended(world: World) -> None:
    call = accepted(world)
    run_task(hanging_up(call=call))
    result = run_task(hanging_up(call=call))
    assert result == {"call_id": call["call_id"], "gone": True, "declined": False, "end_reason": "hung_up"}


def test_a_call_that_only_rings_is_declined_and_rings_no_more(world: World) -> None:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    result = run_task(hanging_up(call=call_id))
    assert result == {"call_id": call_id, "gone": False, "declined": True, "end_reason": "hung_up"}
    assert world.record(call_id).fate == "rejected"
    assert (world.row(call_id).state, world.row(call_id).status_code) == ("rejected", 603)


def test_a_caller_who_had_left_is_told_as_gone_and_not_as_hung_up(world: World) -> None:
    call = accepted(world)
    world.simulator.phones.hang_up(CALLER)
    assert world.simulator.wait_for(lambda: not world.is_open(str(call["call_id"])))
    result = run_task(hanging_up(call=call))
    assert (result["gone"], result["end_reason"]) == (True, "gone")


def test_a_hang_up_whose_answer_is_lost_is_told_as_done(world: World) -> None:
    call = accepted(world)
    world.simulator.faults.add(Fault("hangup", "reset", carried_out=True))
    result = run_task(hanging_up(call=call))
    assert (result["gone"], result["end_reason"]) == (False, "hung_up")


def test_a_task_that_dies_after_it_said_so_leaves_the_end_to_the_switchboard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = accepted(world)

    dying_at(monkeypatch, "hang_up")
    with pytest.raises(KeyboardInterrupt):
        run_task(hanging_up(call=call))
    world.let_pass(6)
    assert world.simulator.wait_for(lambda: world.row(str(call["call_id"])).is_over)
    assert world.row(str(call["call_id"])).end_reason == "hung_up"
    assert not world.is_open(str(call["call_id"]))


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
    result = run_task(hanging_up(call=call))
    assert result == {"call_id": call["call_id"], "gone": False, "declined": False, "end_reason": None}
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
