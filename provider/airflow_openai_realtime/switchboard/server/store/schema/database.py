"""
One database, and how it is read and written: SQLite, PostgreSQL or MySQL.

Reads and writes are short functions that may run again. A deadlock or a busy lock is answered by a second try, and so
is a connection that turns out to be dead at the first statement of a transaction: then nothing was executed. So no ping
is sent before each transaction.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_openai_realtime.api.request import quotable
from airflow_openai_realtime.exceptions import ConfigurationError, StoreUnavailable

_T = TypeVar("_T")
_P = ParamSpec("_P")
_R = TypeVar("_R", bound="_Rows")

BUSY_TIMEOUT_SECONDS = 5.0
_WRITES = "openai_realtime_writes"
_EXECUTED = "openai_realtime_executed"
_SYNC_DRIVERS = {"postgresql": ("psycopg2", "psycopg"), "mysql": ("mysqldb", "pymysql")}
_MODULES = {"mysqldb": "MySQLdb"}
# Serialization failure and deadlock: SQLSTATEs of PostgreSQL, error numbers of MySQL.
_TRY_AGAIN = {"40001", "40P01", 1205, 1213}


class Database:
    """
    The store's database.

    :param url: An SQLAlchemy URL; drivers for asynchronous use are replaced by synchronous ones.
    :param threads: How many threads use it at once.
    :raises ConfigurationError: The URL cannot be used. The message never shows a password.
    """

    def __init__(self, url: str, *, threads: int = 8) -> None:
        self.url = store_url(url)
        self.ready = False
        self._engine = _engine(self.url, threads)
        # The threads of a process would otherwise poll for SQLite's lock.
        self._turn: Any = threading.Lock() if self.is_sqlite else nullcontext()

    def __repr__(self) -> str:
        return f"<Database {self.url.render_as_string(hide_password=True)}>"

    @property
    def is_sqlite(self) -> bool:
        """Whether writers take turns, so that sequence numbers commit in order."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql``, ``mysql`` or ``mariadb``."""
        return self._engine.dialect.name

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """
        Run some queries in one transaction.

        :param work: Gets a connection; run again when the database says so.
        :raises StoreUnavailable: The database cannot be reached, or is not prepared yet.
        """
        self._require_ready()
        with _as_unavailable():
            return self._run(work, writes=False)

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """
        Run a change in one transaction and commit it; it is run again after a deadlock.

        :param work: Gets a connection with an open transaction; run again when the database says so.
        :raises StoreUnavailable: The database cannot be reached or is not prepared yet; nothing is known to be stored.
        """
        self._require_ready()
        with _as_unavailable():
            for _ in range(3):
                try:
                    return self._run(work, writes=True)
                except DBAPIError as error:
                    if _error_code(error) not in _TRY_AGAIN:
                        raise
            return self._run(work, writes=True)

    @contextmanager
    def connect_for_migration(self) -> Iterator[Connection]:
        """
        A connection outside any transaction; its transactions take SQLite's write lock at once.

        :raises StoreUnavailable: The database cannot be reached.
        :raises ConfigurationError: The database does not take what the URL says, or does not let its tables be made.
        """
        if self.is_sqlite:
            _make_private_file(Path(str(self.url.database)))
        try:
            with _as_unavailable(), self._engine.connect() as connection:
                yield connection.execution_options(**{_WRITES: True})
        except (SQLAlchemyError, TypeError, ValueError) as error:
            # A file that is no database, an option that the driver does not know, no right to make tables.
            raise _unusable(self.url, error) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _run(self, work: Callable[[Connection], _T], *, writes: bool) -> _T:
        executed: list[None] = []
        try:
            return self._run_once(work, writes, executed)
        except DBAPIError as error:
            # All pooled connections are as old as this one, and are closed with it: the next one is new.
            if executed or not error.connection_invalidated:
                raise
        return self._run_once(work, writes, executed)

    def _run_once(self, work: Callable[[Connection], _T], writes: bool, executed: list[None]) -> _T:
        with self._turn if writes else nullcontext(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: writes, _EXECUTED: executed})
            with connection.begin():
                return work(connection)

    def _require_ready(self) -> None:
        if not self.ready:
            raise StoreUnavailable("the switchboard's store is not prepared yet; see the switchboard's log")


class _Rows(Protocol):
    """What reads and writes some tables: it has the store's database."""

    _database: Database


