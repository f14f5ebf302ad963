from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow_world import CALLER, World, run_task
from tests.unit.airflow_world import dying_at

from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallAlreadyDecided,
    CallGone,
    InvalidInput,
    OutcomeUnknown,
)
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.reject import RejectCallOperator
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.phones import PhoneScript


def rejecting(**kwargs: object) -> RejectCallOperator:
    return RejectCallOperator(task_id="reject", **kwargs)


def test_the_caller_gets_the_status(world: World) -> None:
    call_id = world.ring()
    assert run_task(rejecting(call=call_id, status_code="486")) == {
        "call_id": call_id,
        "status_code": 486,
        "gone": False,
    }
    assert world.record(call_id).sip_status == 486
    row = world.row(call_id)
    assert (row.state, row.status_code) == ("rejected", 486)


def test_the_default_is_decline(world: World) -> None:
    call_id = world.ring()
    run_task(rejecting(call=call_id))
    assert world.record(call_id).sip_status == 603


def test_a_second_try_succeeds(world: World) -> None:
    call_id = world.ring()
    run_task(rejecting(call=call_id))
    run_task(rejecting(call=call_id))
    assert world.row(call_id).state == "rejected"


@pytest.mark.parametrize(
    ("if_gone", "expected"), [("succeed", None), ("skip", AirflowSkipException), ("fail", CallGone)]
)
def test_a_caller_who_hung_up_is_treated_as_told(world: World, if_gone: str, expected: type | None) -> None:
    call_id = world.ring()
    world.simulator.phones.hang_up(CALLER)
    operator = rejecting(call=call_id, if_gone=if_gone)
    if expected is None:
        assert run_task(operator)["gone"] is True
    else:
        with pytest.raises(expected):
            run_task(operator)
    assert world.row(call_id).end_reason == "gone"


def test_an_accepted_call_cannot_be_rejected_and_goes_on(world: World) -> None:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    run_task(AcceptCallOperator(task_id="accept", call=call_id))
    with pytest.raises(CallAlreadyDecided):
        run_task(rejecting(call=call_id))
    assert world.is_open(call_id)


def test_a_decline_whose_answer_is_lost_succeeds(world: World) -> None:
    call_id = world.ring()
    world.simulator.faults.add(Fault("reject", "reset", carried_out=True))
    assert run_task(rejecting(call=call_id))["gone"] is False
    row = world.row(call_id)
    assert (row.state, row.end_reason, world.record(call_id).sip_status) == ("rejected", "rejected", 603)


def test_a_decline_whose_answer_is_lost_is_not_told_as_the_caller_s_hang_up(world: World) -> None:
    call_id = world.ring()
    world.simulator.faults.add(Fault("reject", "reset", carried_out=True))
    world.simulator.faults.add(Fault("reject", "status", status=404, code="call_id_not_found"))
    assert run_task(rejecting(call=call_id))["gone"] is False
    assert (world.row(call_id).state, world.row(call_id).end_reason) == ("rejected", "rejected")


@pytest.mark.parametrize("is_found_gone", [False, True])
def test_the_retry_of_a_decline_is_not_told_as_the_caller_s_hang_up(world: World, is_found_gone: bool) -> None:
    call_id = world.ring()
    world.simulator.faults.add(Fault("reject", "reset", carried_out=True, times=2))
    with pytest.raises(OutcomeUnknown):
        run_task(rejecting(call=call_id))
    if is_found_gone:
        world.simulator.faults.add(Fault("reject", "status", status=404, code="call_id_not_found"))
    assert run_task(rejecting(call=call_id))["gone"] is False
    assert (world.row(call_id).state, world.row(call_id).end_reason) == ("rejected", "rejected")


def test_a_task_that_dies_while_it_declines_leaves_that_to_the_switchboard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = world.ring()

    dying_at(monkeypatch, "reject")
    with pytest.raises(KeyboardInterrupt):
        run_task(rejecting(call=call_id, status_code=486))
    world.let_pass(6)
    assert world.simulator.wait_for(lambda: world.row(call_id).is_over)
    assert (world.row(call_id).status_code, world.record(call_id).sip_status) == (486, 486)


def test_a_call_that_openai_would_not_decline_rings_on_and_may_be_accepted(world: World) -> None:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    world.simulator.faults.add(Fault("reject", "status", status=401))
    with pytest.raises(AuthenticationError):
        run_task(rejecting(call=call_id))
    run_task(AcceptCallOperator(task_id="accept", call=call_id))
    world.let_pass(6)
    assert world.is_open(call_id)
    assert world.row(call_id).state == "accepted"


@pytest.mark.parametrize("status_code", [200, 700, "busy", 486.5, None])
def test_a_status_that_is_no_refusal_is_refused_when_the_dag_is_parsed(status_code: object) -> None:
    with pytest.raises(InvalidInput) as error:
        rejecting(call="rtc_1", status_code=status_code)
    assert error.value.field == "status_code"
