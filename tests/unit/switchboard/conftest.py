"""Fixtures of the switchboard's tests: stores on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.postgres import PostgresCluster, running_cluster
from tests.unit.switchboard.support import OTHER_SECRET, Clock, Switchboard, a_line, running

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.schema.tables import metadata

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL server of this test run."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster) -> str:
    """A new, empty PostgreSQL database."""
    return postgres_cluster.new_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new SQLite file."""
    return f"sqlite:///{tmp_path / 'switchboard.db'}"


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest) -> str:
    """A new, empty database; the test runs once for each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def _shared_postgres_url(postgres_cluster: PostgresCluster) -> str:
    """A database whose tables are made once; making them takes longer than most tests."""
    url = postgres_cluster.new_database()
    shared = Store(url)
    shared.prepare()
    shared.close()
    return url


@pytest.fixture
def postgres_store(_shared_postgres_url: str) -> Iterator[Store]:
    """A prepared, empty store on PostgreSQL."""
    with_tables = Store(_shared_postgres_url)
    with_tables.prepare()
    names = ", ".join(metadata.tables)
    with_tables.database.write(lambda connection: connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY")))
    yield with_tables
    with_tables.close()


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest) -> Store:
    """A prepared, empty store; the test runs once for each kind of database."""
    found: Store = request.getfixturevalue("sqlite_store" if request.param == "sqlite" else "postgres_store")
    return found


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """A prepared store on SQLite, for what does not depend on the database."""
    with_tables = Store(sqlite_url)
    with_tables.prepare()
    yield with_tables
    with_tables.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is moved."""
    return Clock()


@pytest.fixture
async def switchboard(sqlite_store: Store, clock: Clock) -> AsyncIterator[Switchboard]:
    """A switchboard with the lines *support* (the default) and *sales*, on SQLite, in this process."""
    lines = [a_line(), a_line("sales", OTHER_SECRET)]
    async with running(sqlite_store, StaticLines(lines), clock) as made:
        yield made
