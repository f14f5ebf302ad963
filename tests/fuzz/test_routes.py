"""
Every route, with hostile input: whatever comes in, nothing breaks, nothing gets in, nothing is stored unsigned.

``FUZZ_REQUESTS`` is the number of requests (``make fuzz`` sends 20,000 to each kind of store, standalone and mounted),
``FUZZ_SEED`` repeats a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter
from sqlalchemy import func, select
from tests.fuzz.hostile import METHODS, Headers, Hostile
from tests.unit.switchboard.routes import PUBLIC, routes_of
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Clock, a_line, event_body, signed

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation, list_recent_calls
from airflow_openai_realtime.switchboard.client.order_requests import list_orders
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    get_call,
    get_status,
    list_attempts,
    list_calls,
)
from airflow_openai_realtime.switchboard.mounted import AirflowLines
from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store
from airflow_openai_realtime.switchboard.server.store.schema.tables import attempts, calls, metadata, orders
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings
from airflow_openai_realtime.ui.access import SeenCall
from airflow_openai_realtime.ui.shown import shown_call, shown_conversation

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "3000"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.randrange(1, 10**9)
AT_ONCE = 16
MOST_BYTES = 50_000
TOKEN = derived_token(SECRET)
_ID = re.compile(rb'"(?:call|attempt)_id":"([A-Za-z0-9_-]+)"')


@dataclass(frozen=True)
class Target:
    """A route: what it is called by, the schema of its body, the names of its parameters."""

    method: str
    path: str
    schema: dict[str, Any] | None
    parameters: tuple[str, ...]

    @property
    def is_public(self) -> bool:
        return (self.method, self.path) in PUBLIC


@dataclass
class Request:
    """One request, as it reaches the application."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Headers
    chunks: list[bytes]

    def __repr__(self) -> str:
        body = b"".join(self.chunks)[:500]
        return f"{self.method} {self.raw_path!r}?{self.query[:300]!r} {self.headers!r:.500} {body!r}"


