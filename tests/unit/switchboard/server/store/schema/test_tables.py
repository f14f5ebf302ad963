"""What all tables have in common."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from airflow_openai_realtime.switchboard.server.store.schema.tables import Instant, exact_text, metadata

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect(), "mysql": mysql.dialect()}


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_each_table_says_whose_it_is(name: str) -> None:
    """They may stand in Airflow's own database."""
    assert name.startswith("openai_realtime_")


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_each_table_can_be_made_on_each_kind_of_database(dialect: str) -> None:
    for table in metadata.tables.values():
        assert f"CREATE TABLE {table.name}" in str(CreateTable(table).compile(dialect=DIALECTS[dialect]))


def test_an_instant_is_kept_to_the_microsecond_and_comes_back_in_utc() -> None:
    at = datetime(2026, 11, 22, 9, 0, 0, 123457, timezone(timedelta(hours=1)))
    stored = Instant().process_bind_param(at, None)
    assert stored is not None
    back = Instant().process_result_value(stored, None)
    assert (back, back and back.tzinfo) == (at, timezone.utc)
    assert Instant().process_bind_param(None, None) is None
    assert Instant().process_result_value(None, None) is None


def test_names_and_ids_compare_by_their_bytes_on_mysql_too() -> None:
    kind = exact_text(20).compile(dialect=DIALECTS["mysql"])
    assert kind == "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    assert exact_text(20).compile(dialect=DIALECTS["postgresql"]) == "VARCHAR(20)"
