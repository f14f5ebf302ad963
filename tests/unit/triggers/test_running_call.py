"""Running a call in a trigger: the event says no more than that it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_openai_realtime.api import client as api_client
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.conversation.run import following, live_ports, progress
from airflow_openai_realtime.exceptions import AuthenticationError, SwitchboardUnreachable
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.triggers.running_call import error_payload, run_to_its_end

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
CALL = SwitchboardCall("rtc_1", "l", "accepted", NOW, NOW, from_number="+14155550123")


class Parts:
    """What a running call is made of, and what was done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.given: Any = None
        self.error: Exception | None = None

    def use(self, name: str) -> Any:
        @asynccontextmanager
        async def used(*given: Any) -> AsyncIterator[str]:
            self.done.append(f"open {name}")
            try:
                yield name
            finally:
                self.done.append(f"close {name}")

        return used

    def ports(self, *given: Any, **others: Any) -> str:
        self.given = given, others
        return "ports"

    async def run(self, *given: Any) -> None:
        assert given == ("ports", "plan", CALL, "switchboard")
        self.done.append("run")
        if self.error is not None:
            raise self.error


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts()
    monkeypatch.setattr(api_client, "CallsClient", parts.use("calls"))
    monkeypatch.setattr(SwitchboardClient, "at", parts.use("switchboard"))
    monkeypatch.setattr(progress, "shared_progress", parts.use("progress"))
    monkeypatch.setattr(live_ports, "live_ports", parts.ports)
    monkeypatch.setattr(following, "run_or_follow", parts.run)
    return parts


async def run(**others: Any) -> dict[str, Any]:
    line: Any = SimpleNamespace(api="api", switchboard="address")
    wanted: Any = SimpleNamespace(plan="plan", prices={"gpt-realtime-2.1": {}})
    return await run_to_its_end(line, wanted, CALL, "me", print, **others)


async def test_the_event_says_that_the_call_is_over_and_which(parts: Parts) -> None:
    assert await run() == {"status": "over", "call_id": "rtc_1"}
    assert parts.done == [
        "open calls",
        "open switchboard",
        "open progress",
        "run",
        "close progress",
        "close switchboard",
        "close calls",
    ]


async def test_the_call_is_run_for_its_owner_with_its_prices(parts: Parts) -> None:
    opened: list[int] = []
    await run(opened=opened.append)
    given, others = parts.given
    assert given == ("api", "calls", "switchboard", "progress", "me", print)
    assert others == {"prices": {"gpt-realtime-2.1": {}}, "opened": opened.append}


async def test_a_call_that_cannot_be_run_leaves_nothing_open(parts: Parts) -> None:
    parts.error = AuthenticationError("401")
    with pytest.raises(AuthenticationError):
        await run()
    assert parts.done[-3:] == ["close progress", "close switchboard", "close calls"]


def test_an_error_is_told_as_a_text() -> None:
    assert error_payload(SwitchboardUnreachable("no route")) == {"status": "error", "message": "no route"}
