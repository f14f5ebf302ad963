from __future__ import annotations

import asyncio
import threading
import time

import pytest

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.clock import Clock


def test_time_stands_still_at_speed_zero() -> None:
    clock = Clock(speed=0)
    assert clock.now() == clock.now()


def test_time_passes_faster_at_a_higher_speed() -> None:
    clock = Clock(speed=1000)
    before, real_before = clock.now(), time.monotonic()
    while time.monotonic() == real_before:
        pass
    real_seconds = time.monotonic() - real_before
    assert clock.now() - before >= 500 * real_seconds


def test_advance_fires_due_timers_in_order_each_at_its_instant() -> None:
    clock = Clock(speed=0)
    start, fired = clock.now(), []
    clock.call_later(5, lambda: fired.append(("second", clock.now() - start)))
    clock.call_later(2, lambda: fired.append(("first", clock.now() - start)))
    clock.call_later(11, lambda: fired.append(("too late", 0)))
    clock.advance(10)
    assert fired == [("first", pytest.approx(2)), ("second", pytest.approx(5))]
    assert clock.now() - start == pytest.approx(10)


def test_advance_fires_timers_that_timers_set() -> None:
    clock = Clock(speed=0)
    fired: list[int] = []
    clock.call_later(1, lambda: clock.call_later(1, lambda: fired.append(1)))
    clock.advance(2)
    assert fired == [1]


def test_a_cancelled_timer_never_fires() -> None:
    clock = Clock(speed=0)
    timer = clock.call_later(1, lambda: pytest.fail("fired"))
    timer.cancel()
    clock.advance(2)


def test_time_does_not_go_back() -> None:
    with pytest.raises(InvalidInput, match="only goes forward"):
        Clock(speed=0).advance(-1)
    with pytest.raises(InvalidInput, match="speed"):
        Clock(speed=0).speed = -1


def test_timers_fire_by_themselves_once_the_clock_is_started() -> None:
    clock, fired = Clock(), threading.Event()
    clock.start()
    try:
        clock.call_later(0.01, fired.set)
        assert fired.wait(30)
    finally:
        clock.stop()


def test_a_timer_that_fails_does_not_stop_the_time(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("on purpose")

    clock, fired = Clock(), threading.Event()
    clock.start()
    try:
        clock.call_later(0, fail)
        clock.call_later(0.01, fired.set)
        assert fired.wait(30)
    finally:
        clock.stop()
    assert "on purpose" in caplog.text


def test_a_new_speed_holds_for_timers_that_wait_already() -> None:
    clock, fired = Clock(speed=0), threading.Event()
    clock.start()
    try:
        clock.call_later(3600, fired.set)
        assert not fired.wait(0.02)
        clock.speed = 1_000_000
        assert fired.wait(30)
    finally:
        clock.stop()


def test_advance_waits_for_work_that_is_on_its_way() -> None:
    clock = Clock(speed=0, settle_seconds=30)
    fired: list[str] = []
    clock.begin_work()

    def arrive() -> None:
        clock.call_later(1, lambda: fired.append("set by the work"))
        clock.end_work()

    worker = threading.Timer(0.05, arrive)
    worker.start()
    clock.advance(2)
    worker.join()
    assert fired == ["set by the work"]


def test_advance_does_not_wait_for_ever() -> None:
    clock = Clock(speed=0, settle_seconds=0.01)
    clock.begin_work()
    clock.advance(1)


async def test_sleep_wakes_when_its_time_has_come() -> None:
    clock = Clock(speed=0)
    asleep = asyncio.ensure_future(clock.sleep(10))
    await asyncio.sleep(0)
    await asyncio.to_thread(clock.advance, 9)
    assert not asleep.done()
    await asyncio.to_thread(clock.advance, 1)
    await asyncio.wait_for(asleep, 30)


def test_reset_forgets_timers_and_goes_back_to_real_time() -> None:
    clock = Clock(speed=0)
    clock.call_later(2000, lambda: pytest.fail("fired"))
    clock.advance(1000)
    before = time.time()
    clock.reset(speed=0, settle_seconds=0)
    assert before <= clock.now() <= time.time()
    clock.advance(3000)
