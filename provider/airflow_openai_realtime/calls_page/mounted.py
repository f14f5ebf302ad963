"""The page inside Airflow's API server: Airflow's users, its connections, and the switchboard that is mounted there."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import FastAPI

from airflow_openai_realtime.calls_page.airflow_door import airflow_door
from airflow_openai_realtime.calls_page.airflow_office import AirflowOffice, StandaloneLines, shared_secret
from airflow_openai_realtime.calls_page.app import create_calls_page
from airflow_openai_realtime.calls_page.cursors import SealedCursors
from airflow_openai_realtime.calls_page.directory import CallDirectory
from airflow_openai_realtime.calls_page.page import CallsPage
from airflow_openai_realtime.calls_page.sources import Source, StoreSource
from airflow_openai_realtime.switchboard import logs
from airflow_openai_realtime.switchboard.mounted import configured_store_url
from airflow_openai_realtime.switchboard.out_of_order import out_of_order
from airflow_openai_realtime.switchboard.service import utc_now
from airflow_openai_realtime.switchboard.store import Store

log = logging.getLogger(__name__)

STORE_THREADS = 2


def create_mounted_page() -> FastAPI:
    """
    Make the application that the plugin mounts.

    Opens nothing. With a store whose address cannot be used, it answers 503 to everything and the log says why.
    """
    try:
        store = Store(configured_store_url(), threads=STORE_THREADS)
    except Exception as problem:
        # No traceback: an error about the store's address may hold its password.
        log.error(logs.line("calls_page.unusable", kind=type(problem).__name__, error=problem))
        return out_of_order()
    mounted, standalone = StoreSource(store, utc_now), StandaloneLines()

    def sources() -> Sequence[Source]:
        return [mounted, *standalone()]

    page = CallsPage(
        CallDirectory(sources), AirflowOffice(), airflow_door, utc_now, cursors=SealedCursors(shared_secret())
    )
    return create_calls_page(page)
