"""The page inside Airflow's API server, with Airflow's users and connections, and the switchboard mounted there."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import FastAPI

from airflow_openai_realtime.switchboard.mounted import configured_store_url
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.out_of_order import out_of_order
from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.ui.airflow_auth import airflow_auth
from airflow_openai_realtime.ui.airflow_backend import AirflowBackend, StandaloneLines, shared_secret
from airflow_openai_realtime.ui.directory import CallDirectory
from airflow_openai_realtime.ui.page import CallsPage
from airflow_openai_realtime.ui.page_app import create_calls_page
from airflow_openai_realtime.ui.page_cursors import SealedCursors
from airflow_openai_realtime.ui.sources import Source, StoreSource

log = logging.getLogger(__name__)

STORE_THREADS = 2


def create_mounted_page() -> FastAPI:
    """
    Make the application that the plugin mounts.

    Opens no connection. If the URL of the store is invalid, the application answers every request with 503, and the log
    says why.
    """
    try:
        store = Store(configured_store_url(), threads=STORE_THREADS)
    except Exception as problem:
        # No traceback: an error about the store's URL may contain its password.
        log.error(logs.line("calls_page.unusable", kind=type(problem).__name__, error=problem))
        return out_of_order()
    mounted, standalone = StoreSource(store, utc_now), StandaloneLines()

    def sources() -> Sequence[Source]:
        return [mounted, *standalone()]

    page = CallsPage(
        CallDirectory(sources), AirflowBackend(), airflow_auth, utc_now, cursors=SealedCursors(shared_secret())
    )
    return create_calls_page(page)
