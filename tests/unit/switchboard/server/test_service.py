"""One switchboard process: what it starts, and in which order it stops."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial

import pytest
from tests.unit.switchboard.support import START, Clock, Switchboard, a_call, a_line, running, until

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.service import Service, utc_now
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


def a_service(store: Store, clock: Clock, **settings: float) -> Service:
    return Service(store, StaticLines([a_line()]), SwitchboardSettings(**settings), now=clock)  # type: ignore[arg-type]


async def test_a_store_that_is_away_at_the_start_is_prepared_when_it_is_back(
    sqlite_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_openai_realtime.switchboard.server.service.PAUSE_BETWEEN_TRIES_SECONDS", 0.02)
    store, prepare = Store(sqlite_url), Store.prepare
    tries: list[int] = []

    def flaky(self: Store) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StoreUnavailable("away")
        prepare(self)

    monkeypatch.setattr(Store, "prepare", flaky)
    async with running(store, StaticLines([a_line()]), clock) as switchboard:
        assert (await switchboard.http.get("/health")).status_code == 200
        assert (await switchboard.deliver()).status_code == 503
        await until(lambda: store.database.ready)
        assert (await switchboard.deliver()).status_code == 200


async def test_a_store_whose_preparation_breaks_does_not_keep_the_server_from_starting(
    sqlite_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Store) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Store, "prepare", broken)
    service = a_service(Store(sqlite_url), clock)
    await service.start()
    await service.stop()
    assert "store.preparation_failed" in caplog.text


async def test_all_sweeps_run_once_the_store_is_ready(sqlite_store: Store, clock: Clock) -> None:
    sqlite_store.calls.add([a_call(1), a_call(2, state="missed", ended_at=START)])
    clock.move(timedelta(days=31).total_seconds())
    service = a_service(sqlite_store, clock, retention_interval_seconds=0.01)
    await service.start()
    sweeps = (service.reaper.sweep, service.orders.sweep, *service.standby.sweeps, service.retention.sweep)
    assert len(sweeps) == 5
    await until(lambda: all(sweep.last_at is not None for sweep in sweeps))
    await service.stop()


async def test_nothing_that_was_started_goes_on_after_the_stop(sqlite_store: Store, clock: Clock) -> None:
    before = asyncio.all_tasks()
    service = a_service(sqlite_store, clock)
    await service.start()
    await until(lambda: service.reaper.sweep.last_at is not None)
    await service.stop()
    assert asyncio.all_tasks() == before


async def test_a_hang_up_that_hangs_does_not_keep_the_process_from_stopping(sqlite_store: Store, clock: Clock) -> None:
    sqlite_store.calls.add([a_call()])
    accept = partial(moves.accepted, owner="me", now=START, default_duration_seconds=60)
    sqlite_store.calls.move("support", "rtc_1", accept, START)
    service = a_service(sqlite_store, clock)
    await service.start()
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    service.reaper.sweep.begin(("support", "rtc_1"), hangs)
    await begun.wait()
    await asyncio.wait_for(service.stop(), 30)
    assert not service.reaper.sweep.is_working_on(("support", "rtc_1"))


async def test_a_service_can_be_started_again(sqlite_store: Store, clock: Clock) -> None:
    service = a_service(sqlite_store, clock)
    for number in range(2):
        await service.start()
        assert await service.intake.take(a_call(number)) is True
        await service.stop()


async def test_a_new_call_is_logged_with_masked_numbers(
    switchboard: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await switchboard.deliver()
    assert "call.ringing line=support call_id=rtc_1 from=+1***0123 to=+1***0199" in caplog.text


def test_the_clock_is_aware_and_in_utc() -> None:
    assert utc_now().utcoffset() == timedelta()
