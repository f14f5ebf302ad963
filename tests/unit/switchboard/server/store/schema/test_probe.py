"""Whether a store can be used is found out by using it."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.schema import probe as module
from airflow_openai_realtime.switchboard.server.store.schema.probe import probe
from airflow_openai_realtime.switchboard.server.store.schema.tables import SCHEMA_VERSION, calls, feed


def rows(store: Store) -> tuple[int, int]:
    def work(connection: Connection) -> tuple[int, int]:
        counts = (connection.execute(select(func.count()).select_from(table)).scalar() for table in (calls, feed))
        return tuple(each or 0 for each in counts)  # type: ignore[return-value]

    return store.database.read(work)


def test_a_store_that_works_says_its_version_and_keeps_nothing_of_the_probe(store: Store) -> None:
    store.calls.add([a_call()])
    assert probe(store.database, START) == SCHEMA_VERSION
    assert store.probe(START) == SCHEMA_VERSION
    assert rows(store) == (1, 1)


def test_a_store_that_is_not_prepared_cannot_be_used(store_url: str) -> None:
    store = Store(store_url)
    with pytest.raises(StoreUnavailable):
        probe(store.database, START)
    store.close()


def test_a_store_that_loses_what_is_written_cannot_be_used(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LosingTable:
        """Takes rows, and has none."""

        c = calls.c

        def insert(self) -> object:
            return calls.insert()

        def select(self) -> object:
            return calls.select().where(calls.c.line == "nowhere")

        def delete(self) -> object:
            return calls.delete()

    monkeypatch.setattr(module, "calls", LosingTable())
    with pytest.raises(StoreUnavailable, match="does not give it back"):
        probe(sqlite_store.database, START)
