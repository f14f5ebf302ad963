"""Calls from a standalone switchboard, over a real socket, and from a store that is not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from airflow_world import ServedApp
from tests.unit.switchboard.support import SECRET, Clock, a_line
from tests.unit.ui.support import START, PageWorld, User, owner

from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.recent import Place
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.ui import sources as module
from airflow_openai_realtime.ui.sources import ClientSource, StoreSource


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[PageWorld, ClientSource]]:
    """A standalone switchboard whose line is called otherwise than the connection."""
    store = Store(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    store.prepare()
    world = PageWorld(store)
    with ServedApp(create_app(store, StaticLines([a_line("support")]), now=world.clock)) as served:
        yield world, ClientSource("berlin", SwitchboardAddress(served.url, derived_token(SECRET), "support"))
    world.http.close()


def test_calls_of_a_standalone_switchboard_go_by_the_name_of_the_connection(
    elsewhere: tuple[PageWorld, ClientSource],
) -> None:
    there, source = elsewhere
    there.ring(1)
    there.accept(1, "order:day")
    generation = there.talk(1, owner("watcher"), "Hello")
    page = source.page(None, 10)
    assert [(each.call.line, each.call.call_id) for each in page.calls] == [("berlin", "rtc_1")]
    found = source.find("berlin", "rtc_1")
    assert found is not None
    assert found.recent == page.calls[0]
    assert found.conversation is not None
    assert (found.conversation.generation, len(found.conversation.entries)) == (generation, 1)
    assert source.find("berlin", "rtc_2") is None
    assert source.find("support", "rtc_1") is None
    source.ended("berlin", "rtc_1", "hung_up")
    assert there.store.calls.find("support", "rtc_1").end_reason == "hung_up"


@pytest.mark.parametrize(("line", "told"), [("aachen", []), ("berlin", []), ("zwickau", ["rtc_1"])])
def test_of_calls_of_one_instant_none_is_stepped_over_or_told_twice(
    elsewhere: tuple[PageWorld, ClientSource], line: str, told: list[str]
) -> None:
    there, source = elsewhere
    there.ring(1)
    there.end(1)
    before = Place(START, line, "rtc_1")
    assert [each.call.call_id for each in source.page(before, 10).calls] == told
    earlier, later = (Place(START + timedelta(seconds=by), line, "x") for by in (-1, 1))
    assert source.page(earlier, 10).calls == ()
    assert len(source.page(later, 10).calls) == 1


def test_where_a_page_ends_is_told_by_the_name_of_the_connection(elsewhere: tuple[PageWorld, ClientSource]) -> None:
    there, source = elsewhere
    for number in (1, 2):
        there.ring(number, seconds_ago=number)
        there.end(number)
    end = source.page(None, 1).next
    assert end == Place(START - timedelta(seconds=1), "berlin", "rtc_1")
    assert [each.call.call_id for each in source.page(end, 1).calls] == ["rtc_2"]


def test_the_page_shows_both_and_hangs_up_in_both(
    page: PageWorld, elsewhere: tuple[PageWorld, ClientSource], tmp_path: Path
) -> None:
    there, source = elsewhere
    there.ring(1, seconds_ago=1)
    there.accept(1)
    page.ring(2)
    page.accept(2)
    page.others = [source]
    page.user = User({"campaign": ("read_calls", "read_transcripts", "hang_up")})
    assert page.ids() == ["rtc_2", "rtc_1"]
    assert page.hang_up(1, "berlin").status_code == 200
    assert page.hang_up(2, "support").status_code == 200
    assert there.store.calls.find("support", "rtc_1").end_reason == "hung_up"
    assert page.store.calls.find("support", "rtc_2").end_reason == "hung_up"


def test_a_switchboard_that_is_away_says_so_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ClientSource("berlin", SwitchboardAddress("http://127.0.0.1:9", "token", "support"))
    with pytest.raises(SwitchboardUnreachable, match=r"127\.0\.0\.1:9"):
        source.page(None, 10)
    assert module.CLIENT_TIMEOUT_SECONDS < 5


def test_a_store_without_tables_is_prepared_when_it_is_first_read(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new.db'}")
    source = StoreSource(store, Clock())
    assert not (tmp_path / "new.db").exists()
    assert source.page(None, 10).calls == ()
    store.close()


def test_attempts_of_a_standalone_switchboard_come_with_their_calls(elsewhere: tuple[PageWorld, ClientSource]) -> None:
    there, source = elsewhere
    unreached, reached = there.dial("ann"), there.dial("bob")
    there.come_in(1, reached)
    page = source.page(None, 10)
    assert [(each.line, each.attempt.contact, each.is_live) for each in page.attempts] == [("berlin", "ann", True)]
    assert [each.attempt and each.attempt.contact for each in page.calls] == ["bob"]
    found = source.find("berlin", "rtc_1")
    assert found is not None
    assert found.recent == page.calls[0]
    attempt = source.find_attempt("berlin", reached.attempt_id)
    assert attempt is not None
    assert (attempt.line, attempt.attempt.call_id) == ("berlin", "rtc_1")
    assert source.find_attempt("berlin", "no-such") is None
    assert source.find_attempt("support", unreached.attempt_id) is None
