"""How long neither side has spoken."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conversation.talk import PLAN, START, Talk, call

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.state import QuietClock

QUIET = ConversationPlan(end_call=False)


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
