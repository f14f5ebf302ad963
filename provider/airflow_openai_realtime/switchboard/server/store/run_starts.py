"""When DAG runs that place calls first started, as long as the store remembers it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from airflow_openai_realtime.switchboard.server.store.schema.database import Database
from airflow_openai_realtime.switchboard.server.store.schema.tables import run_starts


class RunStarts:
    """The first start of each DAG run. Airflow forgets it when a run is cleared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first(self, line: str, dag_id: str, run_id: str, started_at: datetime) -> datetime:
        """
        Return when a run first started; the first report is kept.

        :param started_at: When it started, as its tasks know it now.
        """
        key = {"line": line, "dag_id": dag_id, "run_id": run_id}
        query = select(run_starts.c.first_started_at).filter_by(**key)
        found: datetime | None = self._database.read(lambda connection: connection.execute(query).scalar())
        if found is not None:
            return found
        row = {**key, "first_started_at": started_at}
        try:
            self._database.write(lambda connection: connection.execute(run_starts.insert(), row))
        except IntegrityError:
            # Another task of the run reported it at the same moment.
            found = self._database.read(lambda connection: connection.execute(query).scalar())
        return started_at if found is None else found
