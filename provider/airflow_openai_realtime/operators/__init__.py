"""
Operators that place, claim, accept, transfer, decline, watch and end calls, and open lines that need no task.

Each is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_openai_realtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from airflow_openai_realtime.operators.accept import AcceptCallOperator
    from airflow_openai_realtime.operators.claim import ClaimCallsOperator
    from airflow_openai_realtime.operators.hang_up import HangupCallOperator
    from airflow_openai_realtime.operators.line import CloseLineOperator, OpenLineOperator
    from airflow_openai_realtime.operators.place import PlaceCallOperator
    from airflow_openai_realtime.operators.refer import ReferCallOperator
    from airflow_openai_realtime.operators.reject import RejectCallOperator
    from airflow_openai_realtime.operators.watch import WatchCallOperator

__all__ = [
    "AcceptCallOperator",
    "ClaimCallsOperator",
    "CloseLineOperator",
    "HangupCallOperator",
    "OpenLineOperator",
    "PlaceCallOperator",
    "ReferCallOperator",
    "RejectCallOperator",
    "WatchCallOperator",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "AcceptCallOperator": "airflow_openai_realtime.operators.accept",
        "ClaimCallsOperator": "airflow_openai_realtime.operators.claim",
        "CloseLineOperator": "airflow_openai_realtime.operators.line",
        "HangupCallOperator": "airflow_openai_realtime.operators.hang_up",
        "OpenLineOperator": "airflow_openai_realtime.operators.line",
        "PlaceCallOperator": "airflow_openai_realtime.operators.place",
        "ReferCallOperator": "airflow_openai_realtime.operators.refer",
        "RejectCallOperator": "airflow_openai_realtime.operators.reject",
        "WatchCallOperator": "airflow_openai_realtime.operators.watch",
    },
)
