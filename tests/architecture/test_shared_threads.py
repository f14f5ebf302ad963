"""
No request of ours uses the threads that Airflow's API answers with.

FastAPI and Starlette call routes, dependencies and error handlers that are no coroutine functions in the one pool of
threads that Airflow's own routes use as well: 40 slow requests there stop all of Airflow's API.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Route

from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.process.out_of_order import out_of_order
from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.ui.airflow_auth import airflow_auth
from airflow_openai_realtime.ui.directory import CallDirectory
from airflow_openai_realtime.ui.page import CallsPage
from airflow_openai_realtime.ui.page_app import create_calls_page


class Nothing:
    """Stands for what these applications are made with; nothing is asked here."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def applications(folder: Path) -> dict[str, FastAPI]:
    store = Store(f"sqlite:///{folder / 'calls.db'}")
    page = CallsPage(CallDirectory(list), Nothing(), airflow_auth, utc_now)
    made = {"page": create_calls_page(page), "switchboard": create_app(store, Nothing()), "none": out_of_order()}
    store.close()
    return made


def called(app: FastAPI) -> Iterator[Callable[..., Any]]:
    """Everything that answers a request, or a part of it."""
    for route in app.routes:
        assert isinstance(route, Route), route
        if isinstance(route, APIRoute):
            yield from _of_dependant(route.dependant, app)
        else:
            yield route.endpoint
    # Those that FastAPI itself adds are in the framework's hands.
    yield from (handler for handler in app.exception_handlers.values() if "airflow" in handler.__module__)


def _of_dependant(dependant: Dependant, app: FastAPI) -> Iterator[Callable[..., Any]]:
    assert dependant.call is not None
    yield app.dependency_overrides.get(dependant.call, dependant.call)
    for each in dependant.dependencies:
        yield from _of_dependant(each, app)


@pytest.mark.parametrize("name", ["page", "switchboard", "none"])
def test_nothing_of_ours_is_called_in_the_threads_of_airflow_s_api(name: str, tmp_path: Path) -> None:
    found = list(called(applications(tmp_path)[name]))
    assert found
    blocking = [f"{each.__module__}.{each.__qualname__}" for each in found if not inspect.iscoroutinefunction(each)]
    assert blocking == []
