"""Long polls over the private API, in this process."""

from __future__ import annotations

import asyncio
import threading

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, Clock, Switchboard, a_call, a_line, running, until

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.switchboard.client import switchboard_client as client_module
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

SOON = 30.0


async def test_a_poll_ends_when_a_call_comes_in(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        cursor = (await client.calls()).cursor
        waiting = asyncio.ensure_future(client.calls(after=cursor, wait_seconds=25))
        await asyncio.sleep(0.05)
        await switchboard.deliver()
        page = await asyncio.wait_for(waiting, SOON)
        assert [call.call_id for call in page.calls] == ["rtc_1"]
        assert (await client.calls(after=page.cursor)).calls == ()


async def test_a_poll_ends_when_another_worker_stores_a_call(switchboard: Switchboard, sqlite_url: str) -> None:
    async with switchboard.client() as client:
        cursor = (await client.calls()).cursor
        waiting = asyncio.ensure_future(client.calls(after=cursor, wait_seconds=25))
        await asyncio.sleep(0.05)
        other = Store(sqlite_url)
        other.prepare()
        other.calls.add([a_call()])
        other.close()
        assert len((await asyncio.wait_for(waiting, SOON)).calls) == 1


async def test_a_poll_without_news_ends_after_its_wait_with_the_same_cursor(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        page = await asyncio.wait_for(client.calls(after="0", wait_seconds=0.1), SOON)
    assert (page.calls, page.cursor) == ((), "0")


async def test_a_poll_goes_on_waiting_over_what_it_did_not_ask_for(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        waiting = asyncio.ensure_future(client.calls(after="0", wait_seconds=5, state="accepted"))
        await asyncio.sleep(0.05)
        await switchboard.deliver(1)
        await switchboard.deliver(2, path="/webhook/sales", secret=OTHER_SECRET)
        page = await asyncio.wait_for(waiting, SOON)
    assert page.calls == ()
    assert page.cursor == "2"


async def test_what_happens_to_a_call_later_is_news_too(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as client:
        cursor = (await client.calls()).cursor
        await client.claim("rtc_1", "me")
        (call,) = (await client.calls(after=cursor)).calls
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
        cursor = (await client.calls()).cursor
        waiting = [asyncio.ensure_future(client.calls(after=cursor, wait_seconds=25)) for _ in range(500)]
        await until(lambda: switchboard.service.hub.waiting >= 500)
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
        early = asyncio.ensure_future(client.calls(after="0", wait_seconds=25))
        await until(lambda: looks)
        await switchboard.deliver()
        late = await asyncio.wait_for(client.calls(after="0", wait_seconds=25), SOON)
        may_end.set()
        assert len(late.calls) == len((await asyncio.wait_for(early, SOON)).calls) == 1


async def test_more_polls_than_allowed_are_asked_to_come_back(
    sqlite_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client_module._RETRYING, "stop", client_module.tenacity.stop_after_attempt(1))
    started = running(sqlite_store, StaticLines([a_line()]), clock, settings=SwitchboardSettings(long_poll_limit=2))
    async with started as switchboard, switchboard.client() as client:
        waiting = [asyncio.ensure_future(client.calls(after="0", wait_seconds=25)) for _ in range(2)]
        await until(lambda: switchboard.service.hub.waiting == 2)
        with pytest.raises(SwitchboardUnreachable) as refused:
            await client.calls(after="0", wait_seconds=25)
        assert refused.value.status == 429
        assert (await client.calls()).calls == ()
        switchboard.service.hub.close()
        await asyncio.wait_for(asyncio.gather(*waiting), SOON)


async def test_no_poll_waits_longer_than_the_switchboard_allows(sqlite_store: Store, clock: Clock) -> None:
    settings = SwitchboardSettings(long_poll_seconds=0.1)
    started = running(sqlite_store, StaticLines([a_line()]), clock, settings=settings)
    async with started as switchboard, switchboard.client() as client:
        page = await asyncio.wait_for(client.calls(after="0", wait_seconds=25), 20)
    assert (page.calls, page.cursor) == ((), "0")


async def test_a_switchboard_that_stops_lets_its_polls_go(sqlite_store: Store, clock: Clock) -> None:
    async with running(sqlite_store, StaticLines([a_line()]), clock) as switchboard, switchboard.client() as client:
        waiting = asyncio.ensure_future(client.calls(after="0", wait_seconds=25))
        await asyncio.sleep(0.05)
        switchboard.service.hub.close()
        assert (await asyncio.wait_for(waiting, SOON)).calls == ()
