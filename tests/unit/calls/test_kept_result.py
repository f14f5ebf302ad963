"""The result of a call whose owner wrote none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.kept_result import result_without_end, standing_account
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.states import Witness

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=timezone.utc)
ATTACHED = entry_of("note", NOW, "attached", 1, what="attached", model="gpt-realtime-2.1")
SAID = entry_of("caller", NOW + timedelta(seconds=5), "item_1", text="Hello?")


def call(state: str = "ended", reason: str | None = "max_duration", **others: Any) -> SwitchboardCall:
    over_at = NOW + timedelta(seconds=60)
    return SwitchboardCall(
        **{
            "call_id": "rtc_1",
            "line": "default",
            "state": state,
            "received_at": NOW,
            "expires_at": NOW,
            "accepted_at": NOW,
            "hangup_at": over_at,
            "ended_at": over_at,
            "end_reason": reason,
            **others,
        }
    )


def heard(*entries: Any, generation: int = 1) -> Conversation:
    return Conversation("rtc_1", "default", "me", generation, NOW, NOW, entries=entries)


@pytest.mark.parametrize(
    ("row", "conversation", "outcome", "reason"),
    [
        (call("rejected", None, status_code=486, accepted_at=None), None, "rejected", "sip_486"),
        (call("missed", None, accepted_at=None), None, "gone", "missed"),
        (call(reason="gone", accepted_at=None), None, "gone", "gone"),
        (call(reason="accept_failed", accepted_at=None), None, "failed", "accept_failed"),
        (call(reason="max_duration"), None, "max_duration", "max_duration"),
        (call(reason="hung_up"), None, "completed", "hung_up"),
        (call(reason="hung_up"), heard(ATTACHED), "completed", "hung_up"),
        (call(reason="killed"), heard(ATTACHED), "killed", "killed"),
        (call(reason="silence"), heard(ATTACHED), "silence", "silence"),
        (call(reason="ended"), heard(ATTACHED), "caller_hung_up", "ended"),
        (
            call(reason="ended", target_uri="tel:+14155550199"),
            heard(ATTACHED),
            "transfer_requested",
            "transfer_requested",
        ),
        (call("accepted", None, ended_at=None), heard(ATTACHED), "unknown", "not_saved"),
    ],
)
def test_what_is_known_of_a_call_whose_result_nobody_wrote(
    row: SwitchboardCall, conversation: Conversation | None, outcome: str, reason: str
) -> None:
    result = result_without_end(row, conversation, NOW)
    assert (result.outcome, result.reason) == (outcome, reason)


def test_what_was_saved_counts() -> None:
    result = result_without_end(call(), heard(ATTACHED, SAID, generation=2), NOW)
    assert (result.turns["caller"], result.talk_seconds, result.resumed) == (1, 60.0, True)


def test_what_the_switchboard_heard_after_the_holder_died_counts() -> None:
    stood_by = entry_of("note", NOW + timedelta(seconds=8), "stood_by", what="stood_by", lease="1", gap_seconds=3)
    late = entry_of("note", NOW + timedelta(seconds=25), "attached", 2, 1, what="attached", gap_seconds=10)
    asked = entry_of("note", NOW, "asked", "c", what="asked", tool_call_id="c", name="book", arguments="{}")
    conversation = replace(heard(ATTACHED, stood_by, asked, SAID, late), heard_until=NOW + timedelta(seconds=24))
    result = result_without_end(call(), conversation, NOW)
    assert (result.resumed, result.gap_seconds, result.turns["caller"]) == (True, 4, 1)
    assert result.tools == ({"name": "book", "status": "not_run"},)


def ending(why: str, after: float = 30) -> Any:
    return entry_of("note", NOW + timedelta(seconds=after), "ending", why, what="ending", why=why)


def test_of_a_call_whose_end_is_not_known_the_account_is_what_its_owner_noted_before_it_acted() -> None:
    account = standing_account(call(reason=None), heard(ATTACHED, ending("end_call")))
    assert account is not None
    assert (account.witness, account.reason, account.by) == (Witness.API, "end_call", "agent")


def test_a_note_of_the_owner_stands_above_a_socket_that_closed() -> None:
    account = standing_account(call(reason="ended"), heard(ATTACHED, ending("silence")))
    assert account is not None
    assert (account.witness, account.reason) == (Witness.API, "silence")


def test_a_note_does_not_replace_what_a_person_did() -> None:
    kept = call(reason="hung_up", end_witness="api", ended_by="ann")
    account = standing_account(kept, heard(ATTACHED, ending("end_call")))
    assert account is not None
    assert (account.reason, account.by) == ("hung_up", "ann")


def test_a_note_of_a_call_that_went_on_says_nothing() -> None:
    later = entry_of("caller", NOW + timedelta(seconds=50), "item_2", text="Are you there?")
    again = entry_of("note", NOW + timedelta(seconds=45), "attached", 2, what="attached")
    noted = heard(ATTACHED, ending("silence"), again, later)
    assert standing_account(call(reason=None), noted) is None


@pytest.mark.parametrize("reason", [None, "ended"])
def test_a_transfer_that_was_asked_for_is_the_account_of_a_call_that_ended_by_itself(reason: str | None) -> None:
    account = standing_account(call(reason=reason, target_uri="tel:+14155550199"), None)
    assert account is not None
    assert (account.witness, account.reason) == (Witness.TRANSFER, "transfer_requested")


def test_of_a_call_of_which_nothing_is_noted_there_is_no_account() -> None:
    assert standing_account(call(reason=None), None) is None
    assert standing_account(call(reason=None), heard(ATTACHED)) is None


def test_a_call_whose_end_was_not_noted_ended_with_its_last_entry_or_now() -> None:
    later = NOW + timedelta(seconds=90)
    assert result_without_end(call(ended_at=None), heard(ATTACHED, SAID), later).ended_at == SAID.at
    assert result_without_end(call(ended_at=None), None, later).ended_at == later
    assert result_without_end(call(), heard(ATTACHED, SAID), later).ended_at == NOW + timedelta(seconds=60)
