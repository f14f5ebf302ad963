from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conversation.talk import PLAN, START, Talk, call, error

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.conversation.rules.decisions import QuietClock
from airflow_openai_realtime.conversation.rules.effects import HangUp, Keep, Refer, Report, Send
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.states import EntryKind, Note

QUIET = ConversationPlan(end_call=False)


# -- the beginning -------------------------------------------------------------------------------------------------


def test_the_model_greets_first_in_the_given_words_and_calls_no_tool() -> None:
    (asked,) = Talk().sent("response.create")
    assert asked["response"]["instructions"].endswith("\n\nGood morning.")
    assert asked["response"]["tool_choice"] == "none"


def test_that_it_greets_is_noted_before_it_is_asked_to() -> None:
    talk = Talk()
    note = next(entry for entry in talk.kept("note") if entry.body["what"] == "greeted")
    order = [effect for effect in talk.done if isinstance(effect, (Keep, Send))]
    asked = next(effect for effect in order if isinstance(effect, Send))
    assert asked.after == note.key
    assert order.index(Keep(note, at_once=True)) < order.index(asked)


def test_without_a_greeting_the_model_waits_for_the_caller() -> None:
    assert Talk(QUIET).sent() == []


def test_a_call_is_greeted_once_whoever_runs_it() -> None:
    first = Talk()
    assert Talk(entries=first.kept(), generation=2).asked() == []


def test_a_socket_that_is_attached_again_brings_no_second_greeting() -> None:
    talk = Talk()
    talk.speak(purpose="greeting")
    talk.detach()
    talk.attach()
    assert talk.asked() == ["greeting"]


def test_a_greeting_that_may_not_have_arrived_is_asked_for_again() -> None:
    talk = Talk()
    talk.detach()
    talk.attach()
    assert talk.asked() == ["greeting", "greeting"]


def test_when_nobody_knows_whether_it_was_greeted_it_is_not() -> None:
    assert Talk(may_greet=False).asked() == []


def test_tools_that_the_session_has_are_not_sent_again() -> None:
    assert Talk().sent("session.update") == []


def test_tools_that_are_missing_are_added_to_those_of_the_session() -> None:
    own = {"type": "mcp", "server_label": "crm"}
    (update,) = Talk(tools=(own, {"type": "function", "name": "book", "description": "old"})).sent("session.update")
    assert update["session"]["type"] == "realtime"
    names = [tool.get("name") or tool["server_label"] for tool in update["session"]["tools"]]
    assert names == ["crm", "look_up", "book", "record_result", "transfer_call", "end_call"]
    assert "old" not in str(update)


# -- the end -------------------------------------------------------------------------------------------------------


def test_at_its_time_it_is_hung_up_a_moment_before_the_switchboard_does() -> None:
    talk = Talk(replace(QUIET, silence_seconds=None))
    talk.wait(599.4)
    assert talk.hung_up == []
    talk.wait(0.1)
    assert talk.hung_up == ["max_duration"]


def test_a_time_that_has_passed_hangs_up_before_anything_else() -> None:
    talk = Talk(attach=False, passed=700)
    assert talk.rules.woken(talk.now)[-1] == HangUp("max_duration")
    assert talk.attach() == [talk.of(Keep)[0]]


def test_after_hanging_up_nothing_is_sent_and_everything_is_written_down() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    talk.wait(60)
    assert talk.hung_up == ["silence"]
    talk.hear(events.CallerSaid("item_1", "I was away", None))
    talk.call_tools(call("look_up"))
    talk.wait(700)
    assert talk.sent() == []
    assert talk.hung_up == ["silence"]
    assert talk.rules.summary.caller_turns == 1


def test_the_model_ends_the_call_only_when_it_may() -> None:
    talk = Talk(replace(PLAN, greeting=None, end_call=False))
    talk.call_tools(call("end_call"))
    assert talk.hung_up == []
    assert "no such function" in talk.outputs()["call_1"]


