"""
The switchboard as one web application, for standalone and mounted use alike.

Public are only ``POST /webhook``, ``POST /webhook/{line}`` and ``GET /health``; everything else asks for a token.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from types import FrameType
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls.lines import Lines
from airflow_openai_realtime.calls.task_states import AskTaskState, LeaveResult
from airflow_openai_realtime.switchboard.server.routes import (
    attempt_routes,
    call_routes,
    conversation_routes,
    metrics_route,
    order_routes,
    preflight_route,
    recent_route,
    task_routes,
)
from airflow_openai_realtime.switchboard.server.routes.admission import BodyLimit
from airflow_openai_realtime.switchboard.server.routes.error_answers import add_error_answers
from airflow_openai_realtime.switchboard.server.routes.webhook_route import receive_webhook
from airflow_openai_realtime.switchboard.server.service import Service, utc_now
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


def create_app(
    store: Store,
    lines: Lines,
    *,
    settings: SwitchboardSettings | None = None,
    now: Callable[[], datetime] = utc_now,
    api_client: Callable[[ApiSettings], CallsClient] = CallsClient,
    task_states: AskTaskState | None = None,
    leave_result: LeaveResult | None = None,
) -> FastAPI:
    """
    Make the application; nothing is opened or started before it serves.

    :param store: Where calls are kept; one of its own for each process.
    :param lines: Where lines are looked up.
    :param settings: What can be tuned; None for the defaults.
    :param now: The clock, for tests.
    :param api_client: Makes a client for OpenAI, for tests.
    :param task_states: Says how an Airflow task is; ``None`` where Airflow cannot be asked.
    :param leave_result: Leaves the result of a killed task's call in Airflow; ``None`` likewise.
    """
    settings = settings or SwitchboardSettings()
    service = Service(store, lines, settings, now=now, api_client=api_client, task_states=task_states)
    service.leave_result = leave_result
    app = FastAPI(
        title="switchboard",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # webhook senders follow no redirect
        lifespan=_lifespan,
    )
    app.state.switchboard = service
    app.add_middleware(BodyLimit, most_bytes=settings.max_body_bytes)
    add_error_answers(app)
    app.add_route("/health", _health, methods=["GET"])
    app.add_route("/webhook", receive_webhook, methods=["POST"])
    app.add_route("/webhook/{line}", receive_webhook, methods=["POST"])
    app.include_router(conversation_routes.router)  # before the calls, whose ids may hold anything
    app.include_router(call_routes.router)
    app.include_router(recent_route.router)
    app.include_router(attempt_routes.router)
    app.include_router(preflight_route.router)
    app.include_router(task_routes.router)
    app.include_router(metrics_route.router)
    app.include_router(order_routes.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.switchboard
    loop = asyncio.get_running_loop()
    await service.start()
    try:
        with on_termination(partial(loop.call_soon_threadsafe, service.polls.close)):
            yield
    finally:
        await service.stop()


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "up"})


@contextmanager
def on_termination(tell: Callable[[], object]) -> Iterator[None]:
    """
    While entered, call ``tell`` on a signal to end the process, before the other handlers of that signal.

    A web server waits for its open requests before it tells an application that it stops; a long poll would keep it
    waiting. So its signal handlers are kept and called, only later. Does nothing outside the main thread.

    :param tell: Called in a signal handler: it must only hand over to the event loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former: dict[int, Any] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        tell()
        if callable(former[number]):
            former[number](number, frame)
        elif former[number] == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for caught in (signal.SIGTERM, signal.SIGINT):
        former[caught] = signal.getsignal(caught)
        signal.signal(caught, heard)
    try:
        yield
    finally:
        for number, handler in former.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
