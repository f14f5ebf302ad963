"""
Bringing the tables up to date when a switchboard starts: by Alembic, one process at a time.

The usual start finds them up to date by one query, takes no lock and does not load Alembic.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.store.schema.database import Database
from airflow_openai_realtime.switchboard.server.store.schema.tables import SCHEMA_VERSION, VERSION_TABLE

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_SECONDS = 60
_LOCK_NUMBER = 0x6F72_7377  # "orsw"
_LOCK_NAME = "openai_realtime_migrations"

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals


def migrate(database: Database) -> None:
    """
    Bring the tables up to date, and let the database be used.

    Safe when many processes start together: the first migrates, the others wait for it. Tables of a newer version of
    this package are left as they are, so that a rolling update can go on.

    :param database: The store's database.
    :raises StoreUnavailable: The database cannot be reached, or another process holds the lock for too long.
    """
    with database.connect_for_migration() as connection:
        if schema_version(connection) != SCHEMA_VERSION:
            with _one_at_a_time, _locked(connection):
                _upgrade(connection)
    database.ready = True


def schema_version(connection: Connection) -> str | None:
    """
    The version of the tables that are there; None when there are none. Ends its transaction.

    :param connection: A connection with an open transaction.
    """
    with connection.begin():
        return _read_version(connection)


def _read_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalar()


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """A transaction that no other process is in; on MySQL, which commits each statement, a named lock as well."""
    dialect = connection.dialect.name
    if dialect in ("mysql", "mariadb"):
        with connection.begin():
            got = connection.execute(text("SELECT GET_LOCK(:name, :wait)"), {"name": _LOCK_NAME, "wait": LOCK_SECONDS})
            if got.scalar() != 1:
                raise StoreUnavailable("another switchboard holds the migration lock; see its log")
            try:
                yield
            finally:
                connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
        return
    with connection.begin():  # on SQLite: BEGIN IMMEDIATE
        if dialect == "postgresql":
            # Held by the transaction, so that it works through a connection pooler.
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
        yield


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    current = _read_version(connection)
    if current == SCHEMA_VERSION:
        return  # another process was first
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        log.warning("switchboard.schema_is_newer found=%s known=%s", current, SCHEMA_VERSION)
        return
    command.upgrade(config, "head")
    log.info("switchboard.schema_migrated from=%s to=%s", current or "none", SCHEMA_VERSION)
