"""
Staying with a call until it is over: what is to happen in it, the deferral, and the result.

The result is kept as a transcript, told to Airflow's assets, and returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_openai_realtime.calls.answer_plan import read_plan
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.conversation.given_conversation import (
    CONVERSATION_FIELDS,
    NAMES_OF_CODE,
    ConversationParameters,
)
from airflow_openai_realtime.exceptions import CallError, InvalidInput
from airflow_openai_realtime.hooks.airflow_connections import hand_over
from airflow_openai_realtime.hooks.realtime import RealtimeHook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.operators.call_task import CallTask
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How much longer than the call the deferral may last, in seconds; only a backstop.
AFTER_CALL_SECONDS = 180
#: Statuses of a trigger's event: the call is over; no call came in time; the placed call was not answered.
OVER = "over"
TIMEOUT = "timeout"
NOT_ANSWERED = "not_answered"
#: XCom key under which the outcome of an unanswered call is left: ``busy``, ``no_answer``, …
OUTCOME_KEY = "outcome"
NOTHING_GIVEN = ConversationParameters()


def check_conversation(
    task: CallTask, wait_for_end: object, default: ConversationParameters = NOTHING_GIVEN
) -> ConversationParameters:
    """
    Reject invalid literals at parse time; ignore what only ``default_args`` give to a task that does not stay.

    :param task: As it is made, with all fields of ``ConversationParameters``.
    :param wait_for_end: Its parameter of that name.
    :param default: What the operator has when nothing is given.
    :return: What is left.
    :raises InvalidInput: A value that needs no rendering cannot be used, or needs ``wait_for_end``.
    """
    if not isinstance(wait_for_end, bool):
        raise InvalidInput("wait_for_end must be True or False", field="wait_for_end")
    if wait_for_end:
        refuse_execution_timeout(task, "max_duration_seconds, which limits the call,")
    else:
        task.ignore_shared(CONVERSATION_FIELDS, vars(default))
    conversation = ConversationParameters.of(vars(task))
    if conversation == default:
        return conversation
    given = conversation.changed_from(default)
    if given and not wait_for_end:
        raise InvalidInput(
            f"{given[0]} needs wait_for_end=True: without it the task leaves the call when it is accepted. Or give "
            f"{given[0]} to the WatchCallOperator that follows",
            field=given[0],
        )
    if given:
        conversation.check_literals()
    return conversation


def read_conversation(task: CallTask) -> WantedConversation:
    """
    Read what is to happen in the call, rendered; imports what is named by a path.

    :param task: As it runs.
    :raises InvalidInput: A value cannot be used.
    """
    task.refuse_code_from_tasks(NAMES_OF_CODE)
    return ConversationParameters.of(vars(task)).wanted()


def read_answer(task: CallTask, *, wait_for_end: bool) -> tuple[AnswerPlan, Any]:
    """
    Read what calls are accepted with, rendered, and what is to happen in them.

    :param task: As it runs, with all fields of ``AnswerParameters``.
    :param wait_for_end: Whether the task stays with the call; then its tools are in the session.
    :return: The plan, and the ``WantedConversation``; ``None`` without ``wait_for_end``.
    :raises InvalidInput: A value cannot be used.
    """
    values = vars(task)
    if not wait_for_end:
        return read_plan(values), None
    plan = read_plan(values, ConversationParameters.of(values).offered_tools())
    wanted = read_conversation(task)
    return wanted.answered_with(plan), wanted


def run_in_triggerer(task: CallTask, context: Context, wanted: WantedConversation, call: SwitchboardCall) -> NoReturn:
    """
    Let the triggerer run an accepted call to its end; the task goes on in ``execute_complete``.

    :param task: The task.
    :param context: Airflow's.
    :param wanted: What is to happen.
    :param call: The call.
    """
    from airflow_openai_realtime.triggers.live_call import LiveCallTrigger

    hook = RealtimeHook(openai_realtime_conn_id=task.openai_realtime_conn_id)
    task.shown_call_id = call.call_id
    now = datetime.now(timezone.utc)
    left = max((call.hangup_at or now) - now, timedelta())
    task.defer(
        trigger=LiveCallTrigger(
            openai_realtime_conn_id=task.openai_realtime_conn_id,
            call_id=call.call_id,
            holder=owner_name(context["ti"]),
            conversation=wanted.of(call).seal(hook.api().api_key),
            connections=hand_over(hook.connection()),
        ),
        method_name="execute_complete",
        timeout=left + timedelta(seconds=AFTER_CALL_SECONDS),
    )
    raise AssertionError("unreachable: deferring raises")  # pragma: no cover


def call_that_is_over(event: Mapping[str, Any] | None) -> str:
    """
    Return the id of the call that a trigger has run to its end.

    :param event: The trigger's.
    :raises CallError: It could not be run.
    """
    if not event or event.get("status") != OVER:
        raise CallError(str((event or {}).get("message") or "the trigger ended without a result"))
    return str(event["call_id"])


def finished(
    task: CallTask, context: Context, switchboard: SwitchboardClient, call: SwitchboardCall, about: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the result of a call that is over, and do what is to be done with it: transcript, log, assets.

    :param task: The task.
    :param context: Airflow's.
    :param switchboard: Client of the line at its switchboard.
    :param call: The call.
    :param about: What is known of the attempt from which the call came; goes into the result.
    """
    from airflow_openai_realtime.conversation.run.finished_call import finished_call

    conversation = ConversationParameters.of(vars(task))
    over = finished_call(switchboard, call, owner_name(context["ti"]), conversation.price_table())
    result = over.result
    path = conversation.transcript_target()
    if path is not None:
        result = {**result, "transcript_path": keep_transcript(path, result, over.entries)}
    return report_result(task, context, result, about)


