"""
For tests of DAGs: everything that a call needs, in one process, without a scheduler.

The pytest fixture ``realtime_airflow`` is there as soon as the package is installed; see ``docs/testing.md``. Its type
can be imported from here, and is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_openai_realtime.lazy import lazy_attributes

if TYPE_CHECKING:
    from airflow_openai_realtime.testing.local_airflow import RealtimeAirflow, TestedRun

__all__ = ["RealtimeAirflow", "TestedRun"]

__getattr__ = lazy_attributes(
    __name__,
    {
        "RealtimeAirflow": "airflow_openai_realtime.testing.local_airflow",
        "TestedRun": "airflow_openai_realtime.testing.local_airflow",
    },
)
