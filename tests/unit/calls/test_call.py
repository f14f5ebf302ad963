"""Records as JSON."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import ATTEMPT_MOVES, Attempt, SwitchboardCall, instant_text, read_instant
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import AttemptState


def full_call() -> SwitchboardCall:
    texts = {
        field.name: f"a {field.name}"
        for field in fields(SwitchboardCall)
        if not field.name.endswith("_at") and field.name not in ("headers", "status_code")
    }
    instants = {field.name: START for field in fields(SwitchboardCall) if field.name.endswith("_at")}
    return SwitchboardCall(**texts, **instants, headers={"from": "x"}, status_code=486)  # type: ignore[arg-type]


def test_a_call_survives_json() -> None:
    assert SwitchboardCall.from_dict(json.loads(json.dumps(full_call().to_dict()))) == full_call()


def test_instants_are_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    call = SwitchboardCall("rtc_1", "support", "ringing", START.astimezone(berlin), START)
    assert call.to_dict()["received_at"] == "2026-11-22T08:00:00+00:00"


def test_a_trailing_z_and_a_missing_zone_are_read_as_utc() -> None:
    written = {**full_call().to_dict(), "received_at": "2026-11-22T08:00:00Z", "expires_at": "2026-11-22T08:00:00"}
    call = SwitchboardCall.from_dict(written)
    assert (call.received_at, call.expires_at) == (START, START)


def test_a_newer_switchboard_may_say_more() -> None:
    assert SwitchboardCall.from_dict({**full_call().to_dict(), "mood": "sunny"}) == full_call()


@pytest.mark.parametrize("broken", [{"call_id": "rtc_1"}, {**full_call().to_dict(), "received_at": "yesterday"}])
def test_what_is_no_call_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        SwitchboardCall.from_dict(broken)


def test_no_number_and_no_header_shows_in_a_log() -> None:
    call = SwitchboardCall(
        "rtc_1", "support", "ringing", START, START, "+14155550123", "+14155550199", {"from": "+14155550123"},
        target_uri="tel:+14155550188",
    )  # fmt: skip
    attempt = Attempt("1", "c", "x", 1, "reserved", "abc", START, START, to_number="+14155550123")
    assert "55501" not in f"{call!r} {attempt!r}"


def test_a_header_is_found_in_any_case() -> None:
    call = SwitchboardCall("rtc_1", "support", "ringing", START, START, headers={"x-correlation-id": "abc"})
    assert call.header("X-Correlation-Id") == "abc"
    assert call.header("Subject") is None


def test_an_attempt_survives_json() -> None:
    attempt = Attempt("1", "c", "x", 1, "reserved", "abc", START, datetime.now(timezone.utc), created=True)
    assert Attempt.from_dict(json.loads(json.dumps(attempt.to_dict()))) == attempt


def test_only_a_reserved_or_refused_attempt_may_be_dialled_and_unknown_never_leads_there() -> None:
    assert set(ATTEMPT_MOVES) == set(AttemptState)
    assert [state for state, to in ATTEMPT_MOVES.items() if "dialing" in to] == ["reserved", "ended"]
    # The store lets an ended attempt go there only when nothing was dialed and the number is another one.
    moves = {**ATTEMPT_MOVES, "ended": ("ended",)}
    reachable, todo = set(), ["unknown"]
    while todo:
        for state in moves[todo.pop()]:
            if state not in reachable:
                reachable.add(state)
                todo.append(state)
    assert reachable.isdisjoint({"dialing", "reserved"})


NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
AWARE = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T12:00:00+00:00", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "2026-11-22T14:30:00+02:30"],
)
def test_a_z_an_offset_and_no_offset_are_read(text: str) -> None:
    read = read_instant("at", text)
    assert read == NOON
    assert read is not None
    assert read.tzinfo is not None


@pytest.mark.parametrize("value", [None, NOON])
def test_what_is_no_text_is_returned_as_it_is(value: datetime | None) -> None:
    assert read_instant("at", value) is value


@pytest.mark.parametrize("value", ["", "soon", 7, "2026-13-01", ["2026-11-22"]])
def test_anything_else_is_refused_by_the_name_of_its_field(value: object) -> None:
    with pytest.raises(InvalidInput, match="accepted_at must be an ISO 8601 instant") as refused:
        read_instant("accepted_at", value)
    assert refused.value.field == "accepted_at"


@given(AWARE)
def test_what_was_written_is_read_back_as_the_same_moment_in_utc(at: datetime) -> None:
    text = instant_text(at)
    assert text.endswith("+00:00")
    assert read_instant("at", text) == at
