"""What a task does with a call that is over: it writes the transcript and notifies assets."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import TaskDeferred
from airflow_world import FakeTask

from airflow_openai_realtime.calls.answer_plan import AnswerParameters
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.conversation.given_conversation import ConversationParameters
from airflow_openai_realtime.exceptions import CallError, InvalidInput
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.call_task import CallTask
from airflow_openai_realtime.operators.call_to_end import (
    AFTER_CALL_SECONDS,
    call_that_is_over,
    check_conversation,
    keep_transcript,
    read_answer,
    read_conversation,
    report_result,
    run_in_triggerer,
    tell_assets,
)
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.testing.local_airflow import CONN_ID

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
RESULT = {"call_id": "rtc_1", "line": "support", "outcome": "completed", "from_number": "+14155550123", "result": {}}
SAID = [entry_of("caller", NOW, "item_1", text="Hello?")]


@pytest.mark.parametrize(("name", "file"), [("calls/", "calls/rtc_1.json"), ("one.txt", "one.txt")])
def test_a_transcript_is_written_to_a_folder_that_is_made_or_to_a_file(tmp_path: Path, name: str, file: str) -> None:
    written = keep_transcript(f"{tmp_path}/new/{name}", RESULT, SAID)
    path = tmp_path / "new" / file
    assert written.endswith(file)
    assert "Hello?" in path.read_text()
    if file.endswith(".json"):
        assert json.loads(path.read_text())


def test_written_again_it_is_the_same_file(tmp_path: Path) -> None:
    first = keep_transcript(f"{tmp_path}/", RESULT, SAID)
    assert keep_transcript(f"{tmp_path}/", RESULT, []) == first
    assert "Hello?" not in next(tmp_path.iterdir()).read_text()


class Events(dict[Any, Any]):
    """The context's events: one for each asset that is asked for."""

    def __missing__(self, asset: Any) -> Any:
        event = self[asset] = type("Event", (), {"extra": {}})()
        return event


def test_each_asset_is_told_which_call_is_over_and_nothing_personal() -> None:
    first, second, events = Asset("first"), Asset("second"), Events()
    tell_assets([first, "no asset", second], events, RESULT)
    assert set(events) == {first, second}
    for event in events.values():
        assert event.extra == {"call_id": "rtc_1", "line": "support", "outcome": "completed"}


def test_where_there_are_no_events_nothing_is_told() -> None:
    tell_assets([Asset("first")], None, RESULT)


LIMIT = timedelta(minutes=5)
PLACED = {"to": "+14155550142", "campaign": "c"}
#: Tasks that wait in the triggerer, and the limit of ours that they have.
WAITING: list[tuple[type, dict[str, Any], str]] = [
    (AcceptCallOperator, {"call": "rtc_1", "wait_for_end": True}, "max_duration_seconds"),
    (IncomingCallSensor, {"answer": True, "wait_for_end": True}, "max_duration_seconds"),
    (IncomingCallSensor, {"answer": True}, "timeout"),
    (PlaceCallOperator, {**PLACED, "wait_for_end": True}, "max_duration_seconds"),
    (WatchCallOperator, {"call_id": "rtc_1"}, "max_duration_seconds"),
    (WatchCallOperator, {"order": "desk"}, "max_duration_seconds"),
    (WatchCallOperator, {"order": "desk", "wait_for_end": False}, "timeout"),
    (IncomingCallSensor, {}, "timeout"),
]
#: Tasks that do all they do in a worker, where Airflow counts.
IN_WORKER: list[tuple[type, dict[str, Any]]] = [
    (AcceptCallOperator, {"call": "rtc_1"}),
    (PlaceCallOperator, PLACED),
    (HangupCallOperator, {"call": "rtc_1"}),
    (IncomingCallSensor, {"deferrable": False}),
    (IncomingCallSensor, {"mode": "reschedule"}),
]


@pytest.mark.parametrize(("operator", "given", "instead"), WAITING)
@pytest.mark.parametrize("in_default_args", [False, True])
def test_an_execution_timeout_that_would_limit_nothing_is_refused(
    operator: type, given: dict[str, Any], instead: str, in_default_args: bool
) -> None:
    limit = {"execution_timeout": LIMIT}
    with (
        DAG("d", schedule=None, default_args=limit if in_default_args else {}),
        pytest.raises(InvalidInput, match=f"does not limit this task.*Give {instead}"),
    ):
        operator(task_id="t", **given, **({} if in_default_args else limit))


@pytest.mark.parametrize(("operator", "given", "instead"), WAITING)
def test_a_task_may_opt_out_of_the_limit_of_all_tasks(operator: type, given: dict[str, Any], instead: str) -> None:
    with DAG("d", schedule=None, default_args={"execution_timeout": LIMIT}):
        assert operator(task_id="t", execution_timeout=None, **given).execution_timeout is None


@pytest.mark.parametrize(("operator", "given"), IN_WORKER)
def test_in_a_worker_airflow_counts(operator: type, given: dict[str, Any]) -> None:
    assert operator(task_id="t", execution_timeout=LIMIT, **given).execution_timeout == LIMIT


