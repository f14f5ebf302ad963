"""Staying with an accepted call until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY, is_literal, read_call
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.conversation_operator import ConversationOperator
from airflow_openai_realtime.operators.masked_fields import MaskedFields
from airflow_openai_realtime.operators.template_fields import as_written, check_rendered, drop_shared_defaults

if TYPE_CHECKING:
    from airflow.sdk import Context


class WatchCallOperator(MaskedFields, ConversationOperator):
    """
    Stay with an accepted call until it is over, in the triggerer, and return what came of it.

    Whoever accepted it: ``AcceptCallOperator``, ``AnswerCallOperator``, or a standing order whose call
    ``TakeCallOperator`` took over. By itself it only listens and writes down; at the call's ``hangup_at`` it hangs up.
    It steers the call as well when it is told to: with ``greeting``, ``result_model``, ``functions`` and so on, the
    parameters of :class:`~airflow_openai_realtime.operators.conversation_operator.ConversationOperator`.

    One task at a time runs a call. When another one attaches to it, this one waits for the result of that.

    When the task is marked as failed or successful while it waits, or its run fails, the call ends; when it is cleared,
    the call waits a minute for the next try (Airflow 3.3 and later).

    Retries: it attaches to the call again and goes on from what was saved; of a call that is over it returns the
    result.

    :param call: The call as ``AcceptCallOperator`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Templated.
    :param silence_seconds: How long nobody may speak, in seconds above 0, before the call is hung up; ``None``
        (default): for ever. Templated.
    :param end_call: Whether the model may end the call itself; here not, unless told. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``. A busy scheduler can fail a
        task whose trigger fires soon after it deferred.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :return: The result of the call, as
        :class:`~airflow_openai_realtime.calls.result.CallResult` describes it.
    :raises UnknownCall: The switchboard has never seen the call.
    :raises InvalidInput: The call was not accepted, or a value cannot be used.

    Source: https://developers.openai.com/api/docs/guides/voice-server-controls
    """

    template_fields: Sequence[str] = (
        "call",
        "call_id",
        *ConversationOperator.template_fields,
        "openai_realtime_conn_id",
    )
    masked_fields = ("call",)
    ui_color = "#e8f3ee"

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        silence_seconds: float | str | None = None,
        end_call: bool | str = False,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("wait_for_end", True):
            raise InvalidInput("WatchCallOperator always waits for the end", field="wait_for_end")
        super().__init__(
            wait_for_end=True,
            silence_seconds=silence_seconds,
            end_call=end_call,
            retries=retries,
            retry_delay=retry_delay,
            **kwargs,
        )
        self.call = call
        self.call_id = call_id
        self.openai_realtime_conn_id = openai_realtime_conn_id
        if call is not None and call_id is not None and self._passed & {"call", "call_id"}:
            drop_shared_defaults(self, ["call", "call_id"])
            call, call_id = self.call, self.call_id
        if call is not None and call_id is not None:
            raise InvalidInput("give call or call_id, not both", field="call_id")
        if is_literal(call) and is_literal(call_id):
            read_call(call, call_id)
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Look whether the call is over already, else stay with it in the triggerer; see the class."""
        check_rendered(self)
        reference = read_call(self._plain("call"), self.call_id)
        if reference is None:
            raise InvalidInput(
                "there is no call: give call (the result of AcceptCallOperator) or call_id", field="call"
            )
        wanted = self._conversation()
        with self._line_hook().switchboard() as switchboard:
            row = switchboard.call(reference.call_id)
            if row.is_over:
                return self._finished(context, switchboard, row)
        if row.hangup_at is None:
            raise InvalidInput(
                f"call {row.call_id} is {row.state}, not accepted; put AcceptCallOperator before this task",
                field="call",
            )
        return self._run_in_triggerer(context, wanted, row)
