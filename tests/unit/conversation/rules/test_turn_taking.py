"""One response at a time, and nothing wanted is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.conversation.talk import PLAN, START, Talk, call, error

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.turn_taking import (
    ASKED_SECONDS,
    GOODBYE,
    LONGEST_AUDIO_SECONDS,
    REPLY,
    RESPONSE_SECONDS,
    TurnTaking,
    Wanted,
)

QUIET = ConversationPlan(end_call=False)


def test_what_is_wanted_while_the_model_speaks_waits() -> None:
    talk = Talk(QUIET, attach=False)
    talk.plan = replace(PLAN, greeting=None)
    talk = Talk(talk.plan)
    talk.call_tools(call("look_up"))
    response = talk.begin()
    talk.answer("call_1")
    assert talk.outputs() == {"call_1": "42"}
    assert talk.asked() == []
    talk.finish(response)
    assert talk.asked() == ["reply"]


def test_what_came_too_early_is_asked_for_again_after_the_other_response() -> None:
    talk = Talk()
    response = talk.begin()
    talk.hear(error(events.ACTIVE_RESPONSE, "greeting_1"))
    assert talk.asked() == ["greeting"]
    talk.finish(response)
    assert talk.asked() == ["greeting", "greeting"]
    assert talk.rules.summary.errors == []


def test_what_was_refused_for_a_response_nobody_saw_is_asked_for_again_in_the_end() -> None:
    talk = Talk()
    talk.hear(error(events.ACTIVE_RESPONSE, "greeting_1"))
    talk.wait(9)
    assert talk.asked() == ["greeting"]
    talk.wait(2)
    assert talk.asked() == ["greeting", "greeting"]


def test_a_response_that_failed_is_asked_for_again_twice_at_most() -> None:
    talk = Talk()
    for _ in range(5):
        talk.finish(talk.begin(purpose="greeting"), status="failed", error_message="overloaded")
    assert talk.asked() == ["greeting"] * 3
    assert talk.rules.summary.errors[0] == {"code": "response_failed", "message": "overloaded"}


def test_a_response_whose_end_was_lost_does_not_block_for_ever() -> None:
    talk = Talk(replace(PLAN, greeting=None, silence_seconds=None))
    talk.call_tools(call("look_up"))
    talk.begin()
    talk.answer("call_1")
    talk.wait(61)
    assert talk.asked() == ["reply"]


# -- the turns by themselves ---------------------------------------------------------------------------------------


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def started(response_id: str = "resp_1", **metadata: str) -> events.ResponseStarted:
    return events.ResponseStarted(response_id, metadata)


def done(response_id: str = "resp_1", status: str = "completed") -> events.ResponseDone:
    return events.ResponseDone(response_id, status, None, None, None, {}, ())


def purposes(turns: TurnTaking, now: datetime = START) -> list[str]:
    """What is asked for next, one after the other, each made at once."""
    found = []
    while (asked := turns.next_command(now)) is not None:
        found.append(asked[0].purpose)
        turns.hear(started(f"resp_{len(found)}", purpose=asked[0].purpose), now)
        turns.hear(done(f"resp_{len(found)}"), now)
    return found


def test_a_wanted_response_is_asked_for_with_its_purpose_and_an_id() -> None:
    turns = TurnTaking()
    turns.want(Wanted(REPLY, "Say it.", "none", after="note:x"))
    asked = turns.next_command(START)
    assert asked is not None
    wanted, command = asked
    assert wanted.after == "note:x"
    assert (command["event_id"], command["response"]["metadata"]) == ("reply_1", {"purpose": "reply"})
    assert (command["response"]["instructions"], command["response"]["tool_choice"]) == ("Say it.", "none")


def test_what_is_wanted_comes_in_order_and_each_purpose_once() -> None:
    turns = TurnTaking()
    for purpose in (REPLY, GOODBYE, REPLY):
        turns.want(Wanted(purpose))
    assert not turns.is_spoken
    assert purposes(turns) == [REPLY, GOODBYE]
    assert turns.is_spoken


def test_one_response_is_asked_for_at_a_time() -> None:
    turns = TurnTaking()
    turns.want(Wanted(REPLY))
    turns.want(Wanted(GOODBYE))
    assert turns.next_command(START) is not None
    assert turns.next_command(START) is None
    turns.hear(started(purpose=REPLY), START)
    assert turns.next_command(START) is None
    turns.hear(done(), START)
    assert purposes(turns) == [GOODBYE]


def test_while_openai_answers_by_itself_nothing_is_asked_for() -> None:
    turns = TurnTaking()
    turns.hear(started(), START)
    turns.want(Wanted(REPLY))
    assert turns.next_command(START) is None
    turns.hear(done(), START)
    assert purposes(turns) == [REPLY]


def test_a_response_without_a_purpose_that_began_after_asking_is_what_was_asked_for() -> None:
    turns = TurnTaking()
    turns.want(Wanted(REPLY))
    turns.next_command(START)
    turns.hear(started(), later(1))
    turns.hear(done(status="failed"), later(2))
    assert purposes(turns, later(3)) == [REPLY]


def test_what_was_asked_for_is_wanted_again_after_the_socket_was_away() -> None:
    turns = TurnTaking()
    turns.want(Wanted(REPLY))
    turns.want(Wanted(GOODBYE))
    turns.next_command(START)
    turns.caller_speaks = True
    turns.start_again()
    assert turns.is_quiet
    assert purposes(turns) == [REPLY, GOODBYE]


def test_words_are_heard_from_the_first_sound_to_the_last() -> None:
    turns = TurnTaking()
    turns.hear(started(), START)
    turns.hear(events.AgentSaid("item_1", "resp_1", "Hi"), later(1))
    turns.hear(done(), later(2))
    assert (turns.is_making, turns.is_heard, turns.is_spoken) == (False, True, False)
    turns.hear(events.AudioStarted("resp_1"), later(3))
    assert turns.began_at("resp_1", later(9)) == later(3)
    turns.hear(events.AudioStopped("resp_1"), later(5))
    assert turns.is_spoken
    assert turns.began_at("resp_1", later(9)) == later(9)


@pytest.mark.parametrize("status", ["cancelled", "failed", "incomplete"])
def test_no_sound_is_expected_of_words_that_were_not_completed(status: str) -> None:
    turns = TurnTaking()
    turns.hear(started(), START)
    turns.hear(events.AgentSaid("item_1", "resp_1", "Hi"), START)
    turns.hear(done(status=status), START)
    assert not turns.is_heard


def test_a_caller_who_speaks_breaks_the_quiet() -> None:
    turns = TurnTaking()
    assert turns.is_quiet
    turns.hear(events.CallerSpeaking("item_1"), START)
    assert not turns.is_quiet
    turns.hear(events.CallerSilent("item_1"), START)
    assert turns.is_quiet


def test_only_a_response_that_silence_set_off_is_prompted() -> None:
    turns = TurnTaking()
    turns.hear(events.IdleTimeout(), START)
    turns.hear(started("resp_1"), START)
    assert turns.is_prompted
    turns.hear(started("resp_2"), START)
    assert not turns.is_prompted


def refusal(code: str | None, event_id: str | None) -> events.SessionError:
    return events.SessionError(code, "invalid_request_error", "no", None, event_id)


def asking() -> TurnTaking:
    turns = TurnTaking()
    turns.want(Wanted(REPLY))
    assert turns.next_command(START) is not None
    return turns


def test_asking_too_early_is_no_error_and_is_done_again_after_the_other_response() -> None:
    turns = asking()
    turns.hear(started("resp_other"), START)
    assert turns.refused(refusal(events.ACTIVE_RESPONSE, "reply_1"), START)
    assert turns.next_command(START) is None
    turns.hear(done("resp_other"), later(1))
    assert purposes(turns, later(1)) == [REPLY]


def test_a_command_that_is_wrong_is_not_asked_for_again() -> None:
    turns = asking()
    assert not turns.refused(refusal("invalid_value", "reply_1"), START)
    assert turns.is_spoken


@pytest.mark.parametrize("event_id", [None, "tools_1"])
def test_an_error_about_something_else_changes_nothing(event_id: str | None) -> None:
    turns = asking()
    assert not turns.refused(refusal("server_error", event_id), START)
    assert turns.is_making


def test_whatever_does_not_come_is_given_up_at_its_time() -> None:
    turns = asking()
    assert turns.gives_up_at() == later(ASKED_SECONDS)
    turns.give_up_waiting(later(ASKED_SECONDS - 0.1))
    assert turns.is_making
    turns.give_up_waiting(later(ASKED_SECONDS))
    assert turns.is_spoken
    turns.hear(started(), START)
    turns.hear(events.AudioStarted("resp_1"), START)
    assert turns.gives_up_at() == later(RESPONSE_SECONDS)
    turns.give_up_waiting(later(RESPONSE_SECONDS))
    assert (turns.is_making, turns.gives_up_at()) == (False, later(LONGEST_AUDIO_SECONDS))
    turns.give_up_waiting(later(LONGEST_AUDIO_SECONDS))
    assert turns.is_spoken
    assert turns.gives_up_at() is None


@pytest.mark.parametrize("tries", range(4))
def test_what_fails_in_a_row_is_given_up_and_a_success_starts_the_count_anew(tries: int) -> None:
    turns = TurnTaking()
    for number in range(tries):
        turns.hear(started(f"resp_{number}"), START)
        turns.hear(done(f"resp_{number}", "failed"), START)
        turns.drop_wanted()
    turns.hear(started("resp_ok"), START)
    turns.hear(done("resp_ok"), START)
    turns.hear(started("resp_last"), START)
    turns.hear(done("resp_last", "failed"), START)
    assert purposes(turns) == [REPLY]
