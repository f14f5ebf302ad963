"""Places in the feed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.server.feed.cursors import GAP_SECONDS, WIDEST_LOOK_BACK, Cursor

NOW = 1_764_000_000.0


def test_numbers_in_order_leave_no_gap() -> None:
    assert Cursor(3).advanced([4, 5, 6], NOW) == Cursor(6)


def test_a_missing_number_is_a_gap_until_it_appears() -> None:
    cursor = Cursor(3).advanced([4, 6, 7], NOW)
    assert cursor == Cursor(7, {5: NOW})
    assert cursor.advanced([5], NOW + 1) == Cursor(7)


def test_a_gap_is_given_up_after_some_seconds() -> None:
    cursor = Cursor(7, {5: NOW})
    assert cursor.advanced([], NOW + GAP_SECONDS - 0.1).gaps == {5: NOW}
    assert cursor.advanced([], NOW + GAP_SECONDS).gaps == {}


def test_a_gap_from_a_machine_whose_clock_is_ahead_does_not_last_longer() -> None:
    assert Cursor(7, {5: NOW + 1000}).advanced([], NOW).gaps == {5: NOW}


def test_a_cursor_at_the_end_knows_what_is_missing_below() -> None:
    assert Cursor.at_end([], NOW) == Cursor()
    assert Cursor.at_end([4, 1, 2], NOW) == Cursor(4, {3: NOW})
    assert Cursor.at_end([3], NOW) == Cursor(3, {1: NOW, 2: NOW})


def test_a_jump_over_deleted_rows_makes_no_endless_list_of_gaps() -> None:
    assert len(Cursor(1).advanced([10**9], NOW).gaps) == WIDEST_LOOK_BACK


def test_many_gaps_make_a_short_text() -> None:
    assert len(str(Cursor(1).advanced([900], NOW))) < 60


@given(
    st.integers(0, 10**17),
    st.dictionaries(st.integers(0, 3000), st.integers(0, 2 * 10**12).map(lambda at: at / 1000), max_size=40),
)
def test_a_cursor_survives_being_written_and_read(high: int, gaps: dict[int, float]) -> None:
    assert Cursor.parse(str(Cursor(high, gaps))) == Cursor(high, gaps)


@given(st.text(alphabet="0123456789~@-x. ", max_size=60))
def test_any_text_is_a_cursor_or_a_clear_error(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except InvalidInput:
        return
    assert len(cursor.gaps) <= 3 * WIDEST_LOOK_BACK


@pytest.mark.parametrize("text", ["", "x", "-1", "1~", "1~2@3", "1~1-999999999@0", "1" * 19, "٣", "1~" * 9000])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Cursor.parse(text)
    assert refused.value.field == "after"
