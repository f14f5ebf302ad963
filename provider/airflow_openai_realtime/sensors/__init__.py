"""Sensors that wait for calls. Each is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_openai_realtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor

__all__ = ["IncomingCallSensor"]

__getattr__ = lazy_attributes(__name__, {"IncomingCallSensor": "airflow_openai_realtime.sensors.incoming_call"})
