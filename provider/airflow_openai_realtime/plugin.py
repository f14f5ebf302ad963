"""
The Airflow plugin: mounts the switchboard and the Calls page in Airflow's API server, and the page in its navigation.

Every Airflow process imports this module, so it imports nothing of weight. Only the API server reads ``fastapi_apps``
and ``external_views``.

Source: https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/plugins.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from airflow_openai_realtime.switchboard import MOUNTED_AT
from airflow_openai_realtime.ui import URL_PREFIX as PAGE_URL_PREFIX
from airflow_openai_realtime.ui import URL_ROUTE as PAGE_URL_ROUTE

log = logging.getLogger(__name__)

#: Path under Airflow's address where the switchboard answers; the webhook is at ``/openai-realtime/webhook/{line}``.
URL_PREFIX = MOUNTED_AT


class OpenAIRealtimePlugin(AirflowPlugin):
    """Mounts the switchboard at ``/openai-realtime`` of the API server, and the Calls page beside it."""

    name = "openai_realtime"

    def __init__(self) -> None:
        super().__init__()
        self._apps: list[dict[str, Any]] | None = None
        self._views: list[dict[str, Any]] | None = None

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """
        The switchboard and the Calls page as apps to mount, built when they are first asked for and kept.

        :return: Entries with ``app``, ``url_prefix`` and ``name``. When one cannot be made, its ``app`` answers 503 to
            everything and the log says why: an exception here would end Airflow's API server.
        """
        if self._apps is None:
            self._apps = [
                {
                    "app": _app_or_out_of_order(_switchboard, "switchboard", URL_PREFIX, "no call comes in"),
                    "url_prefix": URL_PREFIX,
                    "name": "OpenAI Realtime switchboard",
                },
                {
                    "app": _app_or_out_of_order(_calls_page, "calls_page", PAGE_URL_PREFIX, "calls are not shown"),
                    "url_prefix": PAGE_URL_PREFIX,
                    "name": "OpenAI Realtime calls page",
                },
            ]
        return self._apps

    @property
    def external_views(self) -> list[dict[str, Any]]:
        """The Calls page in the navigation of Airflow's UI, which shows it in a frame."""
        if self._views is None:
            page = f"{_base_path()}{PAGE_URL_PREFIX}"
            self._views = [
                {
                    "name": "Calls",
                    "href": f"{page}/",
                    "destination": "nav",
                    "url_route": PAGE_URL_ROUTE,
                    "nav_top_level": True,
                    "icon": f"{page}/assets/calls.svg",
                    "icon_dark_mode": f"{page}/assets/calls_dark.svg",
                }
            ]
        return self._views


def _base_path() -> str:
    """The path that Airflow is reached under, without a slash at its end; usually empty."""
    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def _switchboard() -> Any:
    from airflow_openai_realtime.switchboard.mounted import create_mounted_app

    return create_mounted_app()


def _calls_page() -> Any:
    from airflow_openai_realtime.ui.mounted_page import create_mounted_page

    return create_mounted_page()


def _app_or_out_of_order(make: Callable[[], Any], what: str, url_prefix: str, effect: str) -> Any:
    try:
        return make()
    except Exception:
        log.exception("%s.unusable: it cannot be made, so %s answers 503; %s", what, url_prefix, effect)
        from airflow_openai_realtime.switchboard.server.process.out_of_order import out_of_order

        return out_of_order()
