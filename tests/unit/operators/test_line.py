from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from airflow_world import CALLER, OUR_NUMBER, FakeTask, World, context, run_task

from airflow_openai_realtime.exceptions import InvalidInput, InvalidSession, SwitchboardUnreachable
from airflow_openai_realtime.operators.line import CloseLineOperator, OpenLineOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.order_requests import list_orders, remove_order

FOR_EVER = PhoneScript.talks_for_ever()
TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "server_url": "https://crm.example/mcp",
    "authorization": "tok-0001",
    "require_approval": "never",
}


def opening(**kwargs: Any) -> OpenLineOperator:
    return OpenLineOperator(task_id="open", **{"name": "day", **kwargs})


def closing(**kwargs: Any) -> CloseLineOperator:
    return CloseLineOperator(task_id="close", **{"name": "day", **kwargs})


def orders(world: World) -> list[Any]:
    with world.client() as client:
        found: list[Any] = client.send(list_orders())
        return found


def answered(world: World, call_id: str) -> bool:
    return bool(world.simulator.wait_for(lambda: world.record(call_id).accepted == 1))


def test_an_open_line_answers_and_a_closed_one_does_not(world: World) -> None:
    result = run_task(opening(instructions="Be kind.", voice="marin", greeting="Say hello.", max_duration_seconds=90))
    assert (result["name"], result["action"], result["max_duration_seconds"]) == ("day", "accept", 90)
    first = world.simulator.call_in(CALLER, OUR_NUMBER, script=FOR_EVER)
    assert answered(world, first)
    assert world.simulator.wait_for(lambda: world.row(first).state == "accepted")
    assert world.row(first).claimed_by == "order:day"
    assert world.simulator.wait_for(lambda: world.count("sideband.command") == 1)

    assert run_task(closing()) == {"name": "day", "was_open": True}
    second = world.ring(script=FOR_EVER)
    assert world.row(second).state == "ringing"
    assert world.is_open(first)
    assert run_task(closing()) == {"name": "day", "was_open": False}


def test_calls_can_be_declined(world: World) -> None:
    run_task(opening(status_code=486, from_number=CALLER))
    call_id = world.simulator.call_in(CALLER, OUR_NUMBER, script=FOR_EVER)
    assert world.simulator.wait_for(lambda: world.record(call_id).sip_status == 486)


def test_opened_again_by_the_same_task_uses_count_on_and_by_another_run_they_do_not(world: World) -> None:
    line = opening(uses="2", instructions="Hi")
    run_task(line)
    call_id = world.simulator.call_in(CALLER, OUR_NUMBER, script=FOR_EVER)
    assert answered(world, call_id)
    assert run_task(line)["uses_left"] == 1
    assert run_task(line, context(FakeTask(try_number=2)))["uses_left"] == 1
    assert run_task(line, context(FakeTask(run_id="tomorrow")))["uses_left"] == 2
    assert len(orders(world)) == 1


def test_all_that_was_given_arrives(world: World) -> None:
    at = datetime.now(timezone.utc) + timedelta(hours=10)
    line = opening(
        to="+1415*",
        headers={"X-Line": "main"},
        priority="5",
        expires_at=at.isoformat(),
        unclaimed_after_seconds="8",
        instructions="It is {who}.",
        caller_fields={"who": "from_number"},
    )
    result = run_task(line)
    (order,) = orders(world)
    assert result == order.to_dict()
    assert order.match.to_dict() == {"to": "+1415*", "headers": {"X-Line": "main"}}
    assert (order.priority, order.expires_at, order.unclaimed_after_seconds) == (5, at, 8)
    assert run_task(opening(expires_in_seconds=60))["expires_at"] < at.isoformat()


def test_a_line_whose_end_is_past_is_not_opened(world: World) -> None:
    with pytest.raises(AirflowSkipException, match="would have been closed"):
        run_task(opening(expires_at=datetime.now(timezone.utc) - timedelta(seconds=1)))
    assert orders(world) == []


def test_no_secret_is_in_the_result_or_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result = run_task(opening(tools=[TOOL], instructions="Ada is in Room Nine.", greeting="Greet Ada."))
    for text in (repr(result), caplog.text):
        assert not [secret for secret in ("tok-0001", "Room Nine", "Greet", *world.secrets) if secret in text]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"name": "a b"}, "name"),
        ({"voice": 5}, "voice"),
        ({"to": "x" * 501}, "to"),
        ({"uses": 0}, "uses"),
        ({"status_code": 486, "instructions": "Hi"}, "instructions"),
        ({"status_code": 486, "greeting": "Hi"}, "greeting"),
        ({"status_code": 200}, "status_code"),
        ({"expires_at": "2026-11-22T18:00:00Z", "expires_in_seconds": 5}, "not both"),
        ({"max_duration_seconds": 3601}, "max_duration_seconds"),
    ],
)
def test_what_no_rendering_can_mend_shows_when_the_dag_is_parsed(given: dict[str, Any], error: str) -> None:
    with pytest.raises(InvalidInput, match=error):
        opening(**given)


def test_what_rendering_spoils_is_refused_before_anything_is_sent(world: World) -> None:
    line = opening(instructions="{{ x }}", voice="{{ y }}", priority="{{ z }}")
    line.voice = "nobody"
    with pytest.raises((InvalidSession, InvalidInput)):
        run_task(line)
    rendered_code = opening(status_code="{{ code }}", instructions="Hi")
    rendered_code.status_code = "486"
    with pytest.raises(InvalidInput, match="instructions"):
        run_task(rendered_code)
    assert orders(world) == []


def test_a_status_code_that_renders_to_none_opens_no_line_that_accepts(world: World) -> None:
    line = opening(status_code="{{ code }}", instructions="Hi")
    line.status_code = "None"
    with pytest.raises(InvalidInput, match="status_code is set, but it is empty"):
        run_task(line)
    with world.client() as client:
        assert client.send(remove_order(line.name)) is False


def test_closing_works_as_a_teardown() -> None:
    with DAG(dag_id="hours", schedule=None) as dag:
        opened = opening(instructions="Hi")
        closed = closing().as_teardown(setups=opened)
    dag.validate()
    assert (opened.is_setup, closed.is_teardown) == (True, True)


def test_a_switchboard_that_is_away_is_an_error_that_may_be_retried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard_requests, "POLICY", replace(switchboard_requests.POLICY, tries=1))
    world.connect(switchboard_url="http://127.0.0.1:9")
    for task in (opening(instructions="Hi"), closing()):
        with pytest.raises(SwitchboardUnreachable) as away:
            run_task(task)
        assert away.value.safe_to_retry


def test_everything_a_dag_author_would_fill_in_is_templated() -> None:
    assert {"name", "to", "session", "instructions", "greeting", "uses", "expires_at"} <= set(
        OpenLineOperator.template_fields
    )
    assert set(CloseLineOperator.template_fields) == {"name", "openai_realtime_conn_id"}
