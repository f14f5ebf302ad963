"""Instants as text in JSON: whatever offset they came with, they are the same moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.instants import instant_text, read_instant
from airflow_openai_realtime.exceptions import InvalidInput

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
AWARE = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T12:00:00+00:00", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "2026-11-22T14:30:00+02:30"],
)
def test_a_z_an_offset_and_no_offset_are_read(text: str) -> None:
    read = read_instant("at", text)
    assert read == NOON
    assert read is not None
    assert read.tzinfo is not None


@pytest.mark.parametrize("value", [None, NOON])
def test_what_is_no_text_is_returned_as_it_is(value: datetime | None) -> None:
    assert read_instant("at", value) is value


@pytest.mark.parametrize("value", ["", "soon", 7, "2026-13-01", ["2026-11-22"]])
def test_anything_else_is_refused_by_the_name_of_its_field(value: object) -> None:
    with pytest.raises(InvalidInput, match="accepted_at must be an ISO 8601 instant") as refused:
        read_instant("accepted_at", value)
    assert refused.value.field == "accepted_at"


@given(AWARE)
def test_what_was_written_is_read_back_as_the_same_moment_in_utc(at: datetime) -> None:
    text = instant_text(at)
    assert text.endswith("+00:00")
    assert read_instant("at", text) == at
