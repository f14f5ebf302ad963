"""
The Airflow plugin: mounts the switchboard in Airflow's API server.

Every Airflow process imports this module, so it imports nothing of weight. Only the API server reads ``fastapi_apps``.

Source: https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

#: Path under Airflow's address where the switchboard answers; the webhook is at ``/openai-realtime/webhook/{line}``.
URL_PREFIX = "/openai-realtime"


class OpenAIRealtimePlugin(AirflowPlugin):
    """Mounts the switchboard at ``/openai-realtime`` of the API server."""

    name = "openai_realtime"

    def __init__(self) -> None:
        super().__init__()
        self._apps: list[dict[str, Any]] | None = None

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """
        The switchboard as an app to mount, built when it is first asked for and kept.

        :return: One entry with ``app``, ``url_prefix`` and ``name``. When the switchboard cannot be made, ``app``
            answers 503 to everything and the log says why: an exception here would end Airflow's API server.
        """
        if self._apps is None:
            self._apps = [{"app": _switchboard(), "url_prefix": URL_PREFIX, "name": "OpenAI Realtime switchboard"}]
        return self._apps


def _switchboard() -> Any:
    try:
        from airflow_openai_realtime.switchboard.mounted import create_mounted_app

        return create_mounted_app()
    except Exception:
        log.exception("switchboard.unusable: it cannot be made, so %s answers 503; no call comes in", URL_PREFIX)
        from airflow_openai_realtime.switchboard.out_of_order import out_of_order

        return out_of_order()
