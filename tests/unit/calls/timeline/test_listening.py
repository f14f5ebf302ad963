from __future__ import annotations

from datetime import timedelta

from tests.unit.conversation.talk import START, Talk

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan

QUIET = ConversationPlan(end_call=False, silence_seconds=None)
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"text_tokens": 10}}


def test_a_late_transcript_stands_where_the_caller_spoke() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerSpeaking("item_1"))
    talk.now += timedelta(seconds=2)
    talk.hear(events.CallerSilent("item_1"))
    talk.speak("Of course.")
    talk.now += timedelta(seconds=5)
    talk.hear(events.CallerSaid("item_1", "Can you help me?", None))
    ordered = sorted(talk.kept("caller") + talk.kept("agent"), key=lambda entry: entry.at)
    assert [entry.body["text"] for entry in ordered] == ["Can you help me?", "Of course."]
    assert ordered[0].at == START


def test_what_the_model_says_stands_where_it_began_to_be_heard() -> None:
    talk = Talk(QUIET)
    response = talk.begin()
    talk.now += timedelta(seconds=1)
    talk.hear(events.AudioStarted(response))
    talk.now += timedelta(seconds=1)
    talk.hear(events.AgentSaid("item_1", response, "Hello"))
    assert talk.kept("agent")[0].at == START + timedelta(seconds=1)


def test_words_that_nobody_understood_are_a_turn_without_text() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerTranscriptFailed("item_1", "audio too short"))
    (entry,) = talk.kept("caller")
    assert (entry.body["text"], entry.body["problem"]) == (None, "audio too short")
    assert talk.rules.summary.caller_turns == 1


def test_noise_is_no_turn_but_costs() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerSaid("item_1", "  ", {"type": "duration", "seconds": 3}))
    assert talk.kept("caller") == []
    assert talk.rules.summary.usage.transcription_seconds == 3


def test_the_same_event_heard_by_two_holders_is_one_entry() -> None:
    first, second = Talk(QUIET), Talk(QUIET, generation=2)
    for talk in (first, second):
        talk.hear(events.CallerSaid("item_1", "Hello", USAGE), events.AgentSaid("item_2", "resp_1", "Hi"))
        talk.finish("resp_1", usage=USAGE)
        talk.hear(events.KeyPressed("1", START), events.KeyPressed("1", START))
    summary = Summary.of([*first.kept(), *second.kept()])
    assert (summary.caller_turns, summary.agent_turns, summary.pressed) == (1, 1, ["1", "1"])
    assert summary.usage.responses == 1


def test_a_key_pressed_twice_within_a_second_is_two_presses_also_after_a_move() -> None:
    first = Talk(QUIET)
    first.hear(events.KeyPressed("1", START), events.KeyPressed("1", START))
    second = Talk(QUIET, entries=first.kept(), generation=2)
    second.hear(events.KeyPressed("1", START), events.KeyPressed("2", None))
    assert second.rules.summary.pressed == ["1", "1", "1", "2"]


def test_what_was_interrupted_is_marked() -> None:
    talk = Talk(QUIET)
    talk.hear(events.AudioCleared("resp_1"))
    assert any(entry.body["what"] == "interrupted" for entry in talk.kept("note"))


def test_tools_of_servers_are_written_down() -> None:
    talk = Talk(QUIET)
    talk.hear(
        events.McpEvent("call", "crm", "find", None, "item_1"),
        events.McpEvent("call", "crm", "find", "timeout", "item_2"),
        events.McpEvent("call.in_progress", None, None, None, "item_3"),
        events.McpEvent("approval_request", "crm", "delete", None, "item_4"),
        events.McpEvent("list_tools.failed", None, None, None, "item_5"),
    )
    tools = talk.rules.summary.tools.values()
    assert [(tool.name, tool.status) for tool in tools] == [("crm.find", "ok"), ("crm.find", "failed")]
    codes = [error["code"] for error in talk.rules.summary.errors]
    assert codes == ["mcp_approval_needed", "mcp_list_tools_failed"]


def test_odd_ids_and_long_texts_make_entries_that_the_switchboard_takes() -> None:
    talk = Talk(QUIET)
    long = "😀\x00" * 40_000
    talk.hear(
        events.CallerSaid("ä b\n" * 300, long, {"x": "y" * 100_000}),
        events.CallerSaid("", "no id", None),
        events.CallerSaid("", "no id either", None),
        events.AgentSaid("", "", long),
        events.SessionError("c" * 1000, None, long, None, None),
        events.KeyPressed("1", None),
    )
    entries = talk.kept()
    assert all(entry.check() for entry in entries)
    assert len({entry.key for entry in entries}) == len(entries)
    assert talk.rules.summary.caller_turns == 3


def test_a_very_long_call_goes_on_counting_and_stops_keeping_words() -> None:
    talk = Talk(QUIET)
    for number in range(5_000):
        talk.hear(events.CallerSaid(f"item_{number}", "x", None))
    assert talk.rules.summary.caller_turns == 5_000
    assert len(talk.kept()) < 4_600
    talk.hear(events.SessionError("late", None, "", None, None))
    assert talk.kept("error")