# -- what is to happen in the call -----------------------------------------------------------------------------------


class Staying(CallTask):
    """A task with all parameters of a call that is answered and stayed with."""

    def __init__(self, **kwargs: Any) -> None:
        answer, conversation = vars(AnswerParameters()), vars(ConversationParameters())
        for name, default in {**answer, **conversation}.items():
            setattr(self, name, kwargs.pop(name, default))
        super().__init__(task_id="talk", **kwargs)
        self.openai_realtime_conn_id = CONN_ID


@pytest.mark.parametrize("wait_for_end", [None, "yes", 1])
def test_whether_a_task_stays_is_yes_or_no(wait_for_end: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_conversation(Staying(), wait_for_end)
    assert refused.value.field == "wait_for_end"


def test_what_happens_in_a_call_is_for_a_task_that_stays() -> None:
    with pytest.raises(InvalidInput, match="greeting needs wait_for_end=True") as refused:
        check_conversation(Staying(greeting="Hello"), False)
    assert refused.value.field == "greeting"
    assert check_conversation(Staying(greeting="Hello"), True).greeting == "Hello"


def test_what_all_tasks_share_is_ignored_by_one_that_does_not_stay() -> None:
    task = Staying()
    task.greeting = "Hello"  # as from default_args, which are not passed to the task itself
    assert check_conversation(task, False) == ConversationParameters()
    assert task.greeting is None


def test_literals_are_checked_while_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_conversation(Staying(silence_seconds=-1), True)
    assert refused.value.field == "silence_seconds"


def test_a_task_that_does_not_stay_offers_no_tools() -> None:
    plan, wanted = read_answer(Staying(instructions="Be brief."), wait_for_end=False)
    assert plan.session["instructions"] == "Be brief."
    assert wanted is None
    assert "tools" not in plan.session


def test_a_task_that_stays_has_the_tools_of_the_conversation_in_the_session() -> None:
    choice = {"type": "function", "name": "end_call"}
    plan, wanted = read_answer(Staying(instructions="Be brief.", tool_choice=choice), wait_for_end=True)
    assert [tool["name"] for tool in plan.session["tools"]] == ["end_call"]
    assert wanted is not None
    with pytest.raises(InvalidInput, match="is not among the tools"):
        read_answer(Staying(instructions="Be brief.", tool_choice=choice), wait_for_end=False)


# -- the deferral, and its end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "left"), [(300.0, 300.0), (-300.0, 0.0), (None, 0.0)])
def test_the_deferral_outlives_the_call_by_minutes(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, left: float
) -> None:
    fields = {"webhook_secret": "whsec_dGVzdHM=", "switchboard_url": "http://board:1"}
    connection = {"conn_type": "openai_realtime", "password": "sk-1", "extra": fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
    now = datetime.now(timezone.utc)
    hangup_at = None if seconds is None else now + timedelta(seconds=seconds)
    call = SwitchboardCall("rtc_1", "support", "accepted", now, now, accepted_at=now, hangup_at=hangup_at)
    task = Staying()
    with pytest.raises(TaskDeferred) as deferred:
        run_in_triggerer(task, {"ti": FakeTask()}, read_conversation(task), call)  # type: ignore[arg-type]
    timeout = deferred.value.timeout
    assert timeout is not None
    assert AFTER_CALL_SECONDS + left - 60 < timeout.total_seconds() <= AFTER_CALL_SECONDS + left
    assert deferred.value.method_name == "execute_complete"
    _, kwargs = deferred.value.trigger.serialize()
    assert (kwargs["call_id"], kwargs["holder"]) == ("rtc_1", owner_name(FakeTask()))
    assert task.shown_call_id == "rtc_1"
    assert "sk-1" not in json.dumps(kwargs)


def test_a_call_that_was_run_to_its_end_is_named_by_the_event() -> None:
    assert call_that_is_over({"status": "over", "call_id": "rtc_1"}) == "rtc_1"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "ended without a result"),
        ({"status": "over?", "call_id": "rtc_1"}, "ended without a result"),
        ({"status": "error", "message": "the token was refused"}, "the token was refused"),
    ],
)
def test_a_call_that_could_not_be_run_is_an_error(event: Any, said: str) -> None:
    with pytest.raises(CallError, match=said):
        call_that_is_over(event)


@pytest.mark.parametrize(("seconds", "said"), [(12.5, "12.5 s"), (None, "not known how long")])
def test_a_result_is_logged_told_to_assets_and_returned_with_what_is_known_of_the_attempt(
    capsys: pytest.CaptureFixture[str], seconds: float | None, said: str
) -> None:
    events, asset = Events(), Asset("calls")
    task = Staying(outlets=[asset])
    result = {**RESULT, "reason": "hung_up", "talk_seconds": seconds}
    whole = report_result(task, {"outlet_events": events}, result, {"attempt": 2})  # type: ignore[arg-type]
    assert whole == {**result, "attempt": 2}
    assert task.shown_call_id == "rtc_1"
    assert events[asset].extra["outcome"] == "completed"
    assert f"Call rtc_1 is over: completed (hung_up), {said}." in capsys.readouterr().out
