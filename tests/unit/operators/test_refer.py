from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow_world import World, run_task

from airflow_openai_realtime.exceptions import CallGone, InvalidInput, ServiceUnavailable
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.refer import ReferCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript

TARGET = "tel:+14155550199"


def accepted(world: World) -> str:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    run_task(AcceptCallOperator(task_id="accept", call=call_id))
    return call_id


def referring(**kwargs: object) -> ReferCallOperator:
    return ReferCallOperator(task_id="refer", **{"target_uri": TARGET, **kwargs})


def test_a_transfer_is_requested_and_the_switchboard_knows(world: World) -> None:
    call_id = accepted(world)
    assert run_task(referring(call=call_id)) == {
        "call_id": call_id,
        "transfer": "requested",
        "target": "tel:+1***0199",
    }
    assert world.simulator.wait_for(lambda: world.record(call_id).transferred_to is not None)
    assert world.row(call_id).target_uri == TARGET


def test_a_second_try_does_not_transfer_again(world: World) -> None:
    call_id = accepted(world)
    run_task(referring(call=call_id))
    assert run_task(referring(call=call_id))["transfer"] == "requested"
    assert world.count("openai.referred") == 1


def test_one_number_in_two_spellings_is_transferred_to_once(world: World) -> None:
    call_id = accepted(world)
    run_task(referring(call=call_id, target_uri="tel:+4402071838750"))
    run_task(referring(call=call_id, target_uri="tel:+44-20-7183-8750"))
    assert world.count("openai.referred") == 1
    assert world.row(call_id).target_uri == "tel:+442071838750"


def test_without_a_clear_answer_airflow_must_not_try_again(world: World) -> None:
    call_id = accepted(world)
    world.simulator.faults.reset("refer", carried_out=True)
    with pytest.raises(AirflowFailException, match="may have"):
        run_task(referring(call=call_id))


def test_a_rate_limit_may_be_tried_again(world: World) -> None:
    call_id = accepted(world)
    world.simulator.faults.status("refer", 429, times=9)
    with pytest.raises(ServiceUnavailable):
        run_task(referring(call=call_id))


@pytest.mark.parametrize(
    ("if_gone", "expected"), [("succeed", None), ("skip", AirflowSkipException), ("fail", CallGone)]
)
def test_a_call_that_is_over_is_treated_as_told(world: World, if_gone: str, expected: type | None) -> None:
    call_id = accepted(world)
    run_task(HangupCallOperator(task_id="hang_up", call=call_id))
    operator = referring(call=call_id, if_gone=if_gone)
    if expected is None:
        assert run_task(operator)["transfer"] is None
    else:
        with pytest.raises(expected):
            run_task(operator)


@pytest.mark.parametrize("target", ["+14155550199", "mailto:a@b", "sip:", "tel:+1 415"])
def test_a_target_that_is_no_uri_is_refused_when_the_dag_is_parsed(target: str) -> None:
    with pytest.raises(InvalidInput) as error:
        referring(call="rtc_1", target_uri=target)
    assert error.value.field == "target_uri"


@pytest.mark.parametrize("target", [None, ""])
def test_without_a_target_nothing_is_transferred_and_nothing_is_looked_up(target: str | None) -> None:
    with pytest.raises(AirflowSkipException, match="not transferred"):
        run_task(referring(call="rtc_1", target_uri=target, openai_realtime_conn_id="nowhere"))


def test_a_rendered_target_is_checked_in_the_task(world: World) -> None:
    operator = referring(call="rtc_1", target_uri="{{ params.target }}")
    operator.target_uri = "nobody"
    with pytest.raises(InvalidInput):
        run_task(operator)


def test_the_log_holds_no_full_number(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run_task(referring(call=accepted(world)))
    said = "".join(line for line in capsys.readouterr() if "requested" in line)
    assert "+14155550199" not in said
