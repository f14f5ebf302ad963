"""The outputs of tools: when the model speaks again, and what it is told twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.conversation.talk import PLAN, START, Talk, call

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.state import UNSURE_SECONDS, ToolRounds
from airflow_openai_realtime.conversation.rules.tool_rules import unknown_tools, untold_tools

LISTENING = replace(PLAN, greeting=None)


def talk(**others: Any) -> Talk:
    return Talk(LISTENING, **others)


def test_after_two_tools_of_one_response_the_model_goes_on_once() -> None:
    now = talk()
    now.call_tools(call("look_up", "call_1"), call("book", "call_2"))
    now.answer("call_2")
    assert now.asked() == []
    now.answer("call_1")
    assert now.asked() == ["reply"]
    assert set(now.outputs()) == {"call_1", "call_2"}


def test_what_a_tool_gave_while_the_socket_was_away_is_told_afterwards() -> None:
    now = talk()
    now.call_tools(call("look_up"))
    now.detach()
    now.answer("call_1")
    assert now.sent() == []
    now.attach()
    assert [command["type"] for command in now.sent()] == ["conversation.item.create", "response.create"]


def test_what_may_not_have_arrived_is_told_again() -> None:
    now = talk()
    now.call_tools(call("look_up"))
    now.answer("call_1")
    now.now += timedelta(seconds=1)
    now.detach()
    now.attach()
    outputs = now.sent("conversation.item.create")
    assert [output["event_id"] for output in outputs] == ["output_1", "again_output_1"]


def test_what_has_arrived_is_not() -> None:
    now = talk()
    now.call_tools(call("look_up"))
    now.answer("call_1")
    now.speak(purpose="reply")
    now.now += timedelta(seconds=3)
    now.detach()
    now.attach()
    assert len(now.sent("conversation.item.create")) == 1


# -- the rounds by themselves --------------------------------------------------------------------------------------


def test_the_model_goes_on_once_when_the_last_tool_of_a_round_has_answered() -> None:
    rounds = ToolRounds()
    rounds.begin("call_1")
    rounds.begin("call_2")
    rounds.end("call_1", is_reply_due=True)
    assert rounds.is_running
    assert not rounds.take_reply()
    rounds.end("call_2", is_reply_due=False)
    assert not rounds.is_running
    assert rounds.take_reply()
    assert not rounds.take_reply()


def test_a_round_that_asks_for_no_words_gets_none() -> None:
    rounds = ToolRounds()
    rounds.begin("call_1")
    rounds.end("call_1", is_reply_due=False)
    rounds.end("call_never_begun", is_reply_due=False)
    assert not rounds.take_reply()


def test_each_output_has_an_id_of_its_own_and_waits_for_the_socket() -> None:
    rounds = ToolRounds()
    sent = rounds.output("call_1", "42", START, is_attached=True)
    assert sent is not None
    assert (sent["event_id"], sent["item"]["call_id"], sent["item"]["output"]) == ("output_1", "call_1", "42")
    assert rounds.output("call_2", "43", START, is_attached=False) is None
    (left,) = rounds.left_over(None, START)
    assert (left["event_id"], left["item"]["call_id"]) == ("output_2", "call_2")
    assert rounds.take_reply()
    assert rounds.left_over(None, START) == []
    assert not rounds.take_reply()


@pytest.mark.parametrize(("seconds", "is_sent_again"), [(0, True), (UNSURE_SECONDS, True), (2.1, False)])
def test_what_was_sent_just_before_the_socket_broke_is_sent_again(seconds: float, is_sent_again: bool) -> None:
    rounds = ToolRounds()
    rounds.output("call_1", "42", START, is_attached=True)
    again = rounds.left_over(START + timedelta(seconds=seconds), START + timedelta(seconds=9))
    assert [command["event_id"] for command in again] == (["again_output_1"] if is_sent_again else [])
    assert rounds.take_reply() is is_sent_again


def test_what_waited_for_the_socket_is_doubtful_when_that_breaks_as_well() -> None:
    rounds = ToolRounds()
    rounds.output("call_1", "42", START, is_attached=False)
    rounds.left_over(None, START + timedelta(seconds=5))
    (again,) = rounds.left_over(START + timedelta(seconds=6), START + timedelta(seconds=7))
    assert again["event_id"] == "again_output_1"


def test_without_a_socket_before_nothing_was_sent_that_could_be_lost() -> None:
    rounds = ToolRounds()
    rounds.output("call_1", "42", START, is_attached=True)
    assert rounds.left_over(None, START) == []


def tools_of(*entries: TimelineEntry) -> Summary:
    return Summary.of(entries)


def begun(tool_call_id: str, name: str = "book", second: float = 1) -> TimelineEntry:
    at = START + timedelta(seconds=second)
    return entry_of("tool_call", at, tool_call_id, tool_call_id=tool_call_id, name=name, arguments="{}")


def over(tool_call_id: str, status: str = "ok", second: float = 2) -> TimelineEntry:
    body = {"tool_call_id": tool_call_id, "status": status, "output": "42"}
    return entry_of("tool_result", START + timedelta(seconds=second), tool_call_id, **body)


def test_a_tool_that_was_begun_and_never_answered_is_unknown() -> None:
    summary = tools_of(begun("call_1"), begun("call_2"), over("call_2"), begun("call_3"), over("call_3", "unknown"))
    assert [trace.tool_call_id for trace in unknown_tools(summary)] == ["call_1"]


def test_an_output_is_untold_until_the_model_has_spoken_after_it() -> None:
    entries = [begun("call_1"), over("call_1"), begun("call_2", "end_call"), over("call_2")]
    entries += [begun("call_3", "transfer_call"), over("call_3", "requested"), begun("call_4")]
    assert [trace.tool_call_id for trace in untold_tools(tools_of(*entries))] == ["call_1"]
    before = entry_of("agent", START + timedelta(seconds=1.5), "item_1", text="One moment.")
    assert [trace.tool_call_id for trace in untold_tools(tools_of(*entries, before))] == ["call_1"]
    after = entry_of("agent", START + timedelta(seconds=3), "item_2", text="It is booked.")
    assert untold_tools(tools_of(*entries, before, after)) == []
