"""What the switchboard's tests share: a line, its deliveries, a clock that tests move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
from fastapi import FastAPI

from airflow_openai_realtime.api.webhooks import sign_webhook
from airflow_openai_realtime.calls.line_settings import line_from_fields
from airflow_openai_realtime.calls.lines import Line, Lines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.service import Service
from airflow_openai_realtime.switchboard.server.store import NewCall, Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

SECRET = "whsec_dGVzdC1zZWNyZXQ="
OTHER_SECRET = "whsec_b3RoZXItc2VjcmV0"
START = datetime(2026, 11, 22, 8, 0, tzinfo=timezone.utc)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        """Let this much time pass."""
        self.at += timedelta(seconds=seconds)


def a_line(name: str = "support", secret: str = SECRET, **extra: Any) -> Line:
    """A line whose requests reach no server."""
    fields = {"webhook_secret": secret, **extra}
    return line_from_fields(name, "sk-test", "http://127.0.0.1:9/v1", fields)


def a_call(number: int | str = 1, *, line: str = "support", at: datetime = START, **changes: Any) -> NewCall:
    """A ringing call."""
    fields: dict[str, Any] = {
        "line": line,
        "call_id": f"rtc_{number}",
        "webhook_id": f"wh_{number}",
        "received_at": at,
        "expires_at": at + timedelta(seconds=60),
        "from_number": "+14155550123",
        "to_number": "+14155550199",
        "headers": {"x-correlation-id": f"c{number}"},
    }
    return NewCall(**{**fields, **changes})


def event_body(number: int | str = 1, *, created_at: float = START.timestamp(), **changes: Any) -> bytes:
    """The body of a delivery that tells of a call."""
    data = {
        "call_id": f"rtc_{number}",
        "sip_headers": [
            {"name": "From", "value": "sip:+14155550123@carrier.example"},
            {"name": "To", "value": "sip:+14155550199@sip.api.openai.com"},
            {"name": "X-Correlation-Id", "value": f"c{number}"},
        ],
    }
    event = {
        "object": "event",
        "id": f"evt_{number}",
        "type": "realtime.call.incoming",
        "created_at": int(created_at),
        "data": data,
    }
    return json.dumps({**event, **changes}).encode()


def signed(
    body: bytes, number: int | str = 1, *, at: float = START.timestamp(), secret: str = SECRET
) -> dict[str, str]:
    """The headers that OpenAI would send with a body."""
    return sign_webhook(body, webhook_id=f"wh_{number}", timestamp=int(at), secret=secret)


class LinesElsewhere:
    """Base of lines that are asked for one by one, as in a secrets backend."""

    is_in_memory = False

    def listed_names(self) -> tuple[str, ...]:
        return ()


@dataclass
class Switchboard:
    """A switchboard in this process, and ways to talk to it."""

    app: FastAPI
    http: httpx.AsyncClient
    clock: Clock

    @property
    def service(self) -> Service:
        """Its parts."""
        service: Service = self.app.state.switchboard
        return service

    def client(self, *, line: str | None = None, secret: str = SECRET) -> SwitchboardClient:
        """A client of a line."""
        transport = httpx.ASGITransport(self.app)
        return SwitchboardClient("http://switchboard", derived_token(secret), line=line, transport=transport)

    async def refusal(self, method: str, path: str, body: Any = None) -> str:
        """Send what the default line cannot use; returns what it says."""
        headers = {"Authorization": f"Bearer {derived_token(SECRET)}"}
        answer = await self.http.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input"), answer.text
        assert set(answer.json()["error"]) == {"code", "message"}
        message: str = answer.json()["error"]["message"]
        return message

    async def deliver(
        self, number: int | str = 1, *, path: str = "/webhook", secret: str = SECRET, body: bytes | None = None
    ) -> httpx.Response:
        """Deliver a webhook as OpenAI would, now."""
        now = self.clock().timestamp()
        content = body if body is not None else event_body(number, created_at=now)
        return await self.http.post(path, content=content, headers=signed(content, number, at=now, secret=secret))


@asynccontextmanager
async def running(
    store: Store, lines: Lines, clock: Clock, *, settings: SwitchboardSettings | None = None
) -> AsyncIterator[Switchboard]:
    """A switchboard that has started, and is stopped afterwards."""
    app = create_app(store, lines, settings=settings, now=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://sb") as http:
        yield Switchboard(app, http, clock)


async def until(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait for something that happens in a thread or another task."""
    for _ in range(round(seconds / 0.002)):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"nothing of the kind happened within {seconds} s")
