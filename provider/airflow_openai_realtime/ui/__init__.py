"""
The Calls page: live and recent calls in Airflow's UI, behind Airflow's login and permissions.

The API server serves it as an application of its own, beside the switchboard; the UI shows it in a frame and lists it
in its navigation. The page is one static document. It loads its data as JSON, made for the requesting user.
"""

from __future__ import annotations

from urllib.parse import quote

URL_PREFIX = "/openai-realtime-calls"
"""Path of the page under Airflow's address; unlike the switchboard's path, for users."""

URL_ROUTE = "openai-realtime-calls"
"""Name of the page in the UI: ``/plugin/openai-realtime-calls``."""


def path_of_call(conn_id: str, call_id: str) -> str:
    """
    Return the path of a call in Airflow's UI, below Airflow's address.

    :param conn_id: The ``openai_realtime`` connection that the call came in on.
    :param call_id: OpenAI's id of the call.
    """
    return _path(conn_id, call_id)


def path_of_attempt(conn_id: str, attempt_id: str) -> str:
    """
    Return the path of an attempt in Airflow's UI. It shows the attempt's call as soon as there is one.

    :param conn_id: The ``openai_realtime`` connection whose ledger contains it.
    :param attempt_id: Id of the attempt.
    """
    return _path("attempt", conn_id, attempt_id)


def path_of_claimed(conn_id: str, owner: str) -> str:
    """
    Return the path in Airflow's UI for a task that waits for a call. It shows the call as soon as there is one.

    :param conn_id: The ``openai_realtime`` connection on which the task waits.
    :param owner: Stable name of the task, ``dag/run/task/map_index``.
    """
    return _path("task", conn_id, owner)


def _path(*parts: str) -> str:
    return f"/plugin/{URL_ROUTE}#/{'/'.join(quote(part, safe='') for part in parts)}"