@dataclass
class Sender:
    """Sends requests to an application and keeps what came of them."""

    app: Any
    answers: Counter[int] = field(default_factory=Counter)
    ids: list[bytes] = field(default_factory=list)  # of calls and attempts that answers told of
    prefix: str = ""  # where the application is mounted

    async def send(self, request: Request) -> int:
        """The status; 500 for an exception that the application let through as well."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "path": self.prefix + unquote(request.raw_path.decode("ascii")),
            "raw_path": self.prefix.encode() + request.raw_path,
            "query_string": request.query,
            "root_path": "",
            "scheme": "http",
            "headers": request.headers,
            "client": ("192.0.2.1", 1),
            "server": ("switchboard", 80),
            "state": {},
        }
        chunks, status = list(request.chunks), 0

        async def receive() -> dict[str, Any]:
            if not chunks:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            self.ids += _ID.findall(message.get("body", b""))[:5]
            del self.ids[:-100]

        try:
            await self.app(scope, receive, send)
        except Exception:
            status = 500
        self.answers[status] += 1
        return status


def targets(app: FastAPI) -> list[Target]:
    """All routes of the application."""
    found = []
    for route in routes_of(app.routes):
        dependant = getattr(route, "dependant", None)
        bodies = dependant.body_params if dependant else []
        schema = TypeAdapter(bodies[0].field_info.annotation).json_schema() if bodies else None
        names = tuple(parameter.name for parameter in dependant.query_params) if dependant else ()
        path = str(getattr(route, "path", ""))
        found += [Target(method, path, schema, names) for method in sorted(getattr(route, "methods", None) or ())]
    return found


def request_to(target: Target, hostile: Hostile, headers: Headers, ids: list[bytes]) -> Request:
    """A request to a route: mostly to that very route, with input that it may take, or may not."""

    def segment(_: object) -> str:
        return (hostile.random.choice(ids) if ids and hostile.chance(0.5) else hostile.segment()).decode()

    path = re.sub(r"\{[^}]*\}", segment, target.path).encode()
    method = target.method if hostile.chance(0.93) else hostile.random.choice(METHODS)
    body = hostile.body(target.schema)
    chunks = [body]
    if hostile.chance(0.1):
        size = max(1, len(body) // 3)
        chunks = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    every = [*headers, *hostile.headers()]
    if hostile.chance(0.8):
        every.append((b"content-length", str(len(body)).encode()))
    if hostile.chance(0.7):
        every.append((b"content-type", b"application/json"))
    hostile.random.shuffle(every)
    return Request(method, path, hostile.query(list(target.parameters)), every, chunks)


@pytest.fixture
def store(store_url: str) -> Store:
    return Store(store_url)


LINES = StaticLines([a_line(), a_line("sales", OTHER_SECRET)])
SETTINGS = SwitchboardSettings(long_poll_seconds=0.005, max_body_bytes=MOST_BYTES, reaper_interval_seconds=3600)


@pytest.fixture
async def app(store: Store) -> AsyncIterator[FastAPI]:
    """A switchboard with two lines, whose long polls are short."""
    made = create_app(store, LINES, settings=SETTINGS, now=Clock())
    async with made.router.lifespan_context(made):
        yield made


@dataclass(frozen=True)
class Served:
    """A switchboard as it is served."""

    app: FastAPI
    outer: FastAPI
    prefix: str
    default_line: str

    def sender(self) -> Sender:
        return Sender(self.outer, prefix=self.prefix)

    def client(self) -> SwitchboardClient:
        transport = httpx.ASGITransport(self.outer)
        return SwitchboardClient(f"http://sb{self.prefix}", TOKEN, transport=transport)


@pytest.fixture(params=["standalone", "mounted"])
async def served(
    request: pytest.FixtureRequest, store: Store, monkeypatch: pytest.MonkeyPatch, airflow_db: Path
) -> AsyncIterator[Served]:
    """A switchboard on its own, and one that is mounted beside Airflow's connections."""
    if request.param == "standalone":
        lone = create_app(store, LINES, settings=SETTINGS, now=Clock())
        async with lone.router.lifespan_context(lone):
            yield Served(lone, lone, "", "support")
        return
    for name, secret in (("openai_realtime_default", SECRET), ("sales", OTHER_SECRET)):
        value = {"conn_type": "openai_realtime", "password": "sk-test", "extra": {"webhook_secret": secret}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))
    made = create_app(store, AirflowLines(), settings=SETTINGS, now=Clock())
    airflow = FastAPI()
    airflow.mount("/openai-realtime", made)
    async with made.router.lifespan_context(made):
        yield Served(made, airflow, "/openai-realtime", "openai_realtime_default")


async def all_at_once(amount: int, one: Any) -> None:
    """Do something many times, a few at the same moment."""
    numbers = iter(range(amount))

    async def some() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def rows(store: Store) -> dict[str, int]:
    """How many rows each table has."""

    def count(connection: Any) -> dict[str, int]:
        tables = metadata.tables.items()
        return {name: connection.execute(select(func.count()).select_from(table)).scalar() for name, table in tables}

    return store.database.read(count)


