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
    return f"/plugin/{URL_ROUTE}#/{quote(conn_id, safe='')}/{quote(call_id, safe='')}"
