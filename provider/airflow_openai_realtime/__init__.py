"""
Phone calls handled by an AI voice, run from Apache Airflow (OpenAI Realtime over SIP).

What a DAG author uses can be imported from here; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_openai_realtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.hooks.realtime import RealtimeHook
    from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
    from airflow_openai_realtime.operators.accept import AcceptCallOperator
    from airflow_openai_realtime.operators.claim import ClaimCallsOperator
    from airflow_openai_realtime.operators.hang_up import HangupCallOperator
    from airflow_openai_realtime.operators.line import CloseLineOperator, OpenLineOperator
    from airflow_openai_realtime.operators.place import PlaceCallOperator
    from airflow_openai_realtime.operators.refer import ReferCallOperator
    from airflow_openai_realtime.operators.reject import RejectCallOperator
    from airflow_openai_realtime.operators.watch import WatchCallOperator
    from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "AcceptCallOperator",
    "ClaimCallsOperator",
    "CloseLineOperator",
    "HangupCallOperator",
    "IncomingCallSensor",
    "OpenLineOperator",
    "PlaceCallOperator",
    "RealtimeHook",
    "RealtimeSession",
    "ReferCallOperator",
    "RejectCallOperator",
    "TelephonyCarrierHook",
    "WatchCallOperator",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "AcceptCallOperator": "airflow_openai_realtime.operators.accept",
        "ClaimCallsOperator": "airflow_openai_realtime.operators.claim",
        "CloseLineOperator": "airflow_openai_realtime.operators.line",
        "HangupCallOperator": "airflow_openai_realtime.operators.hang_up",
        "IncomingCallSensor": "airflow_openai_realtime.sensors.incoming_call",
        "OpenLineOperator": "airflow_openai_realtime.operators.line",
        "PlaceCallOperator": "airflow_openai_realtime.operators.place",
        "RealtimeHook": "airflow_openai_realtime.hooks.realtime",
        "RealtimeSession": "airflow_openai_realtime.api.session.realtime_session",
        "ReferCallOperator": "airflow_openai_realtime.operators.refer",
        "RejectCallOperator": "airflow_openai_realtime.operators.reject",
        "TelephonyCarrierHook": "airflow_openai_realtime.hooks.telephony_carrier",
        "WatchCallOperator": "airflow_openai_realtime.operators.watch",
    },
)
