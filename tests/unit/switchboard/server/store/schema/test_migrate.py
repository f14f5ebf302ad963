"""Tables are made and kept up to date, by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.schema.migrate import MIGRATIONS, schema_version
from airflow_openai_realtime.switchboard.server.store.schema.tables import (
    SCHEMA_VERSION,
    VERSION_TABLE,
    attempts,
    metadata,
)

PREPARE = """
import sys, time
from airflow_openai_realtime.switchboard.server.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.prepare()
store.close()
"""


def test_the_migrated_tables_are_those_that_the_code_uses(store: Store) -> None:
    with store.database.connect_for_migration() as connection, connection.begin():
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, parents: name != VERSION_TABLE}
        )
        assert compare_metadata(context, metadata) == []
        for table in metadata.tables.values():
            indexes = {index["name"] for index in inspect(connection).get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= indexes


def test_the_code_names_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_four_processes_that_start_together_migrate_once(store_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PREPARE, store_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    store = Store(store_url)
    store.prepare()
    assert store.calls.add([a_call()]) == {("support", "rtc_1")}
    store.close()


def test_preparing_again_changes_nothing(store: Store) -> None:
    store.calls.add([a_call()])
    store.prepare()
    assert store.calls.find("support", "rtc_1").state == "ringing"


OLD_KEYS = [
    # contact, attempt, state; the first two are one phone
    ("+442071838750", 1, "reserved"),
    ("+4402071838750", 1, "placed"),
    ("+4402071838750", 2, "ended"),
    ("+442071838751", 1, "placed"),
    ("+4402071838751", 1, "ended"),
    ("ann", 1, "placed"),
    ("+44020 7183 8750", 1, "placed"),
]


def test_a_phone_that_rang_before_the_update_is_found_in_its_one_spelling(store_url: str) -> None:
    """Rows written before numbers had one spelling."""
    store = Store(store_url)
    with store.database.connect_for_migration() as connection, connection.begin():
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for contact, attempt, state in OLD_KEYS:
            connection.execute(
                attempts.insert().inline(),
                {
                    "attempt_id": f"{contact} {attempt}",
                    "line": "support",
                    "campaign": "spring",
                    "contact": contact,
                    "attempt": attempt,
                    "state": state,
                    "correlation_id": "c",
                    "to_number": contact if contact != "ann" else None,
                    "created_at": START,
                    "updated_at": START,
                },
            )
    store.prepare()
    rows, _ = store.attempts.page("support", "spring", None, 0)
    assert {row.attempt_id: (row.contact, row.to_number, row.state) for row in rows} == {
        "+4402071838750 1": ("+442071838750", "+442071838750", "placed"),
        "+4402071838750 2": ("+442071838750", "+442071838750", "ended"),
        "+442071838751 1": ("+442071838751", "+442071838751", "placed"),
        "+4402071838751 1": ("+4402071838751", "+442071838751", "ended"),
        "ann 1": ("ann", None, "placed"),
        "+44020 7183 8750 1": ("+44020 7183 8750", "+44020 7183 8750", "placed"),
    }
    again = store.attempts.reserve("support", "spring", "+4402071838750", 1, "+4402071838750", START)
    assert (again.state, again.created) == ("placed", False)
    store.close()


def test_tables_of_a_newer_version_are_left_alone(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(store_url)
    store.prepare()

    def newer(connection: object) -> None:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # type: ignore[attr-defined]

    store.database.write(newer)
    store.prepare()
    with store.database.connect_for_migration() as connection:
        assert schema_version(connection) == "9999"
    assert "schema_is_newer" in caplog.text
    store.close()


def test_a_migration_that_fails_leaves_nothing_behind(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both databases change tables within a transaction."""
    from alembic import command

    def broken(config: Config, revision: str) -> None:
        config.attributes["connection"].execute(text("CREATE TABLE half_done (x INTEGER)"))
        raise RuntimeError

    store = Store(store_url)
    monkeypatch.setattr(command, "upgrade", broken)
    with pytest.raises(RuntimeError):
        store.prepare()
    monkeypatch.undo()
    store.close()
    engine = create_engine(store_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_store_in_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write .*nowhere"):
        Store(f"sqlite:///{tmp_path}/nowhere/calls.db").prepare()
