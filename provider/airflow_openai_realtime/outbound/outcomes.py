"""Outcomes of attempts to reach a person."""

from __future__ import annotations

from airflow_openai_realtime.outbound.carriers.port import CarrierCall
from airflow_openai_realtime.states import AttemptOutcome

#: After the carrier says that an answered call is over: how long its webhook may still be under way, in seconds.
LATE_WEBHOOK_SECONDS = 5.0

_BY_STATUS = {
    "busy": AttemptOutcome.BUSY,
    "no-answer": AttemptOutcome.NO_ANSWER,
    "failed": AttemptOutcome.FAILED,
    "canceled": AttemptOutcome.CANCELED,
    "completed": AttemptOutcome.GONE,
}


def outcome_of(call: CarrierCall) -> str:
    """
    Say what a carrier's final status means for an attempt whose call never came in.

    :param call: The carrier's answer about a call.
    :return: ``busy``, ``no_answer``, ``failed``, ``canceled`` or ``gone``.
    """
    return _BY_STATUS.get(call.status, AttemptOutcome.FAILED)
