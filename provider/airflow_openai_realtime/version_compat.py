"""What differs between the Airflow versions that are supported (3.2 and later)."""

from __future__ import annotations

from airflow.sdk import Connection

#: From 3.3.2 on, looking a connection up inside an event loop masks its secrets without blocking the loop.
#: Before, ``BaseHook.aget_connection`` may raise ``DeadlockImminentError`` or stall the triggerer.
#: Source: https://github.com/apache/airflow/issues/71891
ASYNC_CONNECTIONS_ARE_SAFE = hasattr(Connection, "aextra_dejson")