# -- a transfer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ['{"target": "boss"}', "{}", "no json", '{"target": ["desk"]}', "[]"])
def test_an_unknown_target_is_told_to_the_model(arguments: str) -> None:
    talk = Talk(replace(PLAN, greeting=None))
    talk.call_tools(events.FunctionCall("call_1", "transfer_call", arguments, None))
    assert talk.of(Refer) == []
    assert "desk" in talk.outputs()["call_1"]
    assert talk.asked() == ["reply"]


# -- errors --------------------------------------------------------------------------------------------------------


def test_an_error_of_the_session_is_written_down_and_the_call_goes_on() -> None:
    talk = Talk(QUIET)
    talk.hear(error("invalid_value", "tools_1"))
    assert talk.rules.summary.errors == [{"code": "invalid_value", "message": "It is wrong."}]
    assert talk.of(Report)[0].line == "OpenAI reports an error of the session: invalid_value"
    assert talk.hung_up == []


def test_an_error_just_before_the_end_of_the_socket_is_its_cause() -> None:
    talk = Talk(QUIET)
    talk.hear(error("server_error"))
    assert talk.rules.fatal_error(talk.now + timedelta(seconds=2)) == "server_error"
    assert talk.rules.fatal_error(talk.now + timedelta(seconds=3)) is None


def test_finding_out_that_the_call_is_over_may_take_longer() -> None:
    talk = Talk(QUIET)
    talk.hear(error("server_error"))
    talk.detach()
    assert talk.rules.fatal_error(talk.now + timedelta(seconds=30)) == "server_error"


def test_an_error_long_before_the_socket_broke_is_not_the_cause() -> None:
    talk = Talk(QUIET)
    talk.hear(error("server_error"))
    talk.wait(3)
    talk.detach()
    assert talk.rules.fatal_error(talk.now) is None


def test_an_error_that_a_command_caused_ends_nothing() -> None:
    talk = Talk(QUIET)
    talk.hear(error("invalid_value", "tools_1"))
    assert talk.rules.fatal_error(talk.now) is None


@pytest.mark.parametrize("event_id", ["cancel_1", "clear_1", "again_output_3"])
def test_an_answer_to_what_was_perhaps_not_needed_is_no_error(event_id: str) -> None:
    talk = Talk(QUIET)
    talk.hear(error("response_cancel_not_active", event_id))
    assert talk.kept("error") == []


def test_the_end_of_the_session_is_known() -> None:
    talk = Talk(QUIET)
    talk.hear(error(events.SESSION_EXPIRED))
    assert talk.rules.is_expired
    assert talk.rules.fatal_error(talk.now) is None


# -- gaps ----------------------------------------------------------------------------------------------------------


def test_how_long_nobody_listened_is_counted() -> None:
    talk = Talk(QUIET)
    talk.detach()
    talk.now += timedelta(seconds=1.5)
    talk.attach()
    assert talk.rules.summary.gap_seconds == 1.5


def test_after_another_holder_the_gap_begins_with_its_last_entry() -> None:
    first = Talk(QUIET)
    first.now += timedelta(seconds=30)
    first.hear(events.CallerSaid("item_1", "Hello", None))
    second = Talk(QUIET, entries=first.kept(), generation=2, passed=34)
    assert second.rules.summary.gap_seconds == 4
    assert second.rules.summary.attachments == 2


@pytest.mark.parametrize("is_attached", [True, False])
def test_the_switchboard_learns_of_a_holder_that_was_attached_before_it_could_be_told(is_attached: bool) -> None:
    late = Talk(QUIET, generation=0, attach=is_attached)
    late.done += late.rules.opened_late(3, late.now)
    if not is_attached:
        late.attach()
    assert [entry.key for entry in late.kept("note")][-1] == "note:attached:3:1"
    assert late.rules.summary.attachments == 1
    late.done += late.rules.opened_late(4, late.now)
    assert [entry.key for entry in late.kept("note")][-1] == "note:attached:3:1"


