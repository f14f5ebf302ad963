"""What the page gets to show: masked numbers, who ended a call, and whether a process reports that it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
from airflow_openai_realtime.calls.recent import ConversationSummary, RecentCall, UnreachedAttempt
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.ui.access import SeenAttempt, SeenCall
from airflow_openai_realtime.ui.owners import OwningTask
from airflow_openai_realtime.ui.shown import (
    ended_by,
    is_talk_known,
    outcome_of,
    shown_attempt,
    shown_call,
    shown_conversation,
    silent_since,
)

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
LATER = NOW + timedelta(minutes=5)
CALLER, DIALED = "+14155550123", "+14155550177"
OWNER = OwningTask("campaign", "run", "talk", -1)
LIVE = SwitchboardCall(
    "rtc_1", "support", "accepted", NOW, NOW, CALLER, "+14155550100", accepted_at=NOW, claimed_by="campaign/run/talk/-1"
)
ENDED = replace(LIVE, state="ended", ended_at=LATER, end_reason="ended", end_witness="socket")
ATTEMPT = Attempt("7", "spring", "ann", 2, "placed", "abc", NOW, NOW, to_number=DIALED)
HEARD = ConversationSummary("campaign/run/talk/-1", NOW, NOW)


def seen(call: SwitchboardCall, *, owner: OwningTask | None = OWNER, may: bool = True, **others: Any) -> dict[str, Any]:
    return shown_call(SeenCall(RecentCall(call, **others), owner, may), LATER)


# -- a call --------------------------------------------------------------------------------------------------------


def test_no_full_number_leaves_the_server() -> None:
    calls = [
        seen(replace(ENDED, target_uri=f"tel:{DIALED}", end_reason=f"refused {CALLER}", ended_by=f"by {CALLER}")),
        seen(LIVE, attempt=replace(ATTEMPT, contact=DIALED, campaign=f"for {DIALED}")),
        shown_attempt(
            SeenAttempt(
                UnreachedAttempt("support", replace(ATTEMPT, detail=f"no {DIALED}", outcome=f"x {DIALED}"), False), None
            )
        ),
    ]
    text = json.dumps(calls)
    assert not any(number[3:] in text for number in (CALLER, DIALED))
    assert calls[0]["from"].endswith(CALLER[-4:])


def test_a_call_that_came_in_and_one_that_was_placed_are_told_apart() -> None:
    came_in, placed = seen(LIVE), seen(LIVE, attempt=ATTEMPT)
    assert (came_in["direction"], came_in["contact"]) == ("incoming", None)
    assert (placed["direction"], placed["contact"], placed["campaign"], placed["attempt"]) == (
        "outgoing",
        "ann",
        "spring",
        2,
    )
    assert placed["to"].endswith(DIALED[-4:])


def test_a_contact_that_is_the_number_is_not_shown_twice() -> None:
    shown = seen(LIVE, attempt=replace(ATTEMPT, contact=DIALED))
    assert shown["contact"] is None
    assert shown["to"] is not None


@pytest.mark.parametrize(
    ("state", "may", "shown"),
    [("accepted", True, True), ("accepted", False, False), ("ringing", True, False), ("ended", True, False)],
)
def test_only_a_live_call_of_a_user_who_may_is_offered_to_be_hung_up(state: str, may: bool, shown: bool) -> None:
    assert seen(replace(LIVE, state=state), may=may)["may_hang_up"] is shown


def test_an_attempt_without_a_call_has_the_fields_of_a_call() -> None:
    shown = shown_attempt(SeenAttempt(UnreachedAttempt("support", ATTEMPT, True), OWNER))
    assert set(shown) == set(seen(LIVE))
    assert (shown["is_live"], shown["ended_at"], shown["task"]["task_id"]) == (True, None, "talk")
    over = shown_attempt(SeenAttempt(UnreachedAttempt("support", ATTEMPT, False), None))
    assert (over["is_live"], over["ended_at"], over["task"]) == (False, NOW.isoformat(), None)


# -- who ended it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "owner", "shown"),
    [
        (None, OWNER, None),
        ("ann", OWNER, "ann"),
        ("campaign/run/talk/-1", OWNER, "task talk"),
        ("campaign/run/talk/3", OWNER, "task talk [3]"),
        ("secret_dag/run/talk/-1", OWNER, "another task"),
        ("campaign/run/talk/-1", None, "another task"),
    ],
)
def test_a_task_of_another_dag_is_not_named(by: str | None, owner: OwningTask | None, shown: str | None) -> None:
    assert ended_by(replace(ENDED, ended_by=by), owner) == shown


def test_while_a_call_goes_on_it_is_who_asked_for_its_end() -> None:
    assert ended_by(replace(LIVE, ended_by="ann", end_wanted_by="otto"), OWNER) == "otto"


@pytest.mark.parametrize(
    ("call", "said", "shown"),
    [
        (LIVE, None, None),
        (LIVE, "completed", "completed"),
        (ENDED, None, "ended"),
        (replace(ENDED, end_reason="silence"), None, "silence"),
        (replace(ENDED, end_reason=None), None, "ended"),
        (replace(ENDED, state="missed"), None, "missed"),
        (ENDED, "completed", "completed"),
    ],
)
def test_the_owners_word_about_the_end_counts_more_than_the_rows(
    call: SwitchboardCall, said: str | None, shown: str | None
) -> None:
    assert outcome_of(call, said) == shown


# -- whether it goes on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conversation", "since"),
    [
        (None, NOW),
        (HEARD, NOW),
        (replace(HEARD, entry_count=3), None),
        (replace(HEARD, seen_at=LATER), None),
        (replace(HEARD, seen_at=LATER - timedelta(seconds=19)), None),
        (replace(HEARD, seen_at=LATER - timedelta(seconds=20)), LATER - timedelta(seconds=20)),
        (replace(HEARD, heard_until=LATER), None),
        (replace(HEARD, finished_at=LATER, seen_at=LATER), LATER),
    ],
)
def test_a_live_call_is_silent_since_the_last_sign_of_life(
    conversation: ConversationSummary | None, since: datetime | None
) -> None:
    assert silent_since(LIVE, conversation, LATER) == since


@pytest.mark.parametrize("state", ["ringing", "claimed", "ended", "missed"])
def test_a_call_that_is_not_accepted_is_not_silent(state: str) -> None:
    assert silent_since(replace(LIVE, state=state), None, LATER) is None


def test_a_call_that_was_just_accepted_is_given_time() -> None:
    assert silent_since(LIVE, None, NOW + timedelta(seconds=19)) is None
    assert silent_since(LIVE, None, NOW + timedelta(seconds=20)) == NOW


@pytest.mark.parametrize(
    ("call", "conversation", "known"),
    [
        (replace(ENDED, talk_seconds=3.0, end_witness="found_gone"), None, True),
        (ENDED, None, True),
        (replace(ENDED, end_witness="found_gone"), None, False),
        (LIVE, None, False),
        (LIVE, replace(HEARD, entry_count=1), True),
        (LIVE, replace(HEARD, seen_at=NOW), True),
    ],
)
def test_how_long_was_talked_is_known_or_not(
    call: SwitchboardCall, conversation: ConversationSummary | None, known: bool
) -> None:
    assert is_talk_known(call, conversation, LATER) is known


# -- what was said -------------------------------------------------------------------------------------------------

SAID = tuple(entry_of("caller", NOW, number, text=f"{number}") for number in range(3))
TALK = Conversation("rtc_1", "support", "me", 2, NOW, NOW, entries=SAID, result={"result": {"agreed": True}})


@pytest.mark.parametrize(("known", "first"), [(0, 0), (2, 2), (3, 3), (4, 0)])
def test_entries_that_the_page_has_are_left_out_unless_it_has_more_than_there_are(known: int, first: int) -> None:
    shown = shown_conversation(TALK, known)
    assert shown["entries_from"] == first
    assert [entry["key"] for entry in shown["entries"]] == [entry.key for entry in SAID[first:]]


def test_what_a_call_used_is_as_its_result_says_or_as_its_timeline_adds_up() -> None:
    kept = replace(TALK, result={"usage": {"total_tokens": 7}, "cost": {"usd": 1}})
    assert shown_conversation(kept)["usage"] == {"total_tokens": 7}
    assert shown_conversation(kept)["cost"] == {"usd": 1}
    used = {"input_tokens": 5, "output_tokens": 4, "total_tokens": 9}
    live = replace(TALK, result=None, entries=(entry_of("usage", NOW, "resp_1", of="response", usage=used),))
    assert shown_conversation(live)["usage"]["total_tokens"] == 9
    assert shown_conversation(live)["result"] is None
    assert json.dumps(shown_conversation(TALK))