def report_result(
    task: CallTask, context: Context, result: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Report a result to log and assets, and return it.

    :param task: The task.
    :param context: Airflow's.
    :param result: What came of the call.
    :param about: As for :func:`finished`.
    """
    whole = {**result, **about}
    task.shown_call_id = whole.get("call_id")
    seconds = whole["talk_seconds"]
    task.log.info(
        "Call %s is over: %s (%s), %s.",
        whole.get("call_id"),
        whole["outcome"],
        whole["reason"],
        "not known how long" if seconds is None else f"{seconds} s",
    )
    tell_assets(task.outlets, context.get("outlet_events"), whole)
    return whole


def keep_transcript(path: str, result: Mapping[str, Any], entries: Iterable[TimelineEntry]) -> str:
    """
    Write the transcript of a call.

    :param path: Where to, checked: for example ``s3://aws_default@bucket/calls/``.
    :param result: What came of the call.
    :param entries: What happened in it.
    :return: The file.

    Retries: the same file is written again.
    """
    from airflow.sdk import ObjectStoragePath

    from airflow_openai_realtime.calls.timeline.transcript import transcript_content, transcript_file

    file = transcript_file(path, str(result["call_id"]))
    target = ObjectStoragePath(file)
    if target.protocol in ("", "file"):
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        stream.write(transcript_content(file, result, entries).encode())
    return file


def tell_assets(outlets: Iterable[Any], outlet_events: Any, result: Mapping[str, Any]) -> None:
    """
    Say on the event of each asset among a task's outlets which call is over and how; nothing personal.

    :param outlets: The task's outlets.
    :param outlet_events: The context's; ``None`` where there is none.
    :param result: What came of the call.
    """
    from airflow.sdk import Asset

    if outlet_events is None:
        return
    about = {name: result.get(name) for name in ("call_id", "line", "outcome")}
    for outlet in outlets:
        if isinstance(outlet, Asset):
            outlet_events[outlet].extra = about


def refuse_execution_timeout(operator: Any, instead: str) -> None:
    """
    Refuse ``execution_timeout`` for a task that waits in the triggerer.

    Airflow counts it in a worker, anew for each part of the task there; a deferred task outlives it unnoticed (Airflow
    3.3.2, ``task_runner._execute_task``).

    :param operator: The operator, just made.
    :param instead: The parameter of ours that limits the task.
    :raises InvalidInput: It is given, to the operator or in ``default_args``.
    """
    if operator.execution_timeout is not None:
        raise InvalidInput(
            "execution_timeout does not limit this task: Airflow counts it only in a worker, and the task waits in the "
            f"triggerer. Give {instead} instead; where default_args set it for all tasks, give execution_timeout=None "
            "to this one",
            field="execution_timeout",
        )