@pytest.mark.parametrize("is_attached", [True, False])
def test_an_earlier_holder_that_is_known_only_later_counts_as_well(is_attached: bool) -> None:
    first = Talk(QUIET)
    first.now += timedelta(seconds=30)
    first.hear(events.CallerSaid("item_1", "Hello", None))
    second = Talk(QUIET, generation=0, passed=34, attach=is_attached)
    second.rules.merge(first.kept())
    if not is_attached:
        second.attach()
    assert second.rules.summary.gap_seconds == 4


def stood_by(seconds: float, gap_seconds: float) -> TimelineEntry:
    body = {"what": Note.STOOD_BY, "gap_seconds": gap_seconds, "lease": "1"}
    return entry_of(EntryKind.NOTE, START + timedelta(seconds=seconds), Note.STOOD_BY, 1, 1, **body)


def test_after_the_switchboard_has_listened_the_gap_begins_where_it_is_known_to_have_heard() -> None:
    second = Talk(QUIET, entries=[*Talk(QUIET).kept(), stood_by(3, 2.5)], heard_until=31, generation=2, passed=32)
    assert [entry.body["gap_seconds"] for entry in second.kept("note")] == [1]
    assert second.rules.summary.gap_seconds == 3.5
    second.rules.caught_up([], START + timedelta(seconds=33), second.now)
    assert second.rules.summary.gap_seconds == 2.5


def test_what_the_switchboard_heard_and_wrote_only_after_it_was_relieved_counts_once() -> None:
    second = Talk(QUIET, entries=Talk(QUIET).kept(), generation=2, passed=4)
    second.hear(events.CallerSaid("item_2", "And you?", None))
    late = [entry_of("caller", START + timedelta(seconds=at), f"item_{at}", text="Hello") for at in (2, 3)]
    second.rules.caught_up([stood_by(1.5, 1.5), *late, *second.kept()], START + timedelta(seconds=5), second.now)
    summary = second.rules.summary
    assert (summary.caller_turns, summary.attachments, summary.gap_seconds) == (2, 3, 1.5)


def test_a_holder_whose_socket_broke_learns_what_the_switchboard_heard_meanwhile() -> None:
    talk = Talk(QUIET)
    talk.detach()
    talk.now += timedelta(seconds=20)
    talk.attach()
    assert talk.rules.summary.gap_seconds == 20
    said = entry_of("agent", START + timedelta(seconds=9), "item_1", text="Hello")
    talk.rules.caught_up([stood_by(3, 3), said], talk.now, talk.now)
    assert (talk.rules.summary.agent_turns, talk.rules.summary.gap_seconds) == (1, 3)


def test_an_earlier_holder_and_the_switchboard_that_are_known_only_later_count_as_well() -> None:
    second = Talk(QUIET, generation=0, passed=34)
    second.rules.merge([*Talk(QUIET).kept(), stood_by(3, 2)], START + timedelta(seconds=33))
    assert second.rules.summary.gap_seconds == 3


def test_a_call_that_is_attached_late_for_the_first_time_has_no_gap() -> None:
    assert Talk(QUIET, passed=3).rules.summary.gap_seconds == 0


def test_it_is_woken_as_long_as_it_may_have_to_hang_up() -> None:
    talk = Talk(replace(QUIET, silence_seconds=None), attach=False)
    assert talk.rules.wakes_at() == START + timedelta(seconds=599.5)
    talk.wait(600)
    assert talk.rules.wakes_at() is None


# -- silence -----------------------------------------------------------------------------------------------------------


def test_when_nobody_speaks_it_is_hung_up() -> None:
    talk = Talk(QUIET)
    talk.wait(59)
    assert talk.hung_up == []
    talk.wait(1)
    assert talk.hung_up == ["silence"]


