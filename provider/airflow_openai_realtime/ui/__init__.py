"""
The Calls page: live and recent calls in Airflow's UI, behind Airflow's login and permissions.

The API server serves it, as an application of its own beside the switchboard; the UI shows it in a frame and names it
in its navigation. The page is one static document; everything on it comes as JSON, for the user who asks.
"""

from __future__ import annotations

from urllib.parse import quote

URL_PREFIX = "/openai-realtime-calls"
"""Path under Airflow's address where the page is; unlike the switchboard's, for people."""

URL_ROUTE = "openai-realtime-calls"
"""Name of the page in the UI: ``/plugin/openai-realtime-calls``."""


def path_of_call(conn_id: str, call_id: str) -> str:
    """
    Where Airflow's UI shows one call, below Airflow's address.

    :param conn_id: The ``openai_realtime`` connection that the call came in on.
    :param call_id: OpenAI's id of the call.
    """
    return _path(conn_id, call_id)


def path_of_attempt(conn_id: str, attempt_id: str) -> str:
    """
    Where Airflow's UI shows an attempt to reach a person, and its call as soon as there is one.

    :param conn_id: The ``openai_realtime`` connection with whose ledger it is.
    :param attempt_id: The ledger's row.
    """
    return _path("attempt", conn_id, attempt_id)


def path_of_claimed(conn_id: str, claimant: str) -> str:
    """
    Where Airflow's UI shows the call of a task that waits for one, as soon as there is one.

    :param conn_id: The ``openai_realtime`` connection on which the task waits.
    :param claimant: Stable name of the task, ``dag/run/task/map_index``.
    """
    return _path("task", conn_id, claimant)


def _path(*parts: str) -> str:
    return f"/plugin/{URL_ROUTE}#/{'/'.join(quote(part, safe='') for part in parts)}"
