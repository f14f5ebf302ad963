"""Whether a database can be used: by using it, without a trace."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Connection

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.server.store.schema.database import Database
from airflow_openai_realtime.switchboard.server.store.schema.migrate import schema_version
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls


def probe(database: Database, now: datetime) -> str | None:
    """
    Write a call, read it, delete it and commit, in one transaction; no other transaction sees it.

    :param database: The store's database.
    :param now: The time, aware.
    :returns: The version of the tables.
    :raises StoreUnavailable: A step failed.
    """
    line = f"probe {uuid.uuid4()}"  # no line has a blank in its name
    same = calls.c.line == line

    row = {
        "line": line,
        "call_id": "probe",
        "state": CallState.MISSED,
        "version": 0,
        "headers": "{}",
        "hangup_tries": 0,
    }

    def work(connection: Connection) -> bool:
        connection.execute(calls.insert().inline(), {**row, "received_at": now, "expires_at": now})
        found = connection.execute(calls.select().where(same)).first()
        connection.execute(calls.delete().where(same))
        return found is not None

    if not database.write(work):
        raise StoreUnavailable("the store takes what is written, but does not give it back")
    with database.connect_for_migration() as connection:
        return schema_version(connection)