async def test_strangers_break_nothing_get_nowhere_and_leave_nothing(served: Served, store: Store) -> None:
    hostile, sender, every = Hostile(SEED), served.sender(), targets(served.app)
    doors: list[Headers] = [
        [],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer " + TOKEN[:-1].encode())],
        [(b"authorization", b"Basic " + TOKEN.encode())],
        [(b"authorization", TOKEN.encode())],
        [(b"authorization", b"Bearer " + TOKEN.encode()), (b"openai-realtime-line", b"sales")],
        [(b"authorization", b"Bearer " + derived_token(OTHER_SECRET).encode())],
        [(b"authorization", b"Bearer \xff\x00")],
    ]

    async def one(number: int) -> None:
        target = every[number % len(every)]
        headers = list(hostile.random.choice(doors))
        if target.is_public and hostile.chance(0.5):
            headers += encoded(signed(b"x", secret="whsec_Zm9yZ2Vk"))
        request = request_to(target, hostile, headers, sender.ids)
        if (b"authorization", b"Bearer " + TOKEN.encode()) in headers:
            # A hostile second header must not turn the token of one line into that of its own line.
            request.headers = [each for each in request.headers if each[0] != b"openai-realtime-line"] + headers[1:]
        status = await sender.send(request)
        said = f"{status} with FUZZ_SEED={SEED}: {request!r}"
        assert status < 500, said
        if target.path == "/health":
            return
        assert status in (401, 404, 405, 408, 413, 429), said
        if not target.is_public and request.method == target.method:
            assert status in (401, 404, 413, 429), said

    await all_at_once(REQUESTS // 2, one)
    stored = {name: amount for name, amount in rows(store).items() if amount}
    assert not stored, f"stored with FUZZ_SEED={SEED}"
    assert sender.answers[401] > REQUESTS // 8, sender.answers


async def test_whoever_has_the_token_or_the_secret_breaks_nothing_and_what_is_stored_is_read_back(
    served: Served, store: Store
) -> None:
    hostile, sender, every = Hostile(SEED + 1), served.sender(), targets(served.app)
    signed_ids: set[str] = set()
    answered: Counter[tuple[str, str, int]] = Counter()

    async def one(number: int) -> None:
        target = every[number % len(every)]
        headers = [(b"authorization", b"Bearer " + TOKEN.encode())]
        request = request_to(target, hostile, headers, sender.ids)
        if target.path.startswith("/webhook"):
            request = signed_delivery(hostile, number)
            signed_ids.add(f"wh_{number}")
        if (target.method, target.path) == ("POST", "/v1/attempts") and hostile.chance(0.6):
            request.chunks = [reservation(hostile)]
            request.headers = [each for each in request.headers if each[0] not in (b"content-length", b"content-type")]
            request.headers.append((b"content-type", b"application/json"))
        status = await sender.send(request)
        answered[target.method, target.path, status] += 1
        assert status < 500, f"{status} with FUZZ_SEED={SEED}: {request!r}"

    await all_at_once(REQUESTS - REQUESTS // 2, one)
    found = store.database.read(lambda connection: connection.execute(select(calls.c.webhook_id)).scalars().all())
    assert {webhook_id for webhook_id in found if webhook_id} <= signed_ids, f"FUZZ_SEED={SEED}"
    behind_auth = {(method, path) for method, path, status in answered if status in (200, 404, 409, 422)}
    assert {(each.method, each.path) for each in every} <= behind_auth | {("HEAD", "/health")}
    done = {(method, path) for method, path, status in answered if status == 200}
    assert len(done) > 0.7 * len(every), sorted({(each.method, each.path) for each in every} - done)
    assert len(store.calls.select(served.default_line, CallFilter(), 10, Clock()())) > 5
    async with served.client() as client:
        await read_back(client, store, served.default_line)


async def read_back(client: SwitchboardClient, store: Store, line: str) -> None:
    """Everything that is stored is read by the clients of tasks and triggers, and shown by the Calls page."""

    def keys(connection: Any) -> tuple[set[str], set[str], set[str]]:
        of_line = [
            connection.execute(select(column).where(column.table.c.line == line)).scalars()
            for column in (calls.c.call_id, attempts.c.campaign, orders.c.name)
        ]
        return tuple(map(set, of_line))  # type: ignore[return-value]

    call_ids, campaigns, names = store.database.read(keys)
    assert call_ids
    assert campaigns
    listed = {call.call_id for call in (await client.asend(list_calls(state="all", limit=1000))).calls}
    assert listed <= call_ids
    for call_id in sorted(call_ids):
        assert (await client.asend(get_call(call_id))).call_id == call_id
        conversation = await client.asend(get_conversation(call_id))
        if conversation is not None:
            json.dumps(shown_conversation(conversation), allow_nan=False)
    before, seen = None, set()
    while True:
        page = await client.asend(list_recent_calls(before=before, limit=100))
        for recent in page.calls:
            seen.add(recent.call.call_id)
            json.dumps(shown_call(SeenCall(recent, None, True), Clock()()), allow_nan=False)
        if (before := page.next) is None:
            break
    assert seen == call_ids
    for campaign in sorted(campaigns):
        assert await client.asend(list_attempts(campaign))
    assert {order.name for order in await client.asend(list_orders())} <= names
    assert (await client.asend(get_status()))["line"] == line


def reservation(hostile: Hostile) -> bytes:
    """An attempt to ring a phone that there is, with hostile names."""
    names = {"campaign": hostile.text()[:200] or "x", "contact": hostile.text()[:200] or "x"}
    number = f"+1415555{hostile.random.randrange(10_000):04}"
    return json.dumps({**names, "attempt": hostile.random.randrange(1, 5), "to_number": number}).encode()


def signed_delivery(hostile: Hostile, number: int) -> Request:
    """A delivery with a good signature, of whatever."""
    data = {"call_id": f"rtc_{hostile.random.randrange(50)}", "sip_headers": hostile.value(), "x": hostile.value()}
    if hostile.chance(0.5):
        data["sip_headers"] = [{"name": hostile.text(), "value": hostile.value()} for _ in range(5)]
    body = event_body(number, data=data if hostile.chance(0.8) else hostile.value())
    if hostile.chance(0.2):
        body = hostile.body()
    return Request("POST", b"/webhook", hostile.query([]), encoded(signed(body, number)), [body])


def encoded(headers: dict[str, str]) -> Headers:
    """Headers as they go over the wire."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize("path", ["/webhook", "/webhook/support", "/v1/orders/x", "/v1/attempts"])
@pytest.mark.parametrize("lies", [False, True])
async def test_an_endless_body_is_not_read_to_its_end(app: FastAPI, path: str, lies: bool) -> None:
    """In pieces, without a length or with a wrong one: what is kept is bounded."""
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1000
        assert taken < 10 * MOST_BYTES, "it would go on reading"
        return {"type": "http.request", "body": b"[" * 1000, "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + TOKEN.encode()), (b"content-type", b"application/json")]
    headers += [(b"content-length", b"10")] if lies else [(b"transfer-encoding", b"chunked")]
    method = "PUT" if "orders" in path else "POST"
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "root_path": "",
        "scheme": "http",
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 413
    assert taken <= MOST_BYTES + 1000


async def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(app: FastAPI) -> None:
    for length in (b"50001", b"9" * 30):
        request = Request("POST", b"/webhook", b"", [(b"content-length", length)], [])
        assert await Sender(app).send(request) == 413


async def test_only_so_many_polls_wait_at_once(store: Store) -> None:
    settings = SwitchboardSettings(long_poll_limit=5, long_poll_seconds=0.3)
    app = create_app(store, StaticLines([a_line()]), settings=settings)
    poll = Request("GET", b"/v1/calls", b"after=0&wait=20", [(b"authorization", b"Bearer " + TOKEN.encode())], [b""])
    async with app.router.lifespan_context(app):
        answers = await asyncio.gather(*(Sender(app).send(poll) for _ in range(50)))
    assert Counter(answers) == {200: 5, 429: 45}


def test_every_route_is_among_the_targets(app: FastAPI) -> None:
    found = {(target.method, target.path) for target in targets(app)}
    assert found >= PUBLIC
    assert len(found - PUBLIC) >= 18
    with_body = [target for target in targets(app) if target.schema]
    assert len(with_body) >= 10
    assert json.dumps([target.schema for target in with_body])
