"""Which call a task was given, and what it does when that call is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, get_args

from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.calls.parameters import CallReference, is_literal, read_call
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_openai_realtime.exceptions import OpenAIRealtimeError

#: What to do when the call is over: the task succeeds, is skipped (and what follows with it), or fails.
IfGone = Literal["succeed", "skip", "fail"]


class TaskWithCall(Protocol):
    """A task with the parameters ``call`` and ``call_id``."""

    call: Any
    call_id: str | None
    passed: frozenset[str]
    shown_call_id: str | None
    log: Any

    def plain(self, name: str) -> Any:
        """
        Return a field without a mask.

        :param name: Name of the field.
        """

    def ignore_shared(self, names: Iterable[str]) -> None:
        """
        Ignore values from ``default_args``.

        :param names: Parameters that the task has no use for.
        """


def check_call(task: TaskWithCall, if_gone: object = "succeed") -> None:
    """
    Reject ``call`` and ``call_id`` together, and literals that name no call. One of the two may be from default_args.

    :param task: As it is made.
    :param if_gone: Its parameter of that name, where it has one.
    :raises InvalidInput: Both are given, or a value that needs no rendering cannot be used.
    """
    check_if_gone(if_gone)
    if task.call is not None and task.call_id is not None and task.passed & {"call", "call_id"}:
        task.ignore_shared(["call", "call_id"])
    if task.call is not None and task.call_id is not None:
        raise InvalidInput("give call or call_id, not both", field="call_id")
    if is_literal(task.call) and is_literal(task.call_id):
        read_call(task.call, task.call_id)


def check_if_gone(if_gone: object) -> None:
    """
    Reject an unknown ``if_gone``.

    :param if_gone: As it was given.
    :raises InvalidInput: It is none of :data:`IfGone`.
    """
    if if_gone not in get_args(IfGone):
        raise InvalidInput(f"if_gone must be one of {', '.join(get_args(IfGone))}; it is {if_gone!r}", field="if_gone")


def call_of(task: TaskWithCall) -> CallReference:
    """
    Return which call a task was given, and let its link lead there.

    :param task: Rendered.
    :raises InvalidInput: There is none.
    """
    reference = read_call(task.plain("call"), task.call_id)
    if reference is None:
        raise InvalidInput(
            "there is no call: give call (the result of IncomingCallSensor) or call_id. If the task before may be "
            "skipped, let this one be skipped too (trigger_rule all_success)",
            field="call",
        )
    task.shown_call_id = reference.call_id
    return reference


def settle_gone(if_gone: IfGone, error: OpenAIRealtimeError, log: Any) -> None:
    """
    Do what ``if_gone`` says about a call that is over.

    :param if_gone: As it was given.
    :param error: Why the call is known to be over; raised with ``fail``.
    :param log: The task's.
    :raises AirflowSkipException: With ``skip``.
    """
    if if_gone == "fail":
        raise error
    if if_gone == "skip":
        skip(f"{error} (if_gone='skip')", log)
    log.info("%s (if_gone='succeed')", error)


def skip(message: str, log: Any) -> NoReturn:
    """
    Skip a task.

    :param message: Why; it is logged.
    :param log: The task's.
    :raises AirflowSkipException: Always.
    """
    log.info("%s", message)
    raise AirflowSkipException(message)


def report_done(report: Callable[[], object], call_id: str, log: Any) -> None:
    """
    Report to the switchboard what was done; when it cannot be reached, what was done stays done.

    :param report: The request.
    :param call_id: The call.
    :param log: The task's.
    """
    try:
        report()
    except SwitchboardError as error:
        log.warning("Could not report to the switchboard about call %s: %s", call_id, error)
