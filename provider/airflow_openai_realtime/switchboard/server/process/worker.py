"""One worker process of a standalone switchboard; uvicorn makes its application here."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading

from fastapi import FastAPI

from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.process.configuration import (
    configured_lines,
    configured_settings,
    configured_store_url,
)
from airflow_openai_realtime.switchboard.server.process.logs import MaskingFormatter
from airflow_openai_realtime.switchboard.server.store import Store

LOG_LEVEL = "OPENAI_REALTIME_LOG_LEVEL"


def app_from_environment() -> FastAPI:
    """The application of one worker process; uvicorn calls it there."""
    configure_logging()
    _end_with_parent()
    settings = configured_settings(os.environ)
    store = Store(configured_store_url(os.environ), threads=settings.store_threads)
    return create_app(store, configured_lines(os.environ), settings=settings)


def configure_logging() -> None:
    """Logs go to stderr, one line each; no access log, since paths and queries name callers."""
    level = os.environ.get(LOG_LEVEL, "INFO").upper()
    handler = logging.StreamHandler()
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # What others log in detail holds keys, sessions and numbers.
    for name in ("uvicorn", "alembic", "httpx", "httpcore", "websockets", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _end_with_parent() -> None:
    """End a worker whose supervisor was killed, as on a signal to stop: it would keep the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="switchboard-parent").start()
