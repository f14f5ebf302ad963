"""Long polls: what wakes them and what they cost, with a made-up feed; and over the private API, in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, START, Clock, Switchboard, a_call, a_line, running, until

from airflow_openai_realtime.calls.call import CallPage
from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.exceptions import StoreUnavailable, SwitchboardUnreachable
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls
from airflow_openai_realtime.switchboard.server import polls as module
from airflow_openai_realtime.switchboard.server.polls import Polls
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import CallChanges, CallFilter, Store
from airflow_openai_realtime.switchboard.server.store.call_rows import as_call
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor, FeedPage
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

POLL_SECONDS = 0.005
SOON = 30.0


class Feed:
    """A store whose feed holds a call for each line that is named, in that order."""

    def __init__(self) -> None:
        self.calls = self.feed = self
        self.lines: list[str] = []
        self.looks = 0  # of the polls, at the store
        self.watched = 0  # looks of the worker, at the feed
        self.failure: Exception | None = None
        self.may_look = threading.Event()
        self.may_look.set()

    def changes(self, line: str, wanted: CallFilter, cursor: Cursor, now: object) -> CallChanges:
        self.looks += 1
        news = self.lines[cursor.high :]
        end = Cursor(len(self.lines))
        assert self.may_look.wait(60)
        found = tuple(as_call(a_call(number, line=each)) for number, each in enumerate(news) if each == line)
        return CallChanges(found, end, is_full=False)

    def end(self, now: object) -> Cursor:
        if self.failure is not None:
            raise self.failure
        return Cursor(len(self.lines))

    def since(self, cursor: Cursor, now: object) -> FeedPage:
        self.watched += 1
        if self.failure is not None:
            raise self.failure
        changes = tuple((line, "rtc_1") for line in self.lines[cursor.high :])
        return FeedPage(changes, Cursor(len(self.lines)), is_full=False)


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
async def polls(feed: Feed) -> AsyncIterator[Polls]:
    threads = Executor(4, "test")
    settings = SwitchboardSettings(feed_poll_seconds=POLL_SECONDS)
    made = Polls(feed, threads, settings, Clock())  # type: ignore[arg-type]
    yield made
    feed.may_look.set()
    await made.stop()
    threads.close()


async def begin(polls: Polls, feed: Feed, line: str = "support", seconds: float = 60.0) -> asyncio.Task[CallPage]:
    """A poll that has found nothing yet, and waits."""
    looks = feed.looks
    task = asyncio.ensure_future(polls.changes(line, CallFilter(), Cursor(len(feed.lines)), seconds))
    await until(lambda: feed.looks > looks)
    return task


async def test_a_commit_of_another_worker_wakes_a_poll(polls: Polls, feed: Feed) -> None:
    waiting = await begin(polls, feed)
    feed.lines.append("support")
    page = await asyncio.wait_for(waiting, SOON)
    assert ([call.line for call in page.calls], page.cursor) == (["support"], "1")


async def test_a_commit_of_this_worker_wakes_all_polls_of_its_line_without_a_look_at_the_feed(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = Executor(4, "test")
    polls = Polls(feed, threads, SwitchboardSettings(feed_poll_seconds=3600), Clock())  # type: ignore[arg-type]
    waiting = [await begin(polls, feed)]
    waiting += [asyncio.ensure_future(polls.changes("support", CallFilter(), Cursor(), 60)) for _ in range(9)]
    await until(lambda: polls.waiting == 10)
    await until(lambda: feed.watched == 1)
    feed.lines.append("support")
    polls.wake("support")
    pages = await asyncio.wait_for(asyncio.gather(*waiting), SOON)
    assert [len(page.calls) for page in pages] == [1] * 10
    assert feed.watched == 1
    await polls.stop()
    threads.close()


async def test_what_happens_on_another_line_answers_no_poll(polls: Polls, feed: Feed) -> None:
    waiting = await begin(polls, feed, seconds=0.1)
    feed.lines.append("sales")
    polls.wake("sales")
    assert (await asyncio.wait_for(waiting, SOON)).calls == ()


async def test_what_is_committed_between_the_look_and_the_wait_is_not_missed(polls: Polls, feed: Feed) -> None:
    feed.may_look.clear()
    waiting = await begin(polls, feed)  # it has read the store, and has not got the answer yet
    feed.lines.append("support")
    polls.wake("support")
    feed.may_look.set()
    assert len((await asyncio.wait_for(waiting, SOON)).calls) == 1


async def test_many_polls_that_wait_cost_one_look_at_the_feed_each_time(polls: Polls, feed: Feed) -> None:
    begun = time.monotonic()
    waiting = [asyncio.ensure_future(polls.changes("support", CallFilter(), Cursor(), 0.1)) for _ in range(200)]
    await asyncio.gather(*waiting)
    assert feed.watched <= 2 + (time.monotonic() - begun) / POLL_SECONDS


async def test_the_feed_is_read_only_while_a_poll_waits(
    polls: Polls, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.02)
    await polls.changes("support", CallFilter(), Cursor(), 0)
    assert feed.watched == 0
    await polls.changes("support", CallFilter(), Cursor(), 0.01)
    await until(lambda: feed.watched > 0)

    async def is_still() -> bool:
        watched = feed.watched
        await asyncio.sleep(20 * POLL_SECONDS)
        return feed.watched == watched

    async def becomes_still() -> None:
        while not await is_still():
            pass

    await asyncio.wait_for(becomes_still(), SOON)
    # A poll that comes back is woken again, also by what was committed meanwhile.
    waiting = await begin(polls, feed)
    feed.lines.append("support")
    assert len((await asyncio.wait_for(waiting, SOON)).calls) == 1


async def test_a_store_that_goes_away_for_a_while_is_looked_at_again(
    polls: Polls, feed: Feed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSE_AFTER_FAILURE_SECONDS", 0.005)
    waiting = await begin(polls, feed)
    feed.failure = StoreUnavailable("away")
    watched = feed.watched
    await until(lambda: feed.watched >= watched + 3)
    feed.failure = RuntimeError("a mistake")
    await until(lambda: "feed.failed" in caplog.text)
    feed.failure = None
    feed.lines.append("support")
    assert len((await asyncio.wait_for(waiting, SOON)).calls) == 1
    assert caplog.text.count("feed.store_unavailable") == 1


async def test_a_store_that_is_away_from_the_start_is_an_error(polls: Polls, feed: Feed) -> None:
    feed.failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await polls.changes("support", CallFilter(), Cursor(), 60)
    assert polls.waiting == 0


async def test_closing_answers_all_polls_and_opening_lets_them_wait_again(polls: Polls, feed: Feed) -> None:
    waiting = [await begin(polls, feed) for _ in range(1)]
    polls.close()
    assert [page.calls for page in await asyncio.wait_for(asyncio.gather(*waiting), SOON)] == [()]
    assert (await asyncio.wait_for(polls.changes("support", CallFilter(), Cursor(), 60), SOON)).calls == ()
    polls.open()
    waiting = [await begin(polls, feed)]
    feed.lines.append("support")
    assert len((await asyncio.wait_for(waiting[0], SOON)).calls) == 1


async def test_the_calls_as_they_are_now_come_with_a_cursor(sqlite_store: Store, clock: Clock) -> None:
    sqlite_store.calls.add([a_call(number) for number in range(3)])
    threads = Executor(1, "test")
    page = await Polls(sqlite_store, threads, SwitchboardSettings(), clock).current("support", CallFilter(), 2)
    threads.close()
    assert ([call.call_id for call in page.calls], page.cursor) == (["rtc_1", "rtc_2"], "3")
    assert page.calls[0].received_at == START


async def test_a_poll_ends_when_a_call_comes_in(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        cursor = (await client.asend(list_calls())).cursor
        waiting = asyncio.ensure_future(client.asend(list_calls(after=cursor, wait_seconds=25)))
        await asyncio.sleep(0.05)
        await switchboard.deliver()
        page = await asyncio.wait_for(waiting, SOON)
        assert [call.call_id for call in page.calls] == ["rtc_1"]
        assert (await client.asend(list_calls(after=page.cursor))).calls == ()


async def test_a_poll_ends_when_another_worker_stores_a_call(switchboard: Switchboard, sqlite_url: str) -> None:
    async with switchboard.client() as client:
        cursor = (await client.asend(list_calls())).cursor
        waiting = asyncio.ensure_future(client.asend(list_calls(after=cursor, wait_seconds=25)))
        await asyncio.sleep(0.05)
        other = Store(sqlite_url)
        other.prepare()
        other.calls.add([a_call()])
        other.close()
        assert len((await asyncio.wait_for(waiting, SOON)).calls) == 1


async def test_a_poll_without_news_ends_after_its_wait_with_the_same_cursor(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        page = await asyncio.wait_for(client.asend(list_calls(after="0", wait_seconds=0.1)), SOON)
    assert (page.calls, page.cursor) == ((), "0")


async def test_a_poll_goes_on_waiting_over_what_it_did_not_ask_for(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        waiting = asyncio.ensure_future(client.asend(list_calls(after="0", wait_seconds=5, state="accepted")))
        await asyncio.sleep(0.05)
        await switchboard.deliver(1)
        await switchboard.deliver(2, path="/webhook/sales", secret=OTHER_SECRET)
        page = await asyncio.wait_for(waiting, SOON)
    assert page.calls == ()
    assert page.cursor == "2"


async def test_what_happens_to_a_call_later_is_news_too(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as client:
        cursor = (await client.asend(list_calls())).cursor
        await client.asend(claim_call("rtc_1", "me"))
        (call,) = (await client.asend(list_calls(after=cursor))).calls
    assert call.state == "claimed"


async def test_500_polls_are_all_answered_by_few_looks_at_the_store(
    switchboard: Switchboard, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    changes = sqlite_store.calls.changes

    def counted(line: str, *arguments: object) -> object:
        looks.append(line)
        return changes(line, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_store.calls, "changes", counted)
    async with switchboard.client() as client:
        cursor = (await client.asend(list_calls())).cursor
        waiting = [asyncio.ensure_future(client.asend(list_calls(after=cursor, wait_seconds=25))) for _ in range(500)]
        await until(lambda: switchboard.service.polls.waiting >= 500)
        await switchboard.deliver()
        pages = await asyncio.wait_for(asyncio.gather(*waiting), 2 * SOON)
    assert {len(page.calls) for page in pages} == {1}
    assert len(looks) < 50


async def test_a_look_that_began_before_a_call_came_in_does_not_answer_for_one_that_begins_later(
    switchboard: Switchboard, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, looks, may_end = sqlite_store.calls.changes, [], threading.Event()

    def first_one_is_slow(line: str, *arguments: object) -> object:
        found = changes(line, *arguments)  # type: ignore[arg-type]
        looks.append(line)
        if len(looks) == 1:
            may_end.wait(60)
        return found

    monkeypatch.setattr(sqlite_store.calls, "changes", first_one_is_slow)
    async with switchboard.client() as client:
        early = asyncio.ensure_future(client.asend(list_calls(after="0", wait_seconds=25)))
        await until(lambda: looks)
        await switchboard.deliver()
        late = await asyncio.wait_for(client.asend(list_calls(after="0", wait_seconds=25)), SOON)
        may_end.set()
        assert len(late.calls) == len((await asyncio.wait_for(early, SOON)).calls) == 1


async def test_more_polls_than_allowed_are_asked_to_come_back(
    sqlite_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard_requests, "POLICY", replace(switchboard_requests.POLICY, tries=1))
    started = running(sqlite_store, StaticLines([a_line()]), clock, settings=SwitchboardSettings(long_poll_limit=2))
    async with started as switchboard, switchboard.client() as client:
        waiting = [asyncio.ensure_future(client.asend(list_calls(after="0", wait_seconds=25))) for _ in range(2)]
        await until(lambda: switchboard.service.polls.waiting == 2)
        with pytest.raises(SwitchboardUnreachable) as refused:
            await client.asend(list_calls(after="0", wait_seconds=25))
        assert refused.value.status == 429
        assert (await client.asend(list_calls())).calls == ()
        switchboard.service.polls.close()
        await asyncio.wait_for(asyncio.gather(*waiting), SOON)


async def test_no_poll_waits_longer_than_the_switchboard_allows(sqlite_store: Store, clock: Clock) -> None:
    settings = SwitchboardSettings(long_poll_seconds=0.1)
    started = running(sqlite_store, StaticLines([a_line()]), clock, settings=settings)
    async with started as switchboard, switchboard.client() as client:
        page = await asyncio.wait_for(client.asend(list_calls(after="0", wait_seconds=25)), 20)
    assert (page.calls, page.cursor) == ((), "0")


async def test_a_switchboard_that_stops_lets_its_polls_go(sqlite_store: Store, clock: Clock) -> None:
    async with running(sqlite_store, StaticLines([a_line()]), clock) as switchboard, switchboard.client() as client:
        waiting = asyncio.ensure_future(client.asend(list_calls(after="0", wait_seconds=25)))
        await asyncio.sleep(0.05)
        switchboard.service.polls.close()
        assert (await asyncio.wait_for(waiting, SOON)).calls == ()
