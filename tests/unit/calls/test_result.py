from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.conversation.talk import START, Talk, call

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult, result_of, unanswered_result
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.states import Outcome
from airflow_openai_realtime.switchboard.server.store.statistics import REASONS

CALL = SwitchboardCall(
    "rtc_1", "support", "accepted", START, START, from_number="+14155550123", accepted_at=START, hangup_at=START
)
END = (Outcome.CALLER_HUNG_UP, "socket_closed")


def lived() -> Summary:
    talk = Talk()
    talk.speak("Good morning.", purpose="greeting")
    talk.hear(events.CallerSaid("item_1", "Yes", {"type": "duration", "seconds": 30}))
    talk.hear(events.KeyPressed("4", None), events.KeyPressed("#", None))
    talk.call_tools(call("record_result", agreed=True))
    talk.answer("call_1", ToolAnswer("ok", "Recorded.", detail={"value": {"agreed": True}, "valid": True}))
    usage = {"total_tokens": 2_000_000, "input_token_details": {"text_tokens": 1_000_000}, "input_tokens": 1_000_000}
    talk.finish("resp_9", usage={**usage, "output_tokens": 1_000_000, "output_token_details": {"audio_tokens": 10**6}})
    return talk.rules.summary


def result() -> CallResult:
    return result_of(CALL, lived(), END, ended_at=START + timedelta(seconds=42), resumed=False)


def test_a_result_says_what_came_of_the_call() -> None:
    found = result().to_dict()
    assert (found["outcome"], found["reason"], found["talk_seconds"]) == ("caller_hung_up", "socket_closed", 42.0)
    assert found["turns"] == {"caller": 1, "agent": 1}
    assert found["keys"] == "4#"
    assert (found["result"], found["result_valid"]) == ({"agreed": True}, True)
    assert found["tools"] == [{"name": "record_result", "status": "ok"}]
    assert found["usage"]["output_audio_tokens"] == 1_000_000
    assert (found["cost"]["usd"], found["cost"]["priced_on"]) == (68.0, "2026-11-22")
    assert found["cost"]["without"] == ["transcription"]


def test_a_result_is_small_json_without_phone_numbers_and_is_read_again() -> None:
    text = json.dumps(result().to_dict())
    assert "415" not in text
    assert CallResult.from_dict(json.loads(text)) == result()


def test_a_result_shows_nothing_of_what_was_said() -> None:
    assert "agreed" not in repr(result())


def test_how_long_a_call_lived_that_nobody_heard_is_not_known() -> None:
    found = result_of(CALL, Summary(), END, ended_at=START + timedelta(seconds=42), resumed=False)
    assert (found.talk_seconds, found.cost, found.result_valid) == (None, None, None)


@pytest.mark.parametrize(
    ("outcome", "counted", "told"),
    [
        (Outcome.GONE, None, None),
        (Outcome.UNKNOWN, None, None),
        (Outcome.GONE, 6.0, 6.0),
        (Outcome.CALLER_HUNG_UP, None, 42.0),
        (Outcome.CALLER_HUNG_UP, 6.0, 6.0),
    ],
)
def test_how_long_a_call_lived_that_was_only_found_gone_is_not_known(
    outcome: Outcome, counted: float | None, told: float | None
) -> None:
    end = (outcome, "gone")
    found = result_of(
        replace(CALL, talk_seconds=counted), lived(), end, ended_at=START + timedelta(seconds=42), resumed=False
    )
    assert found.talk_seconds == told


def test_a_socket_that_was_attached_again_counts_as_resumed() -> None:
    talk = Talk()
    talk.detach()
    talk.attach()
    assert result_of(CALL, talk.rules.summary, END, ended_at=START, resumed=False).resumed
    assert not result().resumed


def test_own_prices_are_used() -> None:
    prices = {"gpt-realtime-2.1": {"audio_output": 1.0}, "other": {"text_input": 5.0}}
    found = result_of(CALL, lived(), END, ended_at=START, resumed=False, prices=prices)
    assert found.cost is not None
    assert (found.cost["usd"], found.cost["priced_on"]) == (5.0, "own prices")


def test_the_outcomes_are_a_closed_list() -> None:
    assert [outcome.value for outcome in Outcome] == [
        "completed",
        "caller_hung_up",
        "killed",
        "max_duration",
        "silence",
        "transfer_requested",
        "rejected",
        "no_answer",
        "busy",
        "failed",
        "gone",
        "unknown",
    ]


def test_the_switchboard_counts_each_outcome_that_a_live_call_can_have_by_its_name() -> None:
    never_told = {Outcome.REJECTED, Outcome.NO_ANSWER, Outcome.BUSY}
    assert {outcome.value for outcome in set(Outcome) - never_told} <= set(REASONS)


# -- test_unanswered_result --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("busy", "busy"),
        ("no_answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("gone", "gone"),
        ("timeout", "unknown"),
    ],
)
def test_a_phone_that_was_not_answered_has_a_result_like_a_call(said: str, outcome: str) -> None:
    result = unanswered_result(said, "default")
    assert (result["outcome"], result["reason"], result["call_id"], result["line"]) == (outcome, said, None, "default")
    assert set(result) == set(CallResult.from_dict(result).to_dict())
    assert json.loads(json.dumps(result)) == result
