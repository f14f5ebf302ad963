"""A cursor names a call that the user may not see, so it is sealed, and its length tells nothing."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.calls.recent import Place
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.ui.page_cursors import SealedCursors

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
CURSORS = SealedCursors(b"a secret of all processes")
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)


def place(call_id: str = "rtc_1", line: str = "support") -> Place:
    return Place(NOW, line, call_id)


@settings(deadline=None, max_examples=50)
@given(NAMES, NAMES)
def test_every_place_is_found_again(line: str, call_id: str) -> None:
    where = Place(NOW, line, call_id)
    assert CURSORS.read(CURSORS.seal(where)) == where


def test_a_cursor_shows_neither_call_nor_line_also_not_by_its_length() -> None:
    short, long = CURSORS.seal(place("rtc_1")), CURSORS.seal(place("rtc_" + "x" * 100))
    assert "rtc" not in short + long
    assert "support" not in short
    assert len(short) == len(long)


def test_all_processes_with_one_secret_read_each_others_cursors() -> None:
    assert SealedCursors(b"a secret of all processes").read(CURSORS.seal(place())) == place()
    with pytest.raises(InvalidInput):
        SealedCursors(b"another").read(CURSORS.seal(place()))
    with pytest.raises(InvalidInput):
        SealedCursors().read(SealedCursors().seal(place()))


@pytest.mark.parametrize("text", ["", "x", "ä", str(place()), "A" * 5_000])
def test_what_the_page_has_not_written_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="unchanged") as refused:
        CURSORS.read(text)
    assert refused.value.field == "before"


def test_a_cursor_that_was_changed_is_refused() -> None:
    sealed = CURSORS.seal(place())
    with pytest.raises(InvalidInput):
        CURSORS.read(sealed[:-4] + ("AAA=" if sealed[-4:] != "AAA=" else "BBB="))