def reads(method: Callable[Concatenate[_R, Connection, _P], _T]) -> Callable[Concatenate[_R, _P], _T]:
    """
    Run a method in a transaction that reads; callers leave its connection out. See :meth:`Database.read`.

    :param method: Its first parameter is the connection. It may run again.
    """

    @wraps(method)
    def in_transaction(self: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._database.read(lambda connection: method(self, connection, *args, **kwargs))

    return in_transaction


def writes(method: Callable[Concatenate[_R, Connection, _P], _T]) -> Callable[Concatenate[_R, _P], _T]:
    """
    Run a method in a transaction that writes, and commit; callers leave its connection out. See :meth:`Database.write`.

    :param method: Its first parameter is the connection. It may run again.
    """

    @wraps(method)
    def in_transaction(self: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._database.write(lambda connection: method(self, connection, *args, **kwargs))

    return in_transaction


def upserts(method: Callable[Concatenate[_R, Connection, _P], _T]) -> Callable[Concatenate[_R, _P], _T]:
    """
    As :func:`writes`; run once more when another transaction has inserted the same row first, which is then found.

    :param method: Its first parameter is the connection. It may run again.
    """
    write = writes(method)

    @wraps(method)
    def twice(self: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return write(self, *args, **kwargs)
        except IntegrityError:
            return write(self, *args, **kwargs)

    return twice


def store_url(url: str) -> URL:
    """
    Read a URL and replace an asynchronous or absent driver by a synchronous one that is installed.

    :param url: SQLAlchemy URL.
    :raises ConfigurationError: It is no URL, an SQLite database in memory, or of a database that is not supported.
    """
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):  # ValueError: its port is no number
        raise ConfigurationError(
            "store_url is no database URL; use for example sqlite:////var/lib/switchboard.db or "
            "postgresql+psycopg2://user:password@host/database"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError("store_url: SQLite needs a file, for example sqlite:////var/lib/switchboard.db")
        return parsed.set(drivername="sqlite")
    drivers = _SYNC_DRIVERS.get("mysql" if backend == "mariadb" else backend)
    if drivers is None:
        raise ConfigurationError(f"store_url: {backend} is not supported; use sqlite, postgresql or mysql")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise ConfigurationError("store_url: the port must be 1 to 65535")
    named = parsed.drivername.partition("+")[2]
    if named and not any(word in named for word in ("async", "aio")):
        return parsed
    driver = next((name for name in drivers if importlib.util.find_spec(_MODULES.get(name, name))), None)
    if driver is None:
        raise ConfigurationError(
            f"store_url: no driver for {backend} is installed; pip install "
            f"'airflow-provider-openai-realtime[{'postgres' if backend == 'postgresql' else 'mysql'}]'"
        )
    return parsed.set(drivername=f"{backend}+{driver}")


def _engine(url: URL, threads: int) -> Engine:
    # An error must not quote parameters: they hold phone numbers.
    options: dict[str, Any] = {"pool_size": threads, "max_overflow": 4, "hide_parameters": True}
    options["pool_timeout"] = BUSY_TIMEOUT_SECONDS
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"check_same_thread": False}, **options)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(url, connect_args=_connect_arguments(url), **options)
        event.listen(engine, "after_cursor_execute", _note_executed)
        return engine
    except ImportError as error:
        raise ConfigurationError(f"store_url: the driver {url.drivername} is not installed ({error.name})") from error
    except NoSuchModuleError:
        raise ConfigurationError(f"store_url: SQLAlchemy knows no driver {url.drivername}") from None
    except (ArgumentError, TypeError, ValueError) as error:
        raise _unusable(url, error) from error


def _note_executed(connection: Connection, *_: object) -> None:
    """A statement of a transaction succeeded: if the connection is lost from now on, the work does not run again."""
    executed = connection.get_execution_options().get(_EXECUTED)
    if executed is not None:
        executed.append(None)


def _connect_arguments(url: URL) -> dict[str, Any]:
    """Limits, so that a database that vanished from the network is noticed within seconds."""
    limits: dict[str, Any] = {"connect_timeout": 5}
    if url.get_backend_name() == "postgresql" and url.get_driver_name() in ("psycopg2", "psycopg"):
        limits |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
    return {key: value for key, value in limits.items() if key not in url.query}


def _make_private_file(path: Path) -> None:
    """The store holds phone numbers: only its owner reads it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"store_url: cannot write {path} ({error.strerror}); make its folder, and let the switchboard's "
            "user write there"
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, and nowhere else
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # Several processes that open a new file at once: this statement does not wait by itself.
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unavailable(error) from error
        raise


def _unavailable(error: Exception) -> StoreUnavailable:
    # The driver's text names hosts and users; its type is enough for clients. The log has the rest.
    cause = getattr(error, "orig", None) or error
    return StoreUnavailable(f"the switchboard's store does not answer ({type(cause).__name__})")


def _unusable(url: URL, error: Exception) -> ConfigurationError:
    cause: Exception = getattr(error, "orig", None) or error
    said = quotable((str(cause).splitlines() or [""])[0], tuple(filter(None, [url.password])))
    return ConfigurationError(
        f"store_url: the database cannot be used ({type(cause).__name__}: {said}); check its name, its options and "
        "whether its user may make tables"
    )


def _error_code(error: DBAPIError) -> Any:
    cause: Any = error.orig
    code = getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
    return code or (cause.args[0] if getattr(cause, "args", None) else None)
