"""
The least that a web service can do with a delivery: check the signature, insert one row, commit, answer.

A bare Starlette application with one route, for comparison with the switchboard. It knows no lines, no duplicates but
by the primary key, no feed, no limits, and reads nothing of the event. The signature, the database's settings, the
durability and uvicorn's settings are the switchboard's.
"""

from __future__ import annotations

import os
import sys
import time

from sqlalchemy import Column, Connection, Double, LargeBinary, MetaData, String, Table
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_openai_realtime.api.webhooks import verify_webhook
from airflow_openai_realtime.exceptions import WebhookVerificationError
from airflow_openai_realtime.switchboard import serve
from airflow_openai_realtime.switchboard.configuration import STORE_URL
from airflow_openai_realtime.switchboard.store.database import Database

deliveries = Table(
    "delivery",
    MetaData(),
    Column("webhook_id", String(255), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", Double, nullable=False),
)


def app() -> Starlette:
    """The application; uvicorn calls it in the worker process."""
    database = Database(os.environ[STORE_URL])
    with database.connect_for_migration() as connection, connection.begin():
        deliveries.create(connection, checkfirst=True)
    database.ready = True
    secrets = (os.environ["OPENAI_WEBHOOK_SECRET"],)

    async def webhook(request: Request) -> Response:
        body = await request.body()
        now = time.time()
        try:
            webhook_id = verify_webhook(body, request.headers, secrets, now)
        except WebhookVerificationError:
            return Response(status_code=401)
        row = {"webhook_id": webhook_id, "body": body, "received_at": now}

        def insert(connection: Connection) -> None:
            connection.execute(deliveries.insert(), row)

        await run_in_threadpool(database.write, insert)
        return Response()

    async def health(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Route("/webhook", webhook, methods=["POST"]), Route("/health", health)])


if __name__ == "__main__":
    serve.APPLICATION = "bench.intake_floor:app"
    sys.exit(serve.serve("127.0.0.1", 0, 1))
