"""A response as steps: in the order that OpenAI sends them, in full or cut off in the middle."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.sideband.events import read_event
from airflow_openai_realtime.simulator.dialogue import Reply, ToolCall
from airflow_openai_realtime.simulator.response_steps import Making, Step

BOOK = ToolCall("book", {"day": "Monday"})
FIND = ToolCall("find", {"name": "Ann"}, server_label="crm", output="found")


def making(reply: Reply) -> Making:
    items: list[str] = []

    def follow(item_id: str) -> str | None:
        items.append(item_id)
        return items[-2] if len(items) > 1 else None

    return Making(reply, voice="cedar", metadata={"purpose": "reply"}, follow=follow)


def kinds(steps: list[Step]) -> list[str]:
    return [step.event["type"] for step in steps]


def done(steps: list[Step]) -> events.ResponseDone:
    read = read_event(steps[-1].event)
    assert isinstance(read, events.ResponseDone)
    return read


def test_words_are_made_heard_and_done() -> None:
    steps = list(making(Reply("Hello there.", thinks_seconds=0.7)).steps())
    assert kinds(steps) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "output_audio_buffer.started",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "rate_limits.updated",
        "response.done",
    ]
    assert sum(step.after_seconds for step in steps) == 0.7
    assert [step.plays_seconds for step in steps if step.plays_seconds] == [0.7]
    assert (done(steps).status, done(steps).metadata, done(steps).error_message) == (
        "completed",
        {"purpose": "reply"},
        None,
    )


def test_the_pieces_of_what_is_said_are_the_whole() -> None:
    steps = list(making(Reply("Hello there, Ann.")).steps())
    assert "".join(step.event["delta"] for step in steps if "delta" in step.event) == "Hello there, Ann."


def test_every_event_belongs_to_its_response() -> None:
    made = making(Reply("Hello.", (BOOK,)))
    for step in made.steps():
        named = step.event.get("response_id", step.event.get("response", {}).get("id", made.response_id))
        assert named == made.response_id


def test_tools_are_called_after_the_words_and_known_by_their_ids() -> None:
    made = making(Reply("One moment.", (BOOK, ToolCall("end_call"))))
    calls = done(list(made.steps())).function_calls
    assert [(call.name, call.arguments, call.status) for call in calls] == [
        ("book", '{"day": "Monday"}', "completed"),
        ("end_call", "{}", "completed"),
    ]
    assert {call.tool_call_id: call.name for call in calls} == {
        tool_call_id: call.name for tool_call_id, call in made.tool_calls.items()
    }
    assert not made.goes_on_by_itself


def test_only_the_first_thing_is_thought_about() -> None:
    for reply in (Reply("Hello.", (BOOK,), thinks_seconds=2), Reply("", (BOOK, FIND), thinks_seconds=2)):
        waits = [step.after_seconds for step in making(reply).steps() if step.after_seconds]
        assert waits[0] == 2
        assert 2 not in waits[1:]


def test_a_tool_of_a_server_is_run_within_and_the_model_goes_on() -> None:
    made = making(Reply("", (FIND,)))
    steps = list(made.steps())
    assert made.goes_on_by_itself
    assert made.tool_calls == {}
    calls = [kind for kind in kinds(steps) if "mcp_call" in kind]
    assert calls[0] == "response.mcp_call_arguments.done"
    assert calls[-1] == "response.mcp_call.completed"


def test_items_follow_each_other() -> None:
    steps = list(making(Reply("Hello.", (BOOK, FIND))).steps())
    added = [step.event for step in steps if step.event["type"] == "conversation.item.added"]
    assert added[0]["previous_item_id"] is None
    for before, after in itertools.pairwise(added):
        assert after["previous_item_id"] == before["item"]["id"]


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_a_response_may_end_badly(status: str) -> None:
    steps = list(making(Reply("Hello there.", (), status=status)).steps())
    assert done(steps).status == status
    assert ("output_audio_buffer.started" in kinds(steps)) == (status == "incomplete")


@pytest.mark.parametrize("reason", ["client_cancelled", "turn_detected"])
def test_cut_off_in_the_middle_it_says_what_was_said_so_far(reason: str) -> None:
    made = making(Reply("Hello there, Ann."))
    for step in made.steps():
        if step.event.get("delta") == " there, Ann.":
            break  # the first piece was sent, this one not yet
    *events_after, end = made.cut_off(reason)
    read: Any = read_event(end)
    assert (read.status, read.reason, read.usage) == ("cancelled", reason, None)
    said = [read_event(event) for event in events_after]
    assert [each.text for each in said if isinstance(each, events.AgentSaid)] == ["Hello"]
    assert end["response"]["output"][0]["status"] == "incomplete"


def test_cut_off_before_its_first_word_it_says_nothing() -> None:
    made = making(Reply("Hello there."))
    next(iter(made.steps()))
    (end,) = made.cut_off("client_cancelled")
    assert (end["type"], end["response"]["output"]) == ("response.done", [])
