"""What may happen to a call, rule by rule, and that a final state is never left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.exceptions import MoveRefused


def call(state: str = "ringing", **changes: Any) -> SwitchboardCall:
    ringing = SwitchboardCall("rtc_1", "support", "ringing", START, START + timedelta(seconds=60))
    taken = {"claimed_by": "me", "claimed_at": START} if state in ("claimed", "accepted") else {}
    if state == "accepted":
        taken |= {"accepted_at": START, "hangup_at": START + timedelta(seconds=600)}
    return replace(ringing, state=state, **{**taken, **changes})


def after(before: SwitchboardCall, change: moves.Change) -> SwitchboardCall:
    return replace(before, **change.values)


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(MoveRefused) as error:
        yield
    assert error.value.code == code


def test_a_ringing_call_is_claimed() -> None:
    change = moves.claim(call(), "me", START)
    assert change == moves.Change({"state": "claimed", "claimed_by": "me", "claimed_at": START}, "claimed")


@pytest.mark.parametrize("state", ["claimed", "accepted"])
def test_an_owner_has_its_call_already(state: str) -> None:
    assert moves.claim(call(state), "me", START) == moves.NOTHING


def test_a_claim_is_given_back_and_the_call_rings_for_others() -> None:
    before = call("claimed", hangup_at=START + timedelta(seconds=600))
    change = moves.release(before, "me", START, "accept_failed")
    assert change.kind == "ringing"
    rings = after(before, change)
    assert (rings.state, rings.claimed_by, rings.hangup_at) == ("ringing", None, None)
    assert moves.missed(rings, START + timedelta(seconds=60), 60).values["state"] == "missed"
    assert after(rings, moves.accepted(rings, "you", START, 600)).end_reason is None


@pytest.mark.parametrize(
    ("before", "owner", "claimed_at"),
    [
        (call("claimed"), "you", START),
        (call("claimed", claimed_at=START + timedelta(seconds=1)), "me", START),
        (call("accepted"), "me", START),
        (call("ringing"), "me", START),
        (call("ended"), "me", START),
    ],
)
def test_what_is_not_that_claim_any_more_is_not_given_back(
    before: SwitchboardCall, owner: str, claimed_at: Any
) -> None:
    assert moves.release(before, owner, claimed_at, "accept_failed") == moves.NOTHING


@pytest.mark.parametrize(
    "before",
    [
        call("claimed", hangup_at=START + timedelta(seconds=600)),
        call("claimed", expires_at=START + timedelta(seconds=10)),
        call("accepted"),
        call("ringing"),
        call("missed"),
    ],
)
def test_only_a_claim_that_nobody_acts_on_lapses(before: SwitchboardCall) -> None:
    assert moves.lapse(before, START + timedelta(seconds=10), 10) == moves.NOTHING


@pytest.mark.parametrize("state", ["claimed", "accepted"])
def test_a_claimed_call_is_not_another_owners(state: str) -> None:
    for move in (
        lambda: moves.claim(call(state), "you", START),
        lambda: moves.accepting(call(state), "you", START, 60),
        lambda: moves.accepted(call(state), "you", START, 600),
    ):
        with refused("claimed_by_other"):
            move()


@pytest.mark.parametrize(
    ("state", "code"), [("rejected", "not_ringing"), ("missed", "not_ringing"), ("ended", "ended")]
)
def test_a_call_that_is_over_is_neither_claimed_nor_accepted(state: str, code: str) -> None:
    for move in (
        lambda: moves.claim(call(state, claimed_by="me"), "me", START),
        lambda: moves.accepting(call(state, claimed_by="me"), "me", START, 60),
        lambda: moves.accepted(call(state, claimed_by="me"), "me", START, 600),
    ):
        with refused(code):
            move()


def test_a_call_that_rang_out_is_not_claimed_but_may_still_be_accepted() -> None:
    late = START + timedelta(seconds=60)
    with refused("not_ringing"):
        moves.claim(call(), "me", late)
    assert moves.accepting(call(), "me", late, 60).values["state"] == "claimed"


def test_accepting_fixes_when_the_call_must_be_over() -> None:
    change = moves.accepting(call("claimed"), "me", START, 90)
    assert change == moves.Change({"hangup_at": START + timedelta(seconds=90)})


def test_accepting_a_ringing_call_claims_it() -> None:
    change = moves.accepting(call(), "me", START, 90)
    assert change.kind == "claimed"
    assert after(call(), change).hangup_at == START + timedelta(seconds=90)
    assert after(call(), change).claimed_by == "me"


@pytest.mark.parametrize("state", ["claimed", "accepted"])
def test_the_end_is_never_moved_later_but_may_be_moved_earlier(state: str) -> None:
    before = call(state, hangup_at=START + timedelta(seconds=90))
    assert "hangup_at" not in moves.accepting(before, "me", START + timedelta(seconds=30), 3600).values
    sooner = moves.accepting(before, "me", START, 10)
    assert sooner.values["hangup_at"] == START + timedelta(seconds=10)


def test_accepting_again_shows_in_the_time_of_the_claim_until_the_call_is_accepted() -> None:
    later = START + timedelta(seconds=30)
    claimed = call("claimed", hangup_at=START + timedelta(seconds=90), claimed_at=START)
    assert moves.accepting(claimed, "me", later, 3600) == moves.Change({"claimed_at": later})
    accepted = call("accepted", hangup_at=START + timedelta(seconds=90), claimed_at=START)
    assert moves.accepting(accepted, "me", later, 3600) == moves.NOTHING


def test_an_accepted_call_always_has_an_end() -> None:
    for before in (call(), call("claimed")):
        now = after(before, moves.accepted(before, "me", START, 600))
        assert (now.state, now.accepted_at, now.claimed_by) == ("accepted", START, "me")
        assert now.hangup_at == START + timedelta(seconds=600)


def test_accepted_keeps_the_end_that_was_fixed() -> None:
    before = call("claimed", hangup_at=START + timedelta(seconds=5))
    assert "hangup_at" not in moves.accepted(before, "me", START, 600).values
    assert moves.accepted(call("accepted"), "me", START, 600) == moves.NOTHING


@pytest.mark.parametrize("state", ["ringing", "claimed"])
def test_a_call_is_rejected_with_its_status(state: str) -> None:
    now = after(call(state), moves.rejected(call(state), START, 486))
    assert (now.state, now.status_code, now.ended_at) == ("rejected", 486, START)


def test_an_accepted_call_cannot_have_been_rejected() -> None:
    with refused("not_ringing"):
        moves.rejected(call("accepted"), START, 486)


@pytest.mark.parametrize("state", ["ringing", "claimed", "accepted"])
def test_any_open_call_can_end(state: str) -> None:
    now = after(call(state), moves.ended(call(state), START, "hung_up"))
    assert (now.state, now.end_reason, now.ended_at) == ("ended", "hung_up", START)


def test_a_transfer_leaves_the_call_open() -> None:
    now = after(call("accepted"), moves.referred(call("accepted"), "tel:+1"))
    assert (now.state, now.target_uri) == ("accepted", "tel:+1")
    assert moves.referred(now, "tel:+1") == moves.NOTHING
    with refused("not_accepted"):
        moves.referred(call(), "tel:+1")


def test_an_unclaimed_call_is_missed_when_it_has_rung_out() -> None:
    assert moves.missed(call(), START + timedelta(seconds=59), 60) == moves.NOTHING
    assert moves.missed(call(), START + timedelta(seconds=60), 60).values["state"] == "missed"


def test_a_claimed_call_is_missed_only_when_nobody_tried_to_accept_it() -> None:
    late = START + timedelta(seconds=120)
    assert moves.missed(call("claimed"), late - timedelta(seconds=1), 60) == moves.NOTHING
    assert moves.missed(call("claimed"), late, 60).kind == "missed"
    assert moves.missed(call("claimed", hangup_at=START), late, 60) == moves.NOTHING
    assert moves.missed(call("accepted"), late, 60) == moves.NOTHING


EVERY_MOVE = {
    "claim": lambda before, now: moves.claim(before, "me", now),
    "claim by other": lambda before, now: moves.claim(before, "you", now),
    "accepting": lambda before, now: moves.accepting(before, "me", now, 100),
    "accepting longer": lambda before, now: moves.accepting(before, "me", now, 3600),
    "accepted": lambda before, now: moves.accepted(before, "me", now, 600),
    "accepted by other": lambda before, now: moves.accepted(before, "you", now, 600),
    "rejected": lambda before, now: moves.rejected(before, now, 603),
    "referred": lambda before, now: moves.referred(before, "tel:+1"),
    "ended": lambda before, now: moves.ended(before, now, "hung_up"),
    "missed": lambda before, now: moves.missed(before, now, 60),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(EVERY_MOVE)), st.integers(0, 100)), max_size=12))
def test_whatever_happens_in_whatever_order(history: list[tuple[str, int]]) -> None:
    """One owner, one end, an end for every accepted call, never later; and asking twice ends where once does."""
    now, current = START, call()
    for name, seconds in history:
        now += timedelta(seconds=seconds)
        try:
            following = after(current, EVERY_MOVE[name](current, now))
        except MoveRefused:
            continue
        if current.is_over:
            assert following == current
        if current.claimed_by is not None:
            assert following.claimed_by == current.claimed_by
        if current.hangup_at is not None:
            assert following.hangup_at is not None
            assert following.hangup_at <= current.hangup_at
        if following.state == "accepted":
            assert following.hangup_at is not None
        again = after(following, EVERY_MOVE[name](following, now))
        # A second "accepting" tells the first that it is not alone: claimed_at is renewed, and nothing else.
        assert replace(again, claimed_at=following.claimed_at) == following
        current = following
