from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow_world import CALLER, OUR_NUMBER, FakeTask, World, context, run_task
from tests.unit.operators.every_operator import KINDS
from tests.unit.operators.test_template_fields import Result, rendered

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.exceptions import ClaimLost, InvalidInput, SwitchboardUnreachable, UnknownCall
from airflow_openai_realtime.operators import AcceptCallOperator, ClaimCallsOperator
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, report_rejected


def claim(**kwargs: Any) -> Any:
    return run_task(ClaimCallsOperator(task_id="claim", **kwargs), context(FakeTask(task_id="claim")))


def claim_one(**kwargs: Any) -> Any:
    return run_task(ClaimCallsOperator(task_id="claim", **kwargs), context(FakeTask(task_id="claim")))


def test_all_that_ring_are_returned_as_calls_that_can_be_accepted(world: World) -> None:
    ids = [world.ring() for _ in range(3)]
    calls = claim()
    assert [call["call_id"] for call in calls] == ids
    assert {call["claimed_by"] for call in calls} == {owner_name(FakeTask(task_id="claim"))}
    assert json.loads(json.dumps(calls)) == calls
    for index, call in enumerate(calls):
        accepted = run_task(AcceptCallOperator(task_id="accept", call=call), context(FakeTask(map_index=index)))
        assert accepted["state"] == "accepted"


def test_where_nothing_rings_there_is_nothing_to_map_over(world: World) -> None:
    assert claim() == []


def test_conditions_and_the_limit_may_be_rendered_text(world: World) -> None:
    wanted = world.ring(headers=[("X-Queue", "sales")])
    world.ring(headers=[("X-Queue", "other")])
    calls = claim(to=OUR_NUMBER, headers="{'X-Queue': 'sales'}", max_calls="1")
    assert [call["call_id"] for call in calls] == [wanted]


@pytest.mark.parametrize(
    ("given", "field"), [({"to": 5}, "to"), ({"headers": {"X-A": ""}}, "headers.X-A"), ({"max_calls": 0}, "max_calls")]
)
def test_what_cannot_be_used_is_refused_when_the_dag_is_parsed(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        ClaimCallsOperator(task_id="claim", **given)


def test_templates_are_checked_in_the_task() -> None:
    ClaimCallsOperator(task_id="claim", to="{{ params.to }}", max_calls="{{ params.most }}")


def test_without_a_switchboard_the_task_fails_and_is_tried_again_soon(world: World) -> None:
    world.connect(switchboard_url="http://127.0.0.1:9")
    with pytest.raises(SwitchboardUnreachable):
        claim()
    for operator in (ClaimCallsOperator(task_id="a"), ClaimCallsOperator(task_id="b", call_id="rtc_1")):
        assert (operator.retries, operator.retry_delay) == (3, timedelta(seconds=1))


def test_one_call_is_claimed_and_returned_with_what_is_known_of_it(world: World) -> None:
    call_id = world.ring(headers=[("X-Queue", "sales")])
    call = claim_one(call_id=call_id)
    assert (call["state"], call["from_number"], call["headers"]["x-queue"]) == ("claimed", CALLER, "sales")
    assert claim_one(call_id=call_id) == call


def test_a_call_that_somebody_else_has_skips_the_task(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        client.send(claim_call(call_id, "somebody"))
    with pytest.raises(AirflowSkipException):
        claim_one(call_id=call_id)
    with pytest.raises(ClaimLost):
        claim_one(call_id=call_id, if_gone="fail")
    assert claim_one(call_id=call_id, if_gone="succeed")["claimed_by"] == "somebody"


def test_a_call_that_rings_no_more_skips_the_task(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        client.send(report_rejected(call_id, 603))
    with pytest.raises(AirflowSkipException):
        claim_one(call_id=call_id)


def test_a_call_that_the_line_has_never_seen_is_an_error(world: World) -> None:
    with pytest.raises(UnknownCall):
        claim_one(call_id="rtc_never")


@pytest.mark.parametrize("how", ["plain", "expand"])
def test_a_call_id_that_came_out_empty_claims_nothing_at_all(world: World, how: str) -> None:
    ringing = world.ring()
    task = FakeTask(task_id="claim")
    operator = rendered(KINDS["claim one"], "call_id", Result(None), {}, native=False, way=how)
    with pytest.raises(InvalidInput, match="there is no call"):
        run_task(operator, context(task))
    assert world.row(ringing).state == "ringing"
