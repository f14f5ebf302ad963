"""What all operators on one call share: which call it is, and what to do when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.calls.parameters import CallReference, is_literal, read_call
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL, HasCallLink
from airflow_openai_realtime.operators.masked_fields import MaskedFields
from airflow_openai_realtime.operators.template_fields import RenderedTask, drop_shared_defaults

if TYPE_CHECKING:
    from airflow_openai_realtime.exceptions import OpenAIRealtimeError

#: What to do when the call is over: the task succeeds, is skipped (and what follows with it), or fails.
IfGone = Literal["succeed", "skip", "fail"]


class CallOperator(MaskedFields, HasCallLink, RenderedTask, BaseOperator):
    """
    Base of the operators that do something with one call.

    :param call: The call as ``IncomingCallSensor`` or ``AcceptCallOperator`` returns it, or its id. Templated.
    :param call_id: Its id alone (``rtc_u1_abc``), instead of ``call``. Templated.
    :param if_gone: What to do when the call is over: ``succeed``, ``skip`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param map_index_template: What a mapped task is called in Airflow; contact and masked number unless given.
    :raises InvalidInput: A value that needs no rendering cannot be used.
    """

    template_fields: Sequence[str] = ("call", "call_id", "openai_realtime_conn_id")
    masked_fields = ("call",)
    ui_color = "#e8f3ee"

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        if_gone: IfGone,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.call = call
        self.call_id = call_id
        self.if_gone = if_gone
        self.openai_realtime_conn_id = openai_realtime_conn_id
        if if_gone not in get_args(IfGone):
            raise InvalidInput(
                f"if_gone must be one of {', '.join(get_args(IfGone))}; it is {if_gone!r}", field="if_gone"
            )
        if call is not None and call_id is not None and self._passed & {"call", "call_id"}:
            drop_shared_defaults(self, ["call", "call_id"])
            call, call_id = self.call, self.call_id
        if call is not None and call_id is not None:
            raise InvalidInput("give call or call_id, not both", field="call_id")
        if is_literal(call) and is_literal(call_id):
            read_call(call, call_id)

    @property
    def hook(self) -> RealtimeHook:
        """A hook for the connection."""
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)

    def reference(self) -> CallReference:
        """
        Return which call is meant.

        :raises InvalidInput: There is none.
        """
        reference = read_call(self._plain("call"), self.call_id)
        if reference is None:
            raise InvalidInput(
                "there is no call: give call (the result of IncomingCallSensor) or call_id. If the task before may be "
                "skipped, let this one be skipped too (trigger_rule all_success)",
                field="call",
            )
        self.shown_call_id = reference.call_id
        return reference

    def report(self, line: str) -> None:
        """Write a line to the task's log."""
        self.log.info("%s", line)

    def settle_gone(self, error: OpenAIRealtimeError) -> None:
        """
        Do what ``if_gone`` says about a call that is over.

        :param error: Why it is known to be over; raised with ``fail``.
        :raises AirflowSkipException: With ``skip``.
        """
        if self.if_gone == "fail":
            raise error
        if self.if_gone == "skip":
            self.skip(f"{error} (if_gone='skip')")
        self.log.info("%s (if_gone='succeed')", error)

    def _tell(self, move: Callable[[], object], call_id: str) -> None:
        """Tell the switchboard what was done; when it cannot be told, what was done stays done."""
        try:
            move()
        except SwitchboardError as error:
            self.log.warning("Could not report to the switchboard about call %s: %s", call_id, error)

    def skip(self, message: str) -> NoReturn:
        """Skip this task, saying why in its log."""
        self.log.info("%s", message)
        raise AirflowSkipException(message)
