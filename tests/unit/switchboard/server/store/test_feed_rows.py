"""The feed steps over nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine
from tests.unit.switchboard.support import START, Clock, a_call

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store import feed_rows as feed_module
from airflow_openai_realtime.switchboard.server.store.feed_rows import GAP_SECONDS, WIDEST_LOOK_BACK, Cursor, append


@pytest.fixture
def slow_writer(postgres_store: Store) -> Iterator[Connection]:
    """A transaction of another worker that has its number in the feed, and has not committed."""
    engine = create_engine(postgres_store.database.url)
    with engine.connect() as connection:
        append(connection, [("support", "rtc_slow", "ringing")], START)
        yield connection
    engine.dispose()


@pytest.mark.postgres
def test_a_number_that_commits_late_is_not_stepped_over(
    postgres_store: Store, slow_writer: Connection, clock: Clock
) -> None:
    cursor = postgres_store.feed.end(clock())
    postgres_store.calls.add([a_call(1), a_call(2)])
    page = postgres_store.feed.since(cursor, clock())
    assert [call_id for _, call_id in page.changes] == ["rtc_1", "rtc_2"]
    slow_writer.commit()
    clock.move(1)
    page = postgres_store.feed.since(Cursor.parse(str(page.cursor)), clock())
    assert [call_id for _, call_id in page.changes] == ["rtc_slow"]
    assert postgres_store.feed.since(page.cursor, clock()).changes == ()


@pytest.mark.postgres
def test_a_reader_that_starts_while_a_number_is_missing_gets_it_too(
    postgres_store: Store, slow_writer: Connection, clock: Clock
) -> None:
    """The missing number is the first of all."""
    postgres_store.calls.add([a_call(1)])
    cursor = postgres_store.feed.end(clock())
    slow_writer.commit()
    assert [call_id for _, call_id in postgres_store.feed.since(cursor, clock()).changes] == ["rtc_slow"]


@pytest.mark.postgres
def test_a_new_reader_knows_of_a_missing_number_in_between(postgres_store: Store, clock: Clock) -> None:
    postgres_store.calls.add([a_call(1)])
    engine = create_engine(postgres_store.database.url)
    with engine.connect() as slow:
        append(slow, [("support", "rtc_slow", "ringing")], START)
        postgres_store.calls.add([a_call(2)])
        cursor = postgres_store.feed.end(clock())
        slow.commit()
    engine.dispose()
    assert [call_id for _, call_id in postgres_store.feed.since(cursor, clock()).changes] == ["rtc_slow"]


@pytest.mark.postgres
def test_a_writer_that_failed_is_given_up_after_some_seconds(
    postgres_store: Store, slow_writer: Connection, clock: Clock
) -> None:
    cursor = postgres_store.feed.end(clock())
    postgres_store.calls.add([a_call(1)])
    cursor = postgres_store.feed.since(cursor, clock()).cursor
    assert len(cursor.gaps) == 1
    slow_writer.rollback()
    clock.move(GAP_SECONDS)
    assert postgres_store.feed.since(cursor, clock()).cursor == Cursor(cursor.high)


def test_a_long_feed_is_read_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "PAGE", 3)
    store.calls.add([a_call(number) for number in range(7)])
    cursor, sizes = Cursor(), []
    while True:
        page = store.feed.since(cursor, START)
        cursor = page.cursor
        sizes.append(len(page.changes))
        if not page.is_full:
            break
    assert sizes == [3, 3, 1]


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
