"""
The least that a web service can do with a delivery: check the signature, insert one row, commit, answer.

A bare Starlette application with one route, for comparison with the switchboard. It knows no lines, no duplicates but
by the primary key, no feed, no limits, and reads nothing of the event. It talks to the database's driver itself, each
in the way that was quicker here: to SQLite over one connection and without a thread, to PostgreSQL over a connection
for each of 32 threads. How the signature is checked, the durability and uvicorn's settings are the switchboard's.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import psycopg2
from sqlalchemy import make_url
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_openai_realtime.api.webhooks import verify_webhook
from airflow_openai_realtime.exceptions import WebhookVerificationError
from airflow_openai_realtime.switchboard.server.process import serve
from airflow_openai_realtime.switchboard.server.process.configuration import STORE_URL

POSTGRES_CONNECTIONS = 32
_TABLE = "CREATE TABLE delivery (webhook_id {text} PRIMARY KEY, body {bytes} NOT NULL, received_at {number} NOT NULL)"

Insert = Callable[[str, bytes, float], Awaitable[None]]


def app() -> Starlette:
    """The application; uvicorn calls it in the worker process."""
    url = make_url(os.environ[STORE_URL])
    if url.get_backend_name() == "sqlite":
        insert = _sqlite(str(url.database))
    else:
        insert = _postgres(url.render_as_string(hide_password=False).replace("+psycopg2", ""))
    secrets = (os.environ["OPENAI_WEBHOOK_SECRET"],)

    async def webhook(request: Request) -> Response:
        body = await request.body()
        now = time.time()
        try:
            webhook_id = verify_webhook(body, request.headers, secrets, now)
        except WebhookVerificationError:
            return Response(status_code=401)
        await insert(webhook_id, body, now)
        return Response()

    async def health(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Route("/webhook", webhook, methods=["POST"]), Route("/health", health)])


def _sqlite(path: str) -> Insert:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(_TABLE.format(text="TEXT", bytes="BLOB", number="REAL"))

    async def insert(*row: object) -> None:
        connection.execute("INSERT INTO delivery VALUES (?, ?, ?)", row)

    return insert


def _postgres(url: str) -> Insert:
    connections: queue.SimpleQueue[psycopg2.extensions.connection] = queue.SimpleQueue()
    for _ in range(POSTGRES_CONNECTIONS):
        connections.put(psycopg2.connect(url))

    def run(statement: str, row: tuple[object, ...]) -> None:
        connection = connections.get()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, row)
        finally:
            connections.put(connection)

    async def insert(*row: object) -> None:
        await run_in_threadpool(partial(run, "INSERT INTO delivery VALUES (%s, %s, %s)", row))

    run(_TABLE.format(text="TEXT", bytes="BYTEA", number="FLOAT8"), ())
    return insert


if __name__ == "__main__":
    serve.APPLICATION = "bench.intake_floor:app"
    sys.exit(serve.serve("127.0.0.1", serve.listen("127.0.0.1", 0), 1))
