"""What OpenAI gets for its deliveries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.unit.switchboard.support import (
    OTHER_SECRET,
    SECRET,
    START,
    Clock,
    LinesElsewhere,
    Switchboard,
    a_line,
    event_body,
    running,
    signed,
)

from airflow_openai_realtime.api.webhooks import parse_event
from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call, get_status
from airflow_openai_realtime.switchboard.server.intake import line_directory
from airflow_openai_realtime.switchboard.server.routes.webhook_route import joined_headers, new_call
from airflow_openai_realtime.switchboard.server.store import CallFilter, NewCall, Store
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


def stored(store: Store, clock: Clock, line: str = "support") -> list[tuple[str, str]]:
    return [(call.call_id, call.state) for call in store.calls.select(line, CallFilter(), 1000, clock())]


async def test_a_signed_delivery_is_stored_and_answered(switchboard: Switchboard, sqlite_store: Store) -> None:
    assert (await switchboard.deliver()).status_code == 200
    assert stored(sqlite_store, switchboard.clock) == [("rtc_1", "ringing")]


async def test_the_same_delivery_100_times_at_once_makes_one_call(store: Store, clock: Clock) -> None:
    """At two workers, and in many transactions of each."""
    settings = SwitchboardSettings(intake_batch_limit=7)
    other = Store(store.database.url.render_as_string(hide_password=False))
    started = [running(each, StaticLines([a_line()]), clock, settings=settings) for each in (store, other)]
    async with started[0] as one, started[1] as two:
        answers = await asyncio.gather(*(worker.deliver() for _ in range(50) for worker in (one, two)))
        assert {answer.status_code for answer in answers} == {200}
        page = store.feed.since(Cursor(), clock())
    assert stored(store, clock) == [("rtc_1", "ringing")]
    assert page.changes == (("support", "rtc_1"),)


async def test_a_line_is_named_in_the_path(switchboard: Switchboard, sqlite_store: Store) -> None:
    assert (await switchboard.deliver(path="/webhook/sales", secret=OTHER_SECRET)).status_code == 200
    assert stored(sqlite_store, switchboard.clock, "sales") == [("rtc_1", "ringing")]
    assert stored(sqlite_store, switchboard.clock) == []


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/webhook", OTHER_SECRET),
        ("/webhook/sales", SECRET),
        ("/webhook/nobody", SECRET),
        ("/webhook/%2e%2e", SECRET),
    ],
)
async def test_what_is_not_signed_for_the_line_is_refused_alike_and_leaves_nothing(
    switchboard: Switchboard, sqlite_store: Store, path: str, secret: str
) -> None:
    answer = await switchboard.deliver(path=path, secret=secret)
    assert answer.status_code == 401
    assert answer.json() == {"error": {"code": "unauthorized", "message": "the delivery is not signed for this line"}}
    assert stored(sqlite_store, switchboard.clock) == stored(sqlite_store, switchboard.clock, "sales") == []


@pytest.mark.parametrize("by", ["signature", "token"])
async def test_a_line_that_proved_itself_is_beyond_the_limit_for_unknown_names(
    sqlite_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    class Elsewhere(LinesElsewhere):
        def find(self, name: str | None) -> Line | None:
            return a_line() if name == "support" else None

        def all(self) -> list[Line]:
            return []

    settings = SwitchboardSettings(line_cache_seconds=1e-9)  # every request looks its line up
    async with running(sqlite_store, Elsewhere(), clock, settings=settings) as switchboard:
        if by == "signature":
            assert (await switchboard.deliver(1, path="/webhook/support")).status_code == 200
        else:
            await switchboard.client(line="support").asend(get_status())
        monkeypatch.setattr(line_directory, "UNPROVEN_LOOKUPS_PER_SECOND", 0)
        assert (await switchboard.deliver(2, path="/webhook/made-up")).status_code == 429
        assert (await switchboard.deliver(3, path="/webhook/support")).status_code == 200


async def test_a_lone_line_takes_deliveries_for_its_own_name_only(sqlite_store: Store, clock: Clock) -> None:
    async with running(sqlite_store, StaticLines([a_line()]), clock) as switchboard:
        assert (await switchboard.deliver(1, path="/webhook/support")).status_code == 200
        assert (await switchboard.deliver(2, path="/webhook/sales")).status_code == 401


async def test_an_old_signature_is_refused(switchboard: Switchboard) -> None:
    body = event_body()
    headers = signed(body)
    switchboard.clock.move(301)
    assert (await switchboard.http.post("/webhook", content=body, headers=headers)).status_code == 401


async def test_a_changed_body_is_refused(switchboard: Switchboard) -> None:
    body = event_body()
    answer = await switchboard.http.post("/webhook", content=body + b" ", headers=signed(body))
    assert answer.status_code == 401


@pytest.mark.parametrize("dropped", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_delivery_without_its_headers_is_refused(switchboard: Switchboard, dropped: str) -> None:
    headers = signed(event_body())
    del headers[dropped]
    assert (await switchboard.http.post("/webhook", content=event_body(), headers=headers)).status_code == 401


async def test_the_reason_of_a_refusal_is_in_the_log_and_nothing_personal_is(
    switchboard: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await switchboard.deliver(1, secret=OTHER_SECRET)
    await switchboard.deliver(2)
    assert "webhook.refused reason=bad_signature" in caplog.text
    assert "from=+1***0123" in caplog.text
    assert not any(text in caplog.text for text in ("4155550123", "4155550199", SECRET, OTHER_SECRET, "c1"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"object": "event", "id": "evt_1", "type": "response.completed", "created_at": 1, "data": {}}',
        b'{"object": "event", "id": "evt_1", "type": "realtime.call.incoming", "created_at": 1, "data": {}}',
        b"not json",
        b"[]",
        b"",
    ],
)
async def test_a_signed_event_that_is_no_call_is_taken_and_dropped(
    switchboard: Switchboard, sqlite_store: Store, body: bytes
) -> None:
    """A redelivery would be no better."""
    assert (await switchboard.deliver(body=body)).status_code == 200
    assert stored(sqlite_store, switchboard.clock) == []


async def test_a_late_redelivery_is_a_missed_call(switchboard: Switchboard, sqlite_store: Store) -> None:
    body = event_body(created_at=switchboard.clock().timestamp())
    switchboard.clock.move(7200)
    assert (await switchboard.deliver(body=body)).status_code == 200
    assert stored(sqlite_store, switchboard.clock) == [("rtc_1", "missed")]


async def test_hostile_headers_of_a_caller_are_stored_as_text(switchboard: Switchboard) -> None:
    hostile = [{"name": "Subject", "value": "'; DROP TABLE \x00 \ud800 {{ var.value.x }} <script>"}] * 3
    body = event_body(data={"call_id": "rtc_1", "sip_headers": hostile})
    assert (await switchboard.deliver(body=body)).status_code == 200
    async with switchboard.client() as client:
        assert (await client.asend(get_call("rtc_1"))).headers["subject"].count("<script>") == 3


async def test_a_body_that_does_not_arrive_is_not_waited_for(sqlite_store: Store, clock: Clock) -> None:
    never = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        await never.wait()

    settings = SwitchboardSettings(body_seconds=0.05)
    async with running(sqlite_store, StaticLines([a_line()]), clock, settings=settings) as switchboard:
        assert (await switchboard.http.post("/webhook", content=chunks())).status_code == 408


async def test_a_store_that_is_away_asks_for_a_redelivery_which_works_later(
    switchboard: Switchboard, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("the switchboard's store does not answer")

    monkeypatch.setattr(sqlite_store.calls, "add", away)
    answer = await switchboard.deliver()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    monkeypatch.undo()
    assert (await switchboard.deliver()).status_code == 200
    assert stored(sqlite_store, switchboard.clock) == [("rtc_1", "ringing")]


class Rotating(LinesElsewhere):
    """A line whose secret is replaced, in a backend that counts how often it is asked."""

    def __init__(self) -> None:
        self.secret = SECRET
        self.asked = 0

    def find(self, name: str | None) -> Line:
        self.asked += 1
        return a_line(secret=self.secret)


async def test_a_secret_that_was_replaced_is_read_again_at_once_but_not_for_every_forgery(
    sqlite_store: Store, clock: Clock
) -> None:
    lines = Rotating()
    settings = SwitchboardSettings(line_reread_seconds=0.3)
    async with running(sqlite_store, lines, clock, settings=settings) as switchboard:
        assert (await switchboard.deliver(1)).status_code == 200
        lines.secret = OTHER_SECRET
        await asyncio.sleep(0.35)
        assert (await switchboard.deliver(2, secret=OTHER_SECRET)).status_code == 200
        assert lines.asked == 2
        begun = time.monotonic()
        for number in range(3, 33):
            assert (await switchboard.deliver(number, secret="forged")).status_code == 401
        assert lines.asked <= 2 + 1 + (time.monotonic() - begun) / 0.3
        async with switchboard.client(secret=OTHER_SECRET) as client:
            assert (await client.asend(get_status()))["calls"]["ringing"] == 2


async def test_a_backend_that_is_away_asks_for_a_redelivery(sqlite_store: Store, clock: Clock) -> None:
    class Away(LinesElsewhere):
        def find(self, name: str | None) -> Line:
            raise OSError("vault")

    async with running(sqlite_store, Away(), clock) as switchboard:
        answer = await switchboard.deliver()
        private = await switchboard.http.get("/v1/status", headers={"Authorization": f"Bearer {derived_token(SECRET)}"})
    assert (answer.status_code, private.status_code) == (503, 503)


def delivered(*, seconds_after: float, our_clock_is_off_by: float = 0.0) -> NewCall:
    event = parse_event(event_body())
    assert event is not None
    return new_call(
        event,
        line="support",
        webhook_id="wh_1",
        sent_at=START.timestamp() + seconds_after,
        now=START + timedelta(seconds=seconds_after + our_clock_is_off_by),
        ring_seconds=60,
    )


def test_a_delivery_becomes_a_ringing_call() -> None:
    call = delivered(seconds_after=0)
    assert (call.call_id, call.line, call.webhook_id, call.state) == ("rtc_1", "support", "wh_1", "ringing")
    assert (call.from_number, call.to_number) == ("+14155550123", "+14155550199")
    assert call.headers["x-correlation-id"] == "c1"
    assert (call.received_at, call.expires_at) == (START, START + timedelta(seconds=60))


def test_a_call_rings_from_its_event_on() -> None:
    assert delivered(seconds_after=20).expires_at == START + timedelta(seconds=60)


def test_a_delivery_after_the_ringing_is_a_missed_call() -> None:
    call = delivered(seconds_after=7200)
    assert (call.state, call.ended_at) == ("missed", START + timedelta(seconds=7200))


def test_a_clock_that_is_wrong_by_minutes_misses_no_call() -> None:
    call = delivered(seconds_after=1, our_clock_is_off_by=200)
    assert call.state == "ringing"
    assert call.expires_at - call.received_at == timedelta(seconds=59)


def test_an_event_from_the_future_rings_no_longer_than_others() -> None:
    assert delivered(seconds_after=-5).expires_at == START + timedelta(seconds=55)


def test_repeated_headers_are_joined_in_their_order() -> None:
    pairs = (("Diversion", "a"), ("X-A", "1"), ("DIVERSION ", "b"))
    assert joined_headers(pairs) == {"diversion": "a, b", "x-a": "1"}
