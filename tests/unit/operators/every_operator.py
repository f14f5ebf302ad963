"""Every public operator and sensor with the least that it needs, for tests of what holds for all of them."""

from __future__ import annotations

from typing import Any

from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    AnswerCallOperator,
    ClaimCallOperator,
    ClaimRingingCallsOperator,
    CloseLineOperator,
    HangupCallOperator,
    OpenLineOperator,
    PlaceCallOperator,
    ReferCallOperator,
    RejectCallOperator,
    StartRunPerCallOperator,
    TakeCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.sensors import IncomingCallSensor

_CALLS: dict[str, list[Any]] = {"call_id": ["rtc_1", "rtc_2"]}
_NUMBERS: dict[str, list[Any]] = {"to": ["+14155550142", "+14155550143"]}
_NAMES = ["one", "two"]

#: For each: what it needs, and what it may be mapped over.
EVERY: dict[type[Any], tuple[dict[str, Any], dict[str, list[Any]]]] = {
    AcceptCallOperator: ({}, _CALLS),
    AnswerCallOperator: ({}, _NUMBERS),
    ClaimCallOperator: ({}, _CALLS),
    ClaimRingingCallsOperator: ({}, _NUMBERS),
    CloseLineOperator: ({}, {"name": _NAMES}),
    HangupCallOperator: ({}, _CALLS),
    IncomingCallSensor: ({}, _NUMBERS),
    OpenLineOperator: ({}, {"name": _NAMES}),
    PlaceCallOperator: ({"campaign": "reminders"}, _NUMBERS),
    ReferCallOperator: ({"target_uri": "tel:+14155550199"}, _CALLS),
    RejectCallOperator: ({}, _CALLS),
    StartRunPerCallOperator: ({}, {"trigger_dag_id": _NAMES}),
    TakeCallOperator: ({}, {"order": _NAMES}),
    WatchCallOperator: ({}, _CALLS),
}


def least(operator: type[Any]) -> dict[str, Any]:
    """Arguments of a plain task, without its id."""
    given, mapped_over = EVERY[operator]
    return {**given, **{name: values[0] for name, values in mapped_over.items()}}
