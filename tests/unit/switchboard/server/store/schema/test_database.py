"""URLs, durability, and a database that goes away."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, event, select, text
from sqlalchemy.exc import IntegrityError
from tests.postgres import PostgresCluster, running_cluster
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.exceptions import ConfigurationError, StoreUnavailable
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, store_url, upserts, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import run_starts


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("sqlite+aiosqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgres://me@db/calls", "postgresql+psycopg2://me@db/calls"),
        ("postgresql+asyncpg://me@db/calls", "postgresql+psycopg2://me@db/calls"),
        ("postgresql+psycopg://me@db/calls", "postgresql+psycopg://me@db/calls"),
    ],
)
def test_a_url_gets_a_synchronous_driver(given: str, used: str) -> None:
    assert store_url(given).render_as_string(hide_password=False) == used


@pytest.mark.parametrize("url", ["", "calls.db", "sqlite://", "sqlite:///:memory:", "oracle://me:secret@db/calls"])
def test_a_url_that_cannot_be_used_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError, match="store_url") as refused:
        Database(url)
    assert "secret" not in str(refused.value)


def test_the_password_does_not_show(sqlite_url: str) -> None:
    assert "secret" not in repr(Database("postgresql+psycopg2://me:secret@db/calls"))


def test_sqlite_waits_for_the_disk_and_lets_readers_read(sqlite_store: Store) -> None:
    def pragma(name: str) -> object:
        return sqlite_store.database.read(lambda connection: connection.execute(text(f"PRAGMA {name}")).scalar())

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL
    assert pragma("busy_timeout") == 5000


def test_an_sqlite_store_is_read_by_its_owner_only(sqlite_store: Store) -> None:
    path = Path(str(sqlite_store.database.url.database))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_errors_do_not_quote_what_was_stored(store: Store) -> None:
    with pytest.raises(Exception, match="openai_realtime_call") as broken:
        store.database.write(
            lambda connection: connection.execute(
                text("INSERT INTO openai_realtime_call (line, from_number) VALUES ('support', :number)"),
                {"number": "+14155550123"},
            )
        )
    assert "+14155550123" not in str(broken.value).split("DETAIL")[0]


class Lines:
    """What reads and writes a table, as the store's parts do."""

    def __init__(self, database: Database, *, in_the_way: int = 0) -> None:
        self._database = database
        self._in_the_way = in_the_way
        self.runs = 0

    @writes
    def add(self, connection: Connection, line: str, *, fails: bool = False) -> int:
        """Add a line; the number of lines so far."""
        connection.execute(run_starts.insert(), {"line": line, "dag_id": "d", "run_id": "r", "first_started_at": START})
        if fails:
            raise ValueError(line)
        return len(connection.execute(select(run_starts.c.line)).all())

    @reads
    def all(self, connection: Connection) -> list[str]:
        """All lines."""
        return list(connection.execute(select(run_starts.c.line).order_by(run_starts.c.line)).scalars())

    @upserts
    def put(self, connection: Connection, line: str) -> int:
        """How often this was run; the first times another transaction has inserted the row first."""
        self.runs += 1
        if self.runs <= self._in_the_way:
            raise IntegrityError("INSERT", {}, Exception(line))
        return self.runs


def test_a_method_is_one_transaction(store: Store) -> None:
    lines = Lines(store.database)
    assert lines.add("a") == 1
    with pytest.raises(ValueError, match="b"):
        lines.add("b", fails=True)
    assert lines.add("c") == 2
    assert lines.all() == ["a", "c"]


def test_what_was_inserted_first_by_another_is_put_in_a_second_run_and_no_third(store: Store) -> None:
    assert Lines(store.database).put("a") == 1
    assert Lines(store.database, in_the_way=1).put("a") == 2
    twice = Lines(store.database, in_the_way=2)
    with pytest.raises(IntegrityError):
        twice.put("a")
    assert twice.runs == 2


@pytest.mark.postgres
def test_a_server_that_is_restarted_is_used_again(postgres_cluster: PostgresCluster) -> None:
    with running_cluster() as cluster:
        store = Store(cluster.new_database())
        store.prepare()
        store.calls.add([a_call(1)])
        cluster.stop("fast")
        with pytest.raises(StoreUnavailable) as away:
            store.calls.add([a_call(2)])
        assert "127.0.0.1" not in str(away.value)
        cluster.start()
        assert store.calls.add([a_call(2)]) == {("support", "rtc_2")}
        assert store.calls.find("support", "rtc_1").received_at == START
        store.close()


@pytest.mark.postgres
def test_a_deadlock_is_answered_by_a_second_try(postgres_store: Store) -> None:
    import psycopg2.errors
    from sqlalchemy.exc import OperationalError

    tries = []

    def work(connection: object) -> str:
        tries.append(1)
        if len(tries) == 1:
            deadlock = psycopg2.errors.DeadlockDetected()
            deadlock.__setstate__({"pgcode": "40P01"})
            raise OperationalError("x", {}, deadlock)
        return "done"

    assert postgres_store.database.write(work) == "done"
    assert len(tries) == 2


def _end_sessions(cluster_url: str) -> None:
    """End all sessions of a database, as an administrator or a restarted proxy does."""
    engine = create_engine(cluster_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("writes", [False, True])
def test_a_connection_that_died_while_idle_is_replaced_without_an_error(postgres_url: str, writes: bool) -> None:
    database = Database(postgres_url)
    database.ready = True
    transaction = database.write if writes else database.read
    transaction(lambda connection: connection.execute(text("SELECT 1")).scalar())
    _end_sessions(postgres_url)
    runs = []

    def work(connection: Connection) -> object:
        runs.append(1)
        return connection.execute(text("SELECT 2")).scalar()

    assert transaction(work) == 2
    assert len(runs) == 2
    database.close()


@pytest.mark.postgres
def test_work_of_which_a_statement_was_executed_does_not_run_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.ready = True
    runs = []

    def work(connection: Connection) -> None:
        runs.append(connection.execute(text("SELECT 1")).scalar())
        _end_sessions(postgres_url)
        connection.execute(text("SELECT 2"))

    with pytest.raises(StoreUnavailable):
        database.write(work)
    assert runs == [1]
    database.close()


@pytest.mark.postgres
def test_a_transaction_sends_no_statement_but_its_own(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.ready = True
    asked: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    for _ in range(3):
        database.read(lambda connection: connection.execute(text("SELECT 1")).scalar())
    assert asked == ["SELECT 1"] * 3
    assert not database._engine.pool._pre_ping
    database.close()
