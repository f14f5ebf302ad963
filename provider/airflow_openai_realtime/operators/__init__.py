"""
Operators that place, claim, answer, accept, transfer, decline, watch and end calls.

Each is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_openai_realtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from airflow_openai_realtime.operators.accept import AcceptCallOperator
    from airflow_openai_realtime.operators.answer import AnswerCallOperator
    from airflow_openai_realtime.operators.claim import ClaimCallOperator, ClaimRingingCallsOperator
    from airflow_openai_realtime.operators.hang_up import HangupCallOperator
    from airflow_openai_realtime.operators.line import CloseLineOperator, OpenLineOperator
    from airflow_openai_realtime.operators.place import PlaceCallOperator
    from airflow_openai_realtime.operators.refer import ReferCallOperator
    from airflow_openai_realtime.operators.reject import RejectCallOperator
    from airflow_openai_realtime.operators.start_runs import StartRunPerCallOperator
    from airflow_openai_realtime.operators.take import TakeCallOperator
    from airflow_openai_realtime.operators.watch import WatchCallOperator

__all__ = [
    "AcceptCallOperator",
    "AnswerCallOperator",
    "ClaimCallOperator",
    "ClaimRingingCallsOperator",
    "CloseLineOperator",
    "HangupCallOperator",
    "OpenLineOperator",
    "PlaceCallOperator",
    "ReferCallOperator",
    "RejectCallOperator",
    "StartRunPerCallOperator",
    "TakeCallOperator",
    "WatchCallOperator",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "AcceptCallOperator": "airflow_openai_realtime.operators.accept",
        "AnswerCallOperator": "airflow_openai_realtime.operators.answer",
        "ClaimCallOperator": "airflow_openai_realtime.operators.claim",
        "ClaimRingingCallsOperator": "airflow_openai_realtime.operators.claim",
        "CloseLineOperator": "airflow_openai_realtime.operators.line",
        "HangupCallOperator": "airflow_openai_realtime.operators.hang_up",
        "OpenLineOperator": "airflow_openai_realtime.operators.line",
        "PlaceCallOperator": "airflow_openai_realtime.operators.place",
        "ReferCallOperator": "airflow_openai_realtime.operators.refer",
        "RejectCallOperator": "airflow_openai_realtime.operators.reject",
        "StartRunPerCallOperator": "airflow_openai_realtime.operators.start_runs",
        "TakeCallOperator": "airflow_openai_realtime.operators.take",
        "WatchCallOperator": "airflow_openai_realtime.operators.watch",
    },
)
