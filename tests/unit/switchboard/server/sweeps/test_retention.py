"""Retention: what goes, what stays, and that it goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from tests.unit.switchboard.support import Clock, a_call, a_line, running, until

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import StoreUnavailable, UnknownCall
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store
from airflow_openai_realtime.switchboard.server.sweeps import retention as module
from airflow_openai_realtime.switchboard.server.sweeps.retention import Retention
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

DAY = 86_400.0


@pytest.fixture
def threads() -> Executor:
    return Executor(2, "test")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "FIRST_AFTER_SECONDS", 0.001)


def filled(store: Store, clock: Clock) -> None:
    store.calls.add([a_call(number, state="missed", ended_at=clock()) for number in range(7)])
    store.calls.add([a_call("open")])
    store.attempts.reserve("support", "spring", "ann", 1, "+14155550123", clock())
    for number in range(4):
        store.attempts.first_start("support", "dag", f"run {number}", clock())


async def test_by_default_old_calls_go_and_the_ledger_stays_without_numbers(
    store: Store, clock: Clock, threads: Executor
) -> None:
    filled(store, clock)
    settings = SwitchboardSettings(retention_batch=3)
    clock.move(30 * DAY - 1)
    assert not any((await Retention(store, threads, settings, clock).delete()).values())
    clock.move(61)
    counts = await Retention(store, threads, settings, clock).delete()
    assert counts == {"conversations": 0, "calls": 7, "feed": 0, "run_starts": 4, "numbers": 1, "processes": 0}
    assert [call.call_id for call in store.calls.select("support", CallFilter(), 10, clock())] == ["rtc_open"]
    (attempt,) = store.attempts.page("support", "spring", None, 0)[0]
    assert (attempt.contact, attempt.to_number) == ("ann", None)


async def test_nothing_goes_when_everything_is_to_be_kept(store: Store, clock: Clock, threads: Executor) -> None:
    filled(store, clock)
    clock.move(10_000 * DAY)
    assert await Retention(store, threads, SwitchboardSettings(retention_days=0), clock).delete() == {"processes": 0}
    assert len(store.calls.select("support", CallFilter(), 10, clock())) == 8


async def test_what_was_said_may_go_earlier_than_the_calls(store: Store, clock: Clock, threads: Executor) -> None:
    filled(store, clock)
    for number in range(7):
        store.conversations.open("support", f"rtc_{number}", "me", clock())
        said = [TimelineEntry(str(each), "caller", clock(), {"text": "Hello"}) for each in range(2)]
        store.conversations.finish("support", f"rtc_{number}", 1, "completed", {"day": "Friday"}, said, clock())
    settings = SwitchboardSettings(transcript_days=2, retention_batch=3)
    clock.move(2 * DAY - 1)
    assert not any((await Retention(store, threads, settings, clock).delete()).values())
    clock.move(1)
    assert (await Retention(store, threads, settings, clock).delete())["conversations"] == 7
    found = store.conversations.find("support", "rtc_0")
    assert (found.outcome, found.result, found.entries) == ("completed", None, ())
    clock.move(29 * DAY)
    assert (await Retention(store, threads, settings, clock).delete())["calls"] == 7
    with pytest.raises(UnknownCall):
        store.conversations.find("support", "rtc_0")


async def test_processes_that_are_long_dead_go_whatever_else_is_kept(
    store: Store, clock: Clock, threads: Executor
) -> None:
    for number in range(5):
        store.conversations.save_progress("support", f"p{number}", [], clock())
    settings = SwitchboardSettings(retention_days=0, retention_batch=2)
    clock.move(DAY - 1)
    store.conversations.save_progress("support", "p4", [], clock())
    assert await Retention(store, threads, settings, clock).delete() == {"processes": 0}
    clock.move(1)
    assert await Retention(store, threads, settings, clock).delete() == {"processes": 4}
    assert await Retention(store, threads, settings, clock).delete() == {"processes": 0}


async def test_a_switchboard_deletes_by_itself(sqlite_store: Store, clock: Clock) -> None:
    sqlite_store.calls.add([a_call(1, state="missed", ended_at=clock())])
    clock.move(31 * DAY)
    async with running(sqlite_store, StaticLines([a_line()]), clock):
        await until(lambda: not sqlite_store.calls.select("support", CallFilter(), 10, clock()))


async def test_the_ledger_goes_only_when_that_is_said(store: Store, clock: Clock, threads: Executor) -> None:
    filled(store, clock)
    settings = SwitchboardSettings(retention_days=0, ledger_retention_days=365)
    clock.move(364 * DAY)
    assert await Retention(store, threads, settings, clock).delete() == {"attempts": 0, "processes": 0}
    clock.move(DAY)
    assert await Retention(store, threads, settings, clock).delete() == {"attempts": 1, "processes": 0}


async def test_a_failure_costs_one_round(
    sqlite_store: Store,
    clock: Clock,
    threads: Executor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries: list[int] = []

    def delete_calls(before: datetime, limit: int) -> int:
        tries.append(limit)
        if len(tries) < 3:
            raise (StoreUnavailable("away"), ValueError("odd"))[len(tries) - 1]
        return 0

    monkeypatch.setattr(sqlite_store.old_rows, "delete_calls", delete_calls)
    settings = SwitchboardSettings(retention_interval_seconds=0.001)
    running = asyncio.ensure_future(Retention(sqlite_store, threads, settings, clock).sweep.run())
    await until(lambda: len(tries) > 3)
    running.cancel()
    await asyncio.wait([running])
    assert "retention.store_unavailable error=away" in caplog.text
    assert "retention.sweep_failed" in caplog.text
