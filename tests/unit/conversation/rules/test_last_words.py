"""A call ends, or is transferred, when the last words were heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.conversation.talk import LOOK_UP, PLAN, START, Talk, call

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules import last_words
from airflow_openai_realtime.conversation.rules.effects import HangUp, Keep, Refer
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.state import ConversationState
from airflow_openai_realtime.conversation.rules.turn_taking import Wanted

QUIET = ConversationPlan(end_call=False)


def test_the_call_ends_when_the_goodbye_was_heard_and_not_when_it_was_made() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AudioStarted(response), events.AgentSaid("i", response, "Goodbye!"))
    talk.finish(response, call("end_call"))
    talk.wait(4)
    assert talk.hung_up == []
    talk.hear(events.AudioStopped(response))
    assert talk.hung_up == ["end_call"]


def test_words_whose_audio_has_not_begun_are_waited_for() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AgentSaid("i", response, "Goodbye!"))
    talk.finish(response, call("end_call"))
    assert talk.hung_up == []
    talk.hear(events.AudioStarted(response))
    talk.wait(5)
    assert talk.hung_up == []
    talk.hear(events.AudioStopped(response))
    assert talk.hung_up == ["end_call"]


def test_words_whose_audio_never_begins_are_not_waited_for_long() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AgentSaid("i", response, "Goodbye!"))
    talk.finish(response, call("end_call"))
    talk.wait(3)
    assert talk.hung_up == ["end_call"]


def test_a_caller_who_interrupts_the_goodbye_has_heard_enough() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AudioStarted(response))
    talk.finish(response, call("end_call"))
    talk.hear(events.CallerSpeaking("item_1"), events.AudioCleared(response))
    assert talk.hung_up == ["end_call"]


def test_a_goodbye_takes_ten_seconds_at_most() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AudioStarted(response))
    talk.finish(response, call("end_call"))
    talk.wait(9)
    assert talk.hung_up == []
    talk.wait(1)
    assert talk.hung_up == ["end_call"]


def test_a_call_that_ends_without_a_word_ends_at_once() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    talk.call_tools(call("end_call"))
    assert talk.hung_up == ["end_call"]


def test_before_the_time_is_over_the_model_says_goodbye() -> None:
    talk = Talk(replace(QUIET, goodbye="Our time is over.", silence_seconds=None))
    talk.wait(587)
    assert talk.asked() == []
    talk.wait(1)
    assert talk.asked() == ["goodbye"]
    response = talk.speak(purpose="goodbye", heard=False)
    assert talk.hung_up == []
    talk.hear(events.AudioStopped(response))
    assert talk.hung_up == ["max_duration"]


def test_the_goodbye_takes_the_place_of_what_is_being_said() -> None:
    talk = Talk(replace(QUIET, goodbye="Our time is over.", silence_seconds=None))
    talk.wait(587)
    response = talk.begin()
    talk.hear(events.AudioStarted(response))
    talk.wait(1)
    assert [command["type"] for command in talk.sent()] == ["response.cancel", "output_audio_buffer.clear"]
    talk.finish(response, status="cancelled")
    talk.hear(events.AudioCleared(response))
    assert talk.asked() == ["goodbye"]


def test_the_goodbye_takes_the_place_of_what_the_model_has_still_to_say() -> None:
    talk = Talk(replace(QUIET, goodbye="Our time is over.", silence_seconds=None, functions=(LOOK_UP,)))
    talk.wait(580)
    talk.call_tools(call("look_up"))
    response = talk.begin()
    talk.answer("call_1")
    talk.wait(8)
    talk.finish(response, status="cancelled")
    assert talk.asked() == ["goodbye"]


def test_a_goodbye_that_is_not_heard_in_time_is_cut_off() -> None:
    talk = Talk(replace(QUIET, goodbye="Our time is over.", silence_seconds=None))
    talk.wait(599.5)
    assert talk.hung_up == ["max_duration"]


def test_a_short_call_says_goodbye_at_half_of_its_time() -> None:
    talk = Talk(replace(QUIET, goodbye="Our time is over."), seconds=10)
    talk.wait(4.4)
    assert talk.asked() == []
    talk.wait(0.2)
    assert talk.asked() == ["goodbye"]


def test_a_call_that_is_ending_says_no_goodbye_twice() -> None:
    talk = Talk(replace(PLAN, greeting=None, goodbye="Our time is over."), seconds=20)
    talk.wait(9)
    response = talk.begin()
    talk.hear(events.AudioStarted(response))
    talk.finish(response, call("end_call"))
    talk.wait(5)
    assert talk.asked() == []


def test_a_transfer_is_asked_for_when_the_caller_has_heard_of_it() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AudioStarted(response))
    talk.finish(response, call("transfer_call", target="desk"))
    assert talk.of(Refer) == []
    talk.hear(events.AudioStopped(response))
    assert [(refer.target, refer.target_uri) for refer in talk.of(Refer)] == [("desk", "tel:+14155550177")]


def test_words_before_a_transfer_take_ten_seconds_at_most() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    response = talk.begin()
    talk.hear(events.AudioStarted(response))
    talk.finish(response, call("transfer_call", target="desk"))
    talk.wait(10)
    assert len(talk.of(Refer)) == 1


def test_who_transfers_and_ends_the_call_in_one_breath_transfers() -> None:
    talk = Talk(replace(PLAN, greeting=None))
    talk.call_tools(call("end_call", "call_1"), call("transfer_call", "call_2", target="desk"))
    assert len(talk.of(Refer)) == 1
    assert talk.hung_up == []


# -- the rules by themselves ---------------------------------------------------------------------------------------


@pytest.fixture
def state() -> ConversationState:
    found = ConversationState(ConversationPlan(goodbye="Bye."), START + timedelta(minutes=10), START, Summary())
    found.is_live = True
    return found


def test_a_call_that_ends_says_nothing_more_of_what_was_wanted(state: ConversationState) -> None:
    state.turns.want(Wanted("reply"))
    last_words.end_after_words(state, START)
    assert state.turns.next_command(START) is None
    last_words.act_when_heard(state, START)
    assert state.hung_up_for == "end_call"


def test_a_call_is_not_ended_while_a_tool_runs_until_its_time_is_over(state: ConversationState) -> None:
    last_words.end_after_words(state, START)
    last_words.act_when_heard(state, START + timedelta(seconds=9), is_tool_running=True)
    assert state.hung_up_for is None
    last_words.act_when_heard(state, START + timedelta(seconds=10), is_tool_running=True)
    assert state.hung_up_for == "end_call"


def test_while_the_socket_is_away_words_count_as_heard_only_after_their_time(state: ConversationState) -> None:
    state.is_live = False
    last_words.transfer_after_words(state, Refer("call_1", "boss", "tel:+14155550177"), START)
    last_words.act_when_heard(state, START + timedelta(seconds=9))
    assert state.take_effects() == []
    last_words.act_when_heard(state, START + timedelta(seconds=10))
    assert state.take_effects() == [Refer("call_1", "boss", "tel:+14155550177")]
    last_words.act_when_heard(state, START + timedelta(seconds=11))
    assert state.take_effects() == []


@pytest.mark.parametrize(("why", "waits"), [("silence", True), ("end_call", True), ("max_duration", False)])
def test_hanging_up_waits_for_its_note_unless_the_time_is_over(state: ConversationState, why: str, waits: bool) -> None:
    last_words.hang_up(state, why, START)
    keep, hang_up = state.take_effects()
    assert isinstance(keep, Keep)
    assert (keep.at_once, keep.entry.body) == (True, {"what": "ending", "why": why})
    assert hang_up == HangUp(why, after=keep.entry.key if waits else None)
    assert (state.ending, state.transfer, state.goodbye_at) == (None, None, None)


def test_an_end_that_an_earlier_owner_noted_is_not_waited_for_again(state: ConversationState) -> None:
    note = entry_of("note", START, "ending", "silence", what="ending", why="silence")
    state.summary.add(note)
    last_words.hang_up(state, "silence", START)
    assert state.take_effects() == [HangUp("silence")]


def test_a_goodbye_is_said_once_and_not_while_the_socket_is_away(state: ConversationState) -> None:
    state.is_live = False
    last_words.say_goodbye(state)
    assert (state.ending, state.goodbye_at) == (None, None)
    state.is_live = True
    last_words.say_goodbye(state)
    asked = state.turns.next_command(START)
    assert asked is not None
    assert asked[1]["response"]["instructions"].endswith("nothing else:\n\nBye.")
    assert state.ending is not None
    assert (state.ending.why, state.ending.until) == ("max_duration", state.deadline)
