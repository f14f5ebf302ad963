"""The application as a whole: which doors there are, and who may pass."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import pytest
from tests.unit.switchboard.routes import PUBLIC, as_url, every_route
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Switchboard

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status
from airflow_openai_realtime.switchboard.server.app import on_termination

PRIVATE = 35
PAGE = Path(__file__).resolve().parents[4] / "docs" / "switchboard.md"


async def test_every_route_that_is_not_public_asks_for_a_token_before_anything_else(switchboard: Switchboard) -> None:
    private = [route for route in every_route(switchboard.app.routes) if route not in PUBLIC]
    assert len(private) == PRIVATE, private
    bad: list[dict[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {derived_token(SECRET)}"},
        {"Authorization": f"Bearer {derived_token(OTHER_SECRET)}"},
        {"Authorization": f"Bearer {derived_token(SECRET)}", "OpenAI-Realtime-Line": "sales"},
        {"Authorization": f"Bearer {derived_token(SECRET)}", "OpenAI-Realtime-Line": "nobody"},
        {"Authorization": "Bearer \xe9"},
    ]
    answers = set()
    for method, path in private:
        for headers in bad:
            raw = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = await switchboard.http.request(method, as_url(path), headers=raw, content=b"{not json")
            assert answer.status_code == 401, (method, path, headers)
            answers.add(answer.text)
    assert answers == {'{"error":{"code":"unauthorized","message":"the token or the line is wrong"}}'}


def test_every_route_is_on_the_switchboard_s_page(switchboard: Switchboard) -> None:
    table = PAGE.read_text().split("\n## Routes\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    missing = []
    for method, path in every_route(switchboard.app.routes):
        parts = [method, *re.findall(r"/[a-z_0-9-]+", path)]
        if not any(all(re.search(rf"{part}(?![\w-])", row) for part in parts) for row in rows):
            missing.append(f"{method} {path}")
    assert missing == []


async def test_health_says_up_and_nothing_else(switchboard: Switchboard) -> None:
    answer = await switchboard.http.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "up"})


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/v1", "/webhooks", "/docs/oauth2-redirect"])
async def test_there_is_no_other_page(switchboard: Switchboard, path: str) -> None:
    answer = await switchboard.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(("method", "path"), [("GET", "/webhook"), ("PUT", "/webhook/x"), ("DELETE", "/v1/status")])
async def test_other_methods_are_refused_in_the_same_shape(switchboard: Switchboard, method: str, path: str) -> None:
    answer = await switchboard.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_status_tells_how_the_line_is(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    switchboard.clock.move(12)
    async with switchboard.client() as client:
        status = await client.asend(get_status())
    assert status["calls"] == {"ringing": 1, "claimed": 0, "accepted": 0, "rejected": 0, "ended": 0, "missed": 0}
    assert status["oldest_ringing_seconds"] == 12
    assert status["store"] == "sqlite"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_before_the_handler_that_was_there(number: int) -> None:
    heard: list[str] = []
    former = signal.signal(number, lambda *_: heard.append("former"))
    try:
        with on_termination(lambda: heard.append("ours")):
            os.kill(os.getpid(), number)
        assert heard == ["ours", "former"]
        os.kill(os.getpid(), number)
        assert heard == ["ours", "former", "former"]
    finally:
        signal.signal(number, former)


def test_a_handler_that_somebody_else_has_set_meanwhile_stays() -> None:
    before, later = signal.getsignal(signal.SIGTERM), lambda *_: None
    try:
        with on_termination(lambda: None):
            signal.signal(signal.SIGTERM, later)
        assert signal.getsignal(signal.SIGTERM) is later
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_nothing_is_touched() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with on_termination(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
