"""An application is there when the context is entered, and gone when it is left."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from airflow_openai_realtime.testing import served_app
from airflow_openai_realtime.testing.served_app import ServedApp


def application(log: list[str]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                log.append(kind)
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})

    return app


def get(url: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.get(url)


def test_it_answers_as_soon_as_the_context_is_entered_and_stops_with_it() -> None:
    log: list[str] = []
    with ServedApp(application(log)) as served:
        assert get(served.url).text == "hi"
        assert log == ["lifespan.startup"]
    assert log == ["lifespan.startup", "lifespan.shutdown"]
    with pytest.raises(httpx.ConnectError):
        get(served.url)


def test_two_applications_have_ports_of_their_own_and_a_port_can_be_used_again() -> None:
    with ServedApp(application([])) as first, ServedApp(application([])) as second:
        assert first.url != second.url
        port = int(first.url.rpartition(":")[2])
    with ServedApp(application([]), port) as again:
        assert again.url == first.url
        assert get(again.url).status_code == 200


def test_it_is_reached_from_this_machine_only() -> None:
    with ServedApp(application([])) as served:
        assert served.url.startswith("http://127.0.0.1:")


def test_an_application_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def never_ready(scope: Any, receive: Any, send: Any) -> None:
        released = asyncio.Event()
        loops.append((asyncio.get_running_loop(), released))
        await released.wait()

    monkeypatch.setattr(served_app, "START_SECONDS", 0.3)
    served = ServedApp(never_ready)
    with pytest.raises(RuntimeError, match=r"did not start within 0\.3 s; its log says why"):
        served.__enter__()
    ((loop, released),) = loops
    loop.call_soon_threadsafe(released.set)
    served.__exit__()


def test_an_application_whose_start_fails_is_told_and_leaves_its_port() -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no store"})

    served = ServedApp(fails)
    with pytest.raises(RuntimeError, match="failed at its start; its log says why"):
        served.__enter__()
    port = int(served.url.rpartition(":")[2])
    with ServedApp(application([]), port) as again:
        assert get(again.url).status_code == 200
