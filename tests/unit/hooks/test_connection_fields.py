"""The fields of a connection, of which no secret one shows."""

from __future__ import annotations

import dataclasses

import pytest

from airflow_openai_realtime.hooks.connection_fields import ConnectionFields

FIELDS = ConnectionFields("line_a", "AC1", "sk-hunter2", "https://api.example", {"webhook_secret": "whsec_hunter3"})


def test_no_secret_shows_in_a_log_and_what_tells_connections_apart_does() -> None:
    shown = f"{FIELDS!r} {FIELDS}"
    assert "hunter" not in shown
    assert all(text in shown for text in ("line_a", "AC1", "https://api.example"))


def test_connections_are_compared_by_their_fields_also_by_the_hidden_ones() -> None:
    assert dataclasses.replace(FIELDS) == FIELDS
    assert dataclasses.replace(FIELDS, password="sk-other") != FIELDS
    assert dataclasses.replace(FIELDS, extra={}) != FIELDS


def test_fields_that_were_looked_up_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FIELDS.password = "other"  # type: ignore[misc]