def test_who_speaks_is_not_silent_however_long() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerSpeaking("item_1"))
    talk.wait(100)
    talk.hear(events.CallerSilent("item_1"))
    talk.wait(59)
    assert talk.hung_up == []
    talk.wait(1)
    assert talk.hung_up == ["silence"]


def test_audio_that_plays_is_no_silence() -> None:
    talk = Talk(QUIET)
    response = talk.speak(heard=False)
    talk.wait(70)
    talk.hear(events.AudioStopped(response))
    talk.wait(59)
    assert talk.hung_up == []


def test_a_tool_that_runs_is_no_silence() -> None:
    talk = Talk(replace(PLAN, greeting=None, silence_seconds=5))
    talk.call_tools(call("look_up"))
    talk.wait(9)
    assert talk.hung_up == []


def test_a_key_is_no_silence() -> None:
    talk = Talk(QUIET)
    talk.wait(50)
    talk.hear(events.KeyPressed("1", None))
    talk.wait(50)
    assert talk.hung_up == []


def test_a_late_transcript_breaks_no_silence() -> None:
    talk = Talk(QUIET)
    talk.wait(50)
    talk.hear(events.CallerSaid("item_1", "Hello", None))
    talk.wait(10)
    assert talk.hung_up == ["silence"]


def test_a_model_that_asks_whether_anybody_is_there_breaks_no_silence() -> None:
    talk = Talk(QUIET)
    for _ in range(2):
        talk.wait(25)
        talk.hear(events.IdleTimeout())
        talk.speak("Are you there?")
    talk.wait(10)
    assert talk.hung_up == ["silence"]


def test_while_the_socket_is_away_nobody_knows_whether_it_is_silent() -> None:
    talk = Talk(QUIET)
    talk.detach()
    talk.wait(300)
    assert talk.hung_up == []
    talk.attach()
    talk.wait(60)
    assert talk.hung_up == ["silence"]


def test_without_a_limit_it_may_be_silent() -> None:
    talk = Talk(replace(QUIET, silence_seconds=None))
    talk.wait(500)
    assert talk.hung_up == []


# -- the clock by itself -------------------------------------------------------------------------------------------


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_clock_that_was_never_told_that_it_is_quiet_never_ends() -> None:
    clock = QuietClock(10)
    assert clock.ends_at is None
    clock.set(False, at(5))
    clock.start_again(at(6))
    assert clock.ends_at is None


def test_quiet_times_add_up_and_what_is_heard_in_between_does_not() -> None:
    clock = QuietClock(10)
    clock.set(True, at(0))
    assert clock.ends_at == at(10)
    clock.set(True, at(3))
    assert clock.ends_at == at(10)
    clock.set(False, at(4))
    assert clock.ends_at is None
    clock.set(True, at(100))
    assert clock.ends_at == at(106)


def test_who_speaks_sets_the_clock_back_while_it_runs_and_while_it_stands() -> None:
    clock = QuietClock(10)
    clock.set(True, at(0))
    clock.start_again(at(7))
    assert clock.ends_at == at(17)
    clock.set(False, at(9))
    clock.start_again(at(9))
    clock.set(True, at(20))
    assert clock.ends_at == at(30)


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = QuietClock(10)
    clock.set(True, at(5))
    clock.set(False, at(1))
    clock.set(True, at(20))
    assert clock.ends_at == at(30)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=15), st.integers(1, 60))
def test_it_ends_when_all_quiet_times_together_reach_the_limit(steps: list[tuple[bool, int]], limit: int) -> None:
    clock, now, quiet = QuietClock(limit), 0, 0
    is_quiet = False
    for becomes_quiet, seconds in steps:
        clock.set(becomes_quiet, at(now))
        is_quiet = becomes_quiet
        now += seconds
        quiet += seconds if is_quiet else 0
    left = (clock.ends_at - at(now)).total_seconds() if clock.ends_at is not None else None
    assert left == (limit - quiet if is_quiet else None)
