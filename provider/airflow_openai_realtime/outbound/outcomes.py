"""What became of an attempt to reach somebody, in words."""

from __future__ import annotations

from airflow_openai_realtime.outbound.carriers.port import CarrierCall

#: The call came in.
ANSWERED = "answered"
#: The carrier refused the order, or the call failed.
FAILED = "failed"
#: Somebody (or a voicemail) picked up, but the call did not reach OpenAI, or was over before anyone could take it.
GONE = "gone"

#: After the carrier says that an answered call is over: how long its webhook may still be under way, in seconds.
LATE_WEBHOOK_SECONDS = 5.0

_BY_STATUS = {
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": FAILED,
    "canceled": "canceled",
    "completed": GONE,
}


def outcome_of(call: CarrierCall) -> str:
    """
    Say what a carrier's final status means for an attempt whose call never came in.

    :return: ``busy``, ``no_answer``, ``failed``, ``canceled`` or ``gone``.
    """
    return _BY_STATUS.get(call.status, FAILED)
