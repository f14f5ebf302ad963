"""From a delivery to a call."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.switchboard.support import START, event_body

from airflow_openai_realtime.api.webhooks import parse_event
from airflow_openai_realtime.switchboard.server.intake.deliveries import joined_headers, new_call
from airflow_openai_realtime.switchboard.server.store import NewCall


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
