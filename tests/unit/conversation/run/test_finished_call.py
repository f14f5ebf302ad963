from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow_world import World

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.conversation.run.finished_call import finished_call, result_without_end

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


def test_the_result_is_written_once_and_stays(world: World) -> None:
    with world.client() as client:
        call_id = world.ring()
        client.accepting(call_id, "me", 60)
        client.accepted(call_id, "me")
        client.ended(call_id, "hung_up")
        row = client.call(call_id)
        first = finished_call(client, row, "me")
        kept = client.conversation(call_id)
        assert kept is not None
        assert kept.result == first.result
        assert finished_call(client, row, "another").result == first.result


def test_a_result_that_is_just_being_written_is_waited_for(world: World) -> None:
    with world.client() as client:
        call_id = world.ring()
        client.accepting(call_id, "me", 60)
        client.accepted(call_id, "me")
        opened = client.open_conversation(call_id, "me")
        row = client.ended(call_id, "completed")

        def written(_: float) -> None:
            client.finish_conversation(call_id, opened.generation, "completed", {"call_id": call_id, "by": "me"})

        assert finished_call(client, row, "another", sleep=written).result["by"] == "me"
