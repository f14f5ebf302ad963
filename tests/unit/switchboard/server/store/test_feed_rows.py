"""The feed steps over nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine
from tests.unit.switchboard.support import START, Clock, a_call

from airflow_openai_realtime.switchboard.server.feed.cursors import GAP_SECONDS, Cursor
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store import feed_rows as feed_module
from airflow_openai_realtime.switchboard.server.store.feed_rows import append


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
