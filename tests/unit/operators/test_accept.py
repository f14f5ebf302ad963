from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from airflow_world import CALLER, CONN_ID, FakeTask, World, context, run_task
from tests.unit.airflow_world import instead_of_sending

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.session.realtime_session import RealtimeSession, parse_session
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.exceptions import (
    CallAlreadyDecided,
    CallError,
    CallGone,
    ClaimLost,
    ConfigurationError,
    InvalidInput,
    InvalidSession,
    OutcomeUnknown,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.inbound.accepting import Acceptance
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, claim_call, report_ended

FOR_EVER = PhoneScript.talks_for_ever()


def accepting(**kwargs: object) -> AcceptCallOperator:
    return AcceptCallOperator(task_id="accept", **kwargs)


def session_of(call_id: str) -> dict[str, Any]:
    """The session that OpenAI has for a live call."""

    async def first_event() -> dict[str, Any]:
        async with attach(RealtimeHook().api(), call_id) as sideband:
            return await anext(aiter(sideband))

    session: dict[str, Any] = asyncio.run(first_event())["session"]
    return session


def test_a_ringing_call_is_accepted_and_has_a_time_to_end(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    result = run_task(accepting(call=call_id, instructions="Say hello.", voice="cedar", max_duration_seconds=60))
    assert world.is_open(call_id)
    assert result["state"] == "accepted"
    assert result["from_number"] == CALLER
    row = world.row(call_id)
    assert (row.hangup_at - row.claimed_at).total_seconds() == pytest.approx(60, abs=1)
    session = session_of(call_id)
    assert session["instructions"] == "Say hello."
    assert session["audio"]["output"]["voice"] == "cedar"


def test_the_result_is_json(world: World) -> None:
    result = run_task(accepting(call_id=world.ring()))
    assert json.loads(json.dumps(result)) == result


def test_a_call_of_the_sensor_keeps_its_owner(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        call = client.send(claim_call(call_id, "campaign/run/wait/-1")).to_dict()
    assert run_task(accepting(call=call))["claimed_by"] == "campaign/run/wait/-1"


def test_a_call_that_a_template_turned_into_text_is_read(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        call = client.send(claim_call(call_id, "somebody")).to_dict()
    assert run_task(accepting(call=str(call)))["claimed_by"] == "somebody"


def test_an_id_uses_the_claim_of_a_task_of_the_same_run(world: World) -> None:
    call_id = world.ring()
    task = FakeTask(task_id="accept")
    with world.client() as client:
        client.send(claim_call(call_id, owner_name(FakeTask(task_id="wait"))))
    assert run_task(accepting(call_id=call_id), context(task))["state"] == "accepted"


def test_an_id_does_not_take_the_call_of_another_run(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        client.send(claim_call(call_id, owner_name(FakeTask(run_id="other"))))
    with pytest.raises(ClaimLost):
        run_task(accepting(call_id=call_id))
    assert world.count("openai.accepted") == 0


def test_a_call_that_the_switchboard_never_saw_is_watched_all_the_same(world: World) -> None:
    world.simulator.webhooks.reset()
    call_id = world.simulator.call_in(CALLER, "+14155550100", script=FOR_EVER)
    run_task(accepting(call_id=call_id, max_duration_seconds=600))
    assert world.is_open(call_id)
    world.let_pass(600)
    assert world.simulator.wait_for(lambda: not world.is_open(call_id))


def test_numbers_may_come_as_text(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    operator = accepting(call=call_id, speed="1.2", max_output_tokens="200", max_duration_seconds="90")
    result = run_task(operator)
    assert result["state"] == "accepted"
    session = session_of(call_id)
    assert session["audio"]["output"]["speed"] == 1.2
    assert session["max_output_tokens"] == 200


def test_a_second_try_accepts_nothing_twice(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    first = run_task(accepting(call=call_id))
    again = run_task(accepting(call=call_id))
    assert again["accepted_at"] == first["accepted_at"]
    assert world.record(call_id).accepted == 1


def test_an_earlier_try_that_died_after_asking_counts_as_accepted(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    task = FakeTask(task_id="accept")
    hook_free_client = world.client()
    with hook_free_client as client:
        client.send(announce_accept(call_id, owner_name(task), 60))
    with RealtimeHook().calls() as calls:
        calls.send(accept_call(call_id, {}))
    assert run_task(accepting(call_id=call_id), context(task))["state"] == "accepted"
    assert world.is_open(call_id)


def test_a_call_that_somebody_else_accepted_is_left_alone(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    with RealtimeHook().calls() as calls:
        calls.send(accept_call(call_id, {}))
    with pytest.raises(CallAlreadyDecided):
        run_task(accepting(call=call_id))
    assert world.is_open(call_id)
    assert world.row(call_id).end_reason == "decided_elsewhere"


@pytest.mark.parametrize(
    ("if_gone", "expected"), [("skip", AirflowSkipException), ("fail", CallGone), ("succeed", None)]
)
def test_a_caller_who_hung_up_is_treated_as_told(world: World, if_gone: str, expected: type | None) -> None:
    call_id = world.ring()
    world.simulator.phones.hang_up(CALLER)
    operator = accepting(call=call_id, if_gone=if_gone)
    if expected is None:
        assert run_task(operator)["end_reason"] == "gone"
    else:
        with pytest.raises(expected):
            run_task(operator)
    assert world.row(call_id).end_reason == "gone"


def test_a_call_that_ended_before_is_gone_and_nothing_is_sent(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        client.send(report_ended(call_id, "hung_up"))
    with pytest.raises(AirflowSkipException):
        run_task(accepting(call=call_id))
    assert world.count("openai.accepted") == 0


def test_a_call_of_which_nobody_can_tell_is_ended_by_the_switchboard_at_its_time(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    world.simulator.faults.reset("accept", carried_out=True)
    world.simulator.faults.status("sideband", 403)
    with pytest.raises(OutcomeUnknown):
        run_task(accepting(call=call_id, max_duration_seconds=600))
    assert world.row(call_id).state == "claimed"
    assert world.is_open(call_id)
    world.let_pass(600)
    assert world.simulator.wait_for(lambda: not world.is_open(call_id))


def test_nothing_is_sent_when_the_switchboard_cannot_be_reached(world: World) -> None:
    call_id = world.ring()
    world.connect(switchboard_url="http://127.0.0.1:9")
    with pytest.raises(SwitchboardUnreachable, match="was not accepted"):
        run_task(accepting(call=call_id))
    assert world.count("openai.accepted") == 0


def test_a_switchboard_that_goes_away_after_the_accept_does_not_fail_the_task(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    hook, said = RealtimeHook(), []
    with hook.calls() as calls, hook.switchboard() as switchboard:

        def unreachable(*_: object) -> None:
            raise SwitchboardUnreachable("no answer")

        instead_of_sending(switchboard, "accepted", unreachable)
        call = Acceptance(calls, switchboard, call_id, "me", said.append).accept(parse_session(), 600)
    assert call.state == "accepted"
    assert world.is_open(call_id)
    assert world.row(call_id).hangup_at is not None
    assert any("could not be reported" in line for line in said)


def test_a_call_hung_up_meanwhile_is_gone(world: World) -> None:
    """A user cleared the run while the accept request was on its way."""
    call_id = world.ring(script=FOR_EVER)
    hook = RealtimeHook()
    with hook.calls() as calls, hook.switchboard() as switchboard:

        def accept_and_end(send: Callable[[Any], Any], request: Any) -> None:
            send(request)
            switchboard.send(report_ended(call_id, "hung_up"))

        instead_of_sending(calls, "accept", accept_and_end)
        with pytest.raises(CallGone):
            Acceptance(calls, switchboard, call_id, "me", print).accept(parse_session(), 600)
    assert not world.is_open(call_id)


def test_killed_while_openai_does_not_answer_no_call_is_left(world: World) -> None:
    world.connect(timeout_seconds=60)
    call_id = world.ring(script=FOR_EVER)
    world.simulator.faults.time_out("accept", carried_out=True)
    operator = accepting(call=call_id)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            run_task(operator)
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    assert world.simulator.wait_for(lambda: world.is_open(call_id))
    operator.on_kill()
    assert world.simulator.wait_for(lambda: world.row(call_id).is_over)
    assert not world.is_open(call_id)
    assert world.row(call_id).end_reason == "killed"
    world.simulator.reset()  # breaks the connection of the request that hangs
    worker.join()
    assert isinstance(failures[0], CallError)


def test_cleared_while_it_accepts_the_call_waits_for_the_next_try(world: World) -> None:
    from airflow_openai_realtime.calls.task_states import TaskState

    world.connect(timeout_seconds=60)
    call_id = world.ring(script=FOR_EVER)
    world.simulator.faults.time_out("accept", carried_out=True)
    operator = accepting(call=call_id)

    def work() -> None:
        # What becomes of it is up to the end of this test.
        with contextlib.suppress(Exception):
            run_task(operator)

    worker = threading.Thread(target=work)
    worker.start()
    assert world.simulator.wait_for(lambda: world.is_open(call_id))
    world.task_state = TaskState(exists=True, state="restarting", is_same_try=False)
    operator.on_kill()
    row = world.row(call_id)
    assert (row.end_wanted, row.end_is_delayed) == ("killed", True)
    assert run_task(accepting(call=call_id))["call_id"] == call_id
    assert world.row(call_id).end_wanted is None
    assert world.is_open(call_id)
    world.simulator.reset()  # breaks the connection of the request that hangs
    worker.join()


KILLED_TASK = """
import signal, sys
from airflow_world import run_task
from airflow_openai_realtime.operators.accept import AcceptCallOperator

operator = AcceptCallOperator(task_id="accept", call=sys.argv[1])
# As Airflow's task runner does it: the handler returns, and the interrupted work goes on.
signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
run_task(operator)
"""


def test_a_process_that_is_told_to_end_leaves_no_call(world: World, tmp_path: Path) -> None:
    world.connect(timeout_seconds=60)
    call_id = world.ring(script=FOR_EVER)
    world.simulator.faults.time_out("accept", carried_out=True)
    script = tmp_path / "killed_task.py"
    script.write_text(KILLED_TASK)
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(script), call_id], env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL
    )
    try:
        assert world.simulator.wait_for(lambda: world.is_open(call_id), timeout_seconds=60)
        process.terminate()
        # Airflow kills a task for good five seconds after it asked the task to end; a busy test machine takes longer.
        assert world.simulator.wait_for(lambda: world.row(call_id).end_reason == "killed")
    finally:
        process.kill()
        process.wait()
    assert not world.is_open(call_id)


def test_killed_before_anything_was_sent_nothing_is_accepted(world: World) -> None:
    call_id = world.ring()
    operator = accepting(call=call_id)
    operator.on_kill()
    with pytest.raises(CallError, match="stopped"):
        run_task(operator)
    assert world.count("openai.accepted") == 0


def test_an_accept_that_comes_through_after_the_kill_is_hung_up(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    hook = RealtimeHook()
    answers = iter([False, True])
    with hook.calls() as calls, hook.switchboard() as switchboard:
        acceptance = Acceptance(calls, switchboard, call_id, "me", print, lambda: next(answers))
        with pytest.raises(CallError, match="stopped"):
            acceptance.accept(parse_session(), 600)
    assert not world.is_open(call_id)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_duration_seconds": 0}, "max_duration_seconds"),
        ({"max_duration_seconds": 3601}, "max_duration_seconds"),
        ({"max_duration_seconds": "soon"}, "max_duration_seconds"),
        ({"max_duration_seconds": True}, "max_duration_seconds"),
        ({"if_gone": "explode"}, "if_gone"),
        ({"call_id": "rtc_2"}, "call_id"),
        ({"call": ["rtc_1"]}, "call"),
        ({"call": {"from_number": "+14155550123"}}, "call"),
        ({"call": "has space"}, "call_id"),
    ],
)
def test_values_that_need_no_rendering_are_refused_when_the_dag_is_parsed(given: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        accepting(**{"call": "rtc_1", **given})
    assert error.value.field == field


@pytest.mark.parametrize(
    "given",
    [
        {"tool_choice": "sometimes"},
        {"speed": 3},
        {"session": {"audio": {"output": {"voice": "marin"}}}, "voice": "cedar"},
        {"session": {"no_such_field": 1}},
        {"instructions": "{{ params.x }}", "speed": 9},
    ],
)
def test_a_session_that_needs_no_rendering_is_checked_when_the_dag_is_parsed(given: dict[str, object]) -> None:
    with pytest.raises(InvalidSession):
        accepting(call="rtc_1", **given)


def test_what_is_templated_is_checked_in_the_task_before_anything_is_sent(world: World) -> None:
    call_id = world.ring()
    operator = accepting(call=call_id, speed="{{ params.speed }}")
    operator.speed = "9"
    with pytest.raises(InvalidSession, match="speed"):
        run_task(operator)
    assert world.row(call_id).state == "ringing"


def test_no_call_at_all_is_refused_in_the_task() -> None:
    with pytest.raises(InvalidInput, match="there is no call"):
        run_task(accepting(call=""))


def test_a_missing_connection_is_named() -> None:
    with pytest.raises(ConfigurationError, match="there is no connection nowhere"):
        run_task(accepting(call="rtc_1", openai_realtime_conn_id="nowhere"))


def test_a_session_object_may_hold_templates_and_is_rendered() -> None:
    with DAG("d", schedule=None):
        operator = accepting(call="rtc_1", session=RealtimeSession(instructions="Call {{ name }}."))
    operator.render_template_fields({"name": "Ann"})  # type: ignore[typeddict-unknown-key]
    assert operator.session == {"type": "realtime", "instructions": "Call Ann."}


def test_everything_a_dag_author_would_template_is_templated() -> None:
    given = set(inspect.signature(AcceptCallOperator).parameters) - {"kwargs"}
    names_of_code = {"functions", "result_model"}
    fixed = {"if_gone", "map_index_template", "wait_for_end", "retries", "retry_delay", *names_of_code}
    assert given - fixed == set(AcceptCallOperator.template_fields)


def test_secrets_of_tools_are_masked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    tool = {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://crm.example.com",
        "authorization": "oauth-very-secret",
        "headers": {"X-Key": "header-very-secret"},
        "require_approval": "never",
    }
    with DAG("d", schedule=None):
        operator = accepting(call=world.ring(), tools=[tool])
    operator.render_template_fields({})
    shown = str(redact(operator.tools))
    assert "very-secret" not in shown
    assert run_task(operator)["state"] == "accepted"


def test_fields_of_the_call_are_put_into_the_instructions(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    run_task(accepting(call=call_id, instructions="Call {number}.", caller_fields={"number": "from_number"}))
    assert session_of(call_id)["instructions"].endswith('Call [caller data: "+14155550123"].')


def test_no_secret_shows_in_result_repr_or_log(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    operator = accepting(call=world.ring(), instructions="Hi")
    result = run_task(operator)
    seen = json.dumps(result) + repr(operator) + caplog.text + "".join(capsys.readouterr())
    assert not [secret for secret in world.secrets if secret in seen]
    assert CONN_ID in operator.openai_realtime_conn_id


def test_no_full_number_shows_in_the_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with world.client() as client:
        call = client.send(claim_call(world.ring(), "me")).to_dict()
    run_task(accepting(call=call))
    assert CALLER not in "".join(capsys.readouterr())
