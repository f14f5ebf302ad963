"""What differs between the Airflow versions that are supported (3.2 and later)."""

from __future__ import annotations


def async_connections_are_safe() -> bool:
    """
    Tell whether looking a connection up inside an event loop masks its secrets without blocking the loop.

    Before Airflow 3.3.2, ``BaseHook.aget_connection`` may raise ``DeadlockImminentError`` or stall the triggerer.

    Source: https://github.com/apache/airflow/issues/71891
    """
    from airflow.sdk import Connection

    return hasattr(Connection, "aextra_dejson")


def has_acknowledged_streams() -> bool:
    """
    Tell whether event triggers can share a stream whose source hears when an event was stored (Airflow 3.3).

    Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """
    from airflow.triggers.base import BaseEventTrigger

    return hasattr(BaseEventTrigger, "create_shared_stream_producer")
