"""Waiting for an accepted call to end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY, is_literal, read_call
from airflow_openai_realtime.exceptions import CallError, InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.switchboard.records import SwitchboardCall

#: How much longer than the call the deferral may last, in seconds; only a backstop.
BACKSTOP_SECONDS = 120


class WatchCallOperator(BaseOperator):
    """
    Wait until an accepted call is over, in the triggerer; at its ``hangup_at`` it is hung up.

    When the task is killed or cleared while it waits (Airflow 3.3 and later), the call is hung up.

    Retries: the watch attaches to the call again; what is over is over.

    :param call: The call as ``AcceptCallOperator`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``. A busy scheduler can fail a
        task whose trigger fires soon after it deferred.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :return: ``call_id``, ``outcome`` (``ended``, ``max_duration``, or ``gone`` when it was over before the watch began)
        and ``ended_at``.
    :raises UnknownCall: The switchboard has never seen the call.
    :raises InvalidInput: The call was not accepted.

    Source: https://developers.openai.com/api/docs/guides/voice-server-controls
    """

    template_fields: Sequence[str] = ("call", "call_id", "openai_realtime_conn_id")
    ui_color = "#e8f3ee"

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.call = call
        self.call_id = call_id
        self.openai_realtime_conn_id = openai_realtime_conn_id
        if call is not None and call_id is not None:
            raise InvalidInput("give call or call_id, not both", field="call_id")
        if is_literal(call) and is_literal(call_id):
            read_call(call, call_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Look whether the call is over already, else wait in the triggerer; see the class."""
        reference = read_call(self.call, self.call_id)
        if reference is None:
            raise InvalidInput(
                "there is no call: give call (the result of AcceptCallOperator) or call_id", field="call"
            )
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            row = switchboard.call(reference.call_id)
        if row.is_over:
            return _result(row)
        if row.hangup_at is None:
            raise InvalidInput(
                f"call {row.call_id} is {row.state}, not accepted; put AcceptCallOperator before this task",
                field="call",
            )
        self._wait(row.call_id, row.hangup_at)
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def _wait(self, call_id: str, hangup_at: datetime) -> None:
        from airflow_openai_realtime.triggers.watch import WatchCallTrigger

        left = max(hangup_at - datetime.now(timezone.utc), timedelta())
        self.defer(
            trigger=WatchCallTrigger(
                call_id=call_id,
                hangup_at=hangup_at.isoformat(),
                openai_realtime_conn_id=self.openai_realtime_conn_id,
            ),
            method_name="execute_complete",
            timeout=left + timedelta(seconds=BACKSTOP_SECONDS),
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return how the call ended."""
        if not event or event.get("status") != "over":
            raise CallError(str((event or {}).get("message") or "the watch ended without a result"))
        result: dict[str, Any] = event["result"]
        self.log.info("Call %s is over: %s.", result["call_id"], result["outcome"])
        return result


def _result(row: SwitchboardCall) -> dict[str, Any]:
    """Return how a call ended that was over before the watch began, as the switchboard knows it."""
    ended_at = row.ended_at or datetime.now(timezone.utc)
    if row.state == "ended" and row.end_reason != "gone":
        outcome = "max_duration" if row.end_reason == "max_duration" else "ended"
    else:
        outcome = "gone"
    return {"call_id": row.call_id, "outcome": outcome, "ended_at": ended_at.isoformat()}
