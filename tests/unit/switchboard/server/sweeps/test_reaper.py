"""The reaper, by its own clock and with OpenAI's answers made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx
import pytest
from tests.unit.switchboard.support import OTHER_SECRET, Clock, a_call, a_line, until

from airflow_openai_realtime.api.client import CallsClient, Pace
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.sweeps.reaper import Reaper
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

GONE = httpx.Response(404, json={"error": {"code": "call_id_not_found", "message": "no"}})


class OpenAI:
    """OpenAI as far as a hang-up goes."""

    def __init__(self) -> None:
        self.hung_up: list[str] = []
        self.answer: Callable[[str], httpx.Response] = lambda call_id: httpx.Response(200)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def client(self, settings: ApiSettings) -> CallsClient:
        async def handler(request: httpx.Request) -> httpx.Response:
            call_id = request.url.path.split("/")[-2]
            assert request.url.path == f"/v1/realtime/calls/{call_id}/hangup"
            self.hung_up.append(call_id)
            await self.may_answer.wait()
            return self.answer(call_id)

        async def no_sleep(seconds: float) -> None:
            return

        return CallsClient(settings, transport=httpx.MockTransport(handler), pace=Pace(sleep=no_sleep))


@pytest.fixture
def openai() -> OpenAI:
    return OpenAI()


MakeReaper = Callable[..., Reaper]


@pytest.fixture
async def make_reaper(store: Store, openai: OpenAI, clock: Clock) -> AsyncIterator[MakeReaper]:
    """Makes reapers, each as of a worker of its own."""
    tuned = SwitchboardSettings(reaper_concurrency=20)
    threads = Executor(8, "test")
    directories: list[LineDirectory] = []

    def make(
        lines: StaticLines | None = None,
        on_change: Callable[[str], None] = lambda line: None,
        settings: SwitchboardSettings = tuned,
    ) -> Reaper:
        directories.append(LineDirectory(lines or StaticLines([a_line()]), settings))
        return Reaper(store, directories[-1], threads, settings, clock, openai.client, on_change=on_change)

    yield make
    for directory in directories:
        directory.close()
    threads.close()


@pytest.fixture
def reaper(make_reaper: MakeReaper) -> Reaper:
    return make_reaper()


def accept(store: Store, clock: Clock, number: int = 1, seconds: float = 100, line: str = "support") -> None:
    """A call that was accepted just now."""
    announce(store, clock, number, seconds, line)
    rule = partial(moves.accepted, owner="me", now=clock(), default_duration_seconds=600)
    store.calls.move(line, f"rtc_{number}", rule, clock())


def announce(store: Store, clock: Clock, number: int = 1, seconds: float = 100, line: str = "support") -> None:
    """A call that is about to be accepted."""
    store.calls.add([a_call(number, at=clock(), line=line)])
    rule = partial(moves.accepting, owner="me", now=clock(), max_duration_seconds=seconds)
    store.calls.move(line, f"rtc_{number}", rule, clock())


def look(store: Store, number: int = 1, line: str = "support") -> SwitchboardCall:
    return store.calls.find(line, f"rtc_{number}")


async def sweep(reaper: Reaper) -> None:
    await reaper.sweep.once()
    await reaper.sweep.settled()


async def test_a_call_past_its_time_is_hung_up_and_not_a_moment_earlier(
    make_reaper: MakeReaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    changed: list[str] = []
    reaper = make_reaper(on_change=changed.append)
    accept(store, clock)
    clock.move(99.9)
    await sweep(reaper)
    assert openai.hung_up == []
    clock.move(0.1)
    await sweep(reaper)
    assert openai.hung_up == ["rtc_1"]
    ended = look(store)
    assert (ended.state, ended.end_reason, ended.ended_at) == ("ended", "max_duration", clock())
    assert changed == ["support"]
    await sweep(reaper)
    assert openai.hung_up == ["rtc_1"]


@pytest.mark.parametrize(("after_seconds", "is_ended"), [(0.0, True), (60.0, False)])
async def test_a_call_that_is_to_end_now_ends_before_the_next_sweep(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock, after_seconds: float, is_ended: bool
) -> None:
    accept(store, clock)
    rule = partial(moves.want_end, now=clock(), reason="killed", by="me", after_seconds=after_seconds)
    store.calls.move("support", "rtc_1", rule, clock())
    reaper.end_now("support", "rtc_1")
    await reaper.sweep.settled()
    assert openai.hung_up == ["rtc_1"] * is_ended
    assert look(store).is_over is is_ended


async def test_a_call_that_is_gone_already_has_ended(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    accept(store, clock)
    openai.answer = lambda call_id: GONE
    clock.move(100)
    await sweep(reaper)
    assert (look(store).state, look(store).end_reason) == ("ended", "gone")


async def test_a_call_whose_accept_was_never_confirmed_is_hung_up_too(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    announce(store, clock)
    clock.move(100)
    await sweep(reaper)
    assert (look(store).state, look(store).end_reason) == ("ended", "max_duration")


async def test_an_accept_request_that_arrives_late_leaves_no_call_open(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    """OpenAI does not know the call at first, then it does."""
    announce(store, clock, seconds=1)
    openai.answer = lambda call_id: GONE
    clock.move(1)
    await sweep(reaper)
    assert look(store).state == "claimed"
    clock.move(4)
    openai.answer = lambda call_id: httpx.Response(200)
    await sweep(reaper)
    assert (look(store).state, openai.hung_up) == ("ended", ["rtc_1", "rtc_1"])


async def test_an_unconfirmed_call_that_stays_unknown_is_given_up(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    announce(store, clock, seconds=1)
    openai.answer = lambda call_id: GONE
    clock.move(31)
    await sweep(reaper)
    assert (look(store).state, look(store).end_reason) == ("ended", "gone")


async def test_a_hang_up_that_fails_is_tried_again_with_growing_pauses(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    accept(store, clock)
    openai.answer = lambda call_id: httpx.Response(403, json={"error": {"message": "key +14155550123"}})
    clock.move(100)
    pauses, waited = [], 0
    while len(pauses) < 8:
        tries = len(openai.hung_up)
        await sweep(reaper)
        if len(openai.hung_up) > tries:
            pauses.append(waited)
            waited = 0
        clock.move(1)
        waited += 1
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30]
    assert look(store).state == "accepted"
    assert "reaper.hang_up_failed line=support call_id=rtc_1" in caplog.text
    assert "4155550123" not in caplog.text
    openai.answer = lambda call_id: httpx.Response(200)
    clock.move(30)
    await sweep(reaper)
    assert look(store).end_reason == "max_duration"


async def test_after_an_hour_of_failures_openai_itself_has_ended_the_call(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    accept(store, clock)
    openai.answer = lambda call_id: httpx.Response(401)
    clock.move(100 + 3601)
    await sweep(reaper)
    assert (look(store).state, look(store).end_reason) == ("ended", "hang_up_failed")
    assert "reaper.gave_up" in caplog.text


async def test_two_workers_do_not_hang_up_the_same_call(
    make_reaper: MakeReaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    for number in range(20):
        accept(store, clock, number)
    clock.move(100)
    workers = [make_reaper(), make_reaper()]
    await asyncio.gather(*(sweep(worker) for worker in workers))
    assert sorted(openai.hung_up) == sorted(f"rtc_{number}" for number in range(20))


async def test_a_worker_that_dies_while_it_hangs_up_is_followed_by_another(
    make_reaper: MakeReaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    accept(store, clock)
    clock.move(100)
    dying, living = make_reaper(), make_reaper()
    openai.may_answer.clear()
    await dying.sweep.once()
    await until(lambda: openai.hung_up)
    await sweep(living)
    assert openai.hung_up == ["rtc_1"]
    await dying.sweep.close()
    openai.may_answer.set()
    clock.move(3)
    await sweep(living)
    assert openai.hung_up == ["rtc_1", "rtc_1"]
    assert look(store).end_reason == "max_duration"


async def test_many_overdue_calls_are_hung_up_together(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    for number in range(30):
        accept(store, clock, number)
    clock.move(100)
    openai.may_answer.clear()
    await reaper.sweep.once()
    await until(lambda: len(openai.hung_up) >= 20)
    await asyncio.sleep(0.02)
    assert len(openai.hung_up) == 20
    openai.may_answer.set()
    await reaper.sweep.settled()
    await sweep(reaper)
    assert len(set(openai.hung_up)) == 30


async def test_a_line_that_hangs_does_not_hold_up_the_others(
    make_reaper: MakeReaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    reaper = make_reaper(StaticLines([a_line(), a_line("sales", OTHER_SECRET)]))
    for number in range(25):
        accept(store, clock, number)
    clock.move(1)
    accept(store, clock, 99, line="sales")
    clock.move(100)
    openai.may_answer.clear()
    await reaper.sweep.once()
    await until(lambda: "rtc_99" in openai.hung_up)
    openai.may_answer.set()
    await reaper.sweep.settled()


async def test_a_call_of_a_line_that_was_deleted_is_tried_again(
    make_reaper: MakeReaper, store: Store, openai: OpenAI, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    reaper = make_reaper(StaticLines([a_line("sales"), a_line("other")]))
    accept(store, clock)
    clock.move(100)
    await sweep(reaper)
    assert openai.hung_up == []
    assert look(store).state == "accepted"
    assert "is not configured any more" in caplog.text


async def test_a_call_that_somebody_else_ended_meanwhile_keeps_that_reason(
    reaper: Reaper, store: Store, openai: OpenAI, clock: Clock
) -> None:
    accept(store, clock)
    clock.move(100)
    openai.may_answer.clear()
    await reaper.sweep.once()
    await until(lambda: openai.hung_up)
    store.calls.move("support", "rtc_1", partial(moves.ended, now=clock(), reason="hung_up"), clock())
    openai.may_answer.set()
    await reaper.sweep.settled()
    assert look(store).end_reason == "hung_up"


async def test_what_rang_out_is_missed(reaper: Reaper, store: Store, clock: Clock) -> None:
    store.calls.add([a_call(1), a_call(2), a_call(3)])
    announce(store, clock, 4, seconds=3600)
    clock.move(55)
    store.calls.move("support", "rtc_2", partial(moves.claim, owner="me", now=clock()), clock())
    clock.move(4)
    await sweep(reaper)
    assert [look(store, number).state for number in (1, 2, 3, 4)] == ["ringing", "claimed", "ringing", "claimed"]
    clock.move(1)
    await sweep(reaper)
    assert [look(store, number).state for number in (1, 2, 3, 4)] == ["missed", "claimed", "missed", "claimed"]
    clock.move(60)
    await sweep(reaper)
    assert [look(store, number).state for number in (1, 2, 3, 4)] == ["missed", "missed", "missed", "claimed"]


async def test_a_claim_that_no_accept_follows_lapses_and_one_that_is_announced_does_not(
    reaper: Reaper, store: Store, clock: Clock
) -> None:
    store.calls.add([a_call(1)])
    announce(store, clock, 2, seconds=3600)
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=clock()), clock())
    clock.move(9)
    await sweep(reaper)
    assert look(store, 1).state == "claimed"
    clock.move(1)
    await sweep(reaper)
    assert (look(store, 1).state, look(store, 1).claimed_by) == ("ringing", None)
    assert look(store, 2).state == "claimed"
    # Another one who is slow, too, has longer.
    clock.move(5)
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="you", now=clock()), clock())
    clock.move(14)
    await sweep(reaper)
    assert look(store, 1).claimed_by == "you"
    clock.move(1)
    await sweep(reaper)
    assert look(store, 1).state == "ringing"


async def test_a_store_that_is_away_or_a_bug_does_not_end_the_reaper(
    make_reaper: MakeReaper, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    problems: list[Exception] = [StoreUnavailable("away"), RuntimeError("bug")]
    overdue = store.reaping.overdue

    def flaky(now: object) -> object:
        if problems:
            raise problems.pop(0)
        return overdue(now)  # type: ignore[arg-type]

    monkeypatch.setattr(store.reaping, "overdue", flaky)
    reaper = make_reaper(settings=SwitchboardSettings(reaper_interval_seconds=0.001))
    running = asyncio.ensure_future(reaper.sweep.run())
    await until(lambda: reaper.sweep.last_at is not None)
    running.cancel()
    await asyncio.wait([running])
    assert "reaper.store_unavailable" in caplog.text
    assert "reaper.sweep_failed" in caplog.text
