from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.conversation.talk import PLAN, START, Talk, call

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.effects import CheckResult, Keep, Refer, Report, RunFunction, ToolAnswer
from airflow_openai_realtime.conversation.rules.tool_rules import (
    UNSURE_SECONDS,
    ToolRounds,
    unknown_tools,
    untold_tools,
)
from airflow_openai_realtime.states import EntryKind, Note

LISTENING = replace(PLAN, greeting=None)
INVALID = ToolAnswer(
    "invalid", "agreed must be boolean", detail={"value": {}, "valid": False, "problems": ["agreed: must be boolean"]}
)
VALID = ToolAnswer("ok", "It was recorded.", detail={"value": {"agreed": True}, "valid": True, "problems": []})


def talk(**others: Any) -> Talk:
    return Talk(LISTENING, **others)


def test_a_function_is_run_after_its_call_was_put_on_the_timeline() -> None:
    now = talk()
    wanted = now.call_tools(call("look_up", order=7))
    kept = next(effect for effect in wanted if isinstance(effect, Keep) and effect.entry.kind == "tool_call")
    run = next(effect for effect in wanted if isinstance(effect, RunFunction))
    assert kept.at_once
    assert wanted.index(kept) < wanted.index(run)
    assert (run.spec.name, run.arguments) == ("look_up", '{"order": 7}')


def test_what_it_gave_is_told_to_the_model_which_then_goes_on() -> None:
    now = talk()
    now.call_tools(call("look_up"))
    now.answer("call_1", ToolAnswer("ok", "It is on its way."))
    assert [command["type"] for command in now.sent()] == ["conversation.item.create", "response.create"]
    assert now.outputs() == {"call_1": "It is on its way."}


def test_a_tool_call_that_comes_twice_runs_once() -> None:
    now = talk()
    now.call_tools(call("look_up"))
    now.call_tools(call("look_up"))
    assert len(now.of(RunFunction)) == 1


def test_a_tool_call_of_a_response_without_a_list_of_them_is_run() -> None:
    now = talk()
    response = now.begin()
    now.hear(call("look_up"))
    assert now.of(RunFunction) == []
    now.finish(response)
    assert len(now.of(RunFunction)) == 1


def test_a_tool_call_that_was_cut_off_is_not_run() -> None:
    now = talk()
    response = now.begin()
    half = events.FunctionCall("call_1", "book", '{"day": "Mon', None, "incomplete")
    now.hear(replace(half, status=None))
    now.finish(response, half, status="cancelled")
    assert now.of(RunFunction) == []
    now.finish(now.begin())
    assert now.of(RunFunction) == []


def test_a_tool_call_without_an_id_is_left_alone() -> None:
    now = talk()
    now.call_tools(call("look_up", ""))
    assert now.of(RunFunction) == []


def test_a_function_that_is_not_there_is_told_to_the_model_and_its_name_not_to_the_log() -> None:
    now = talk()
    now.call_tools(call("Herr Meier, +49 30 1234567"))
    assert "no such function" in now.outputs()["call_1"]
    assert now.of(Report)[0].line == "Tool (unknown): the model called a function that is not there."


def test_what_a_tool_says_for_the_log_goes_there() -> None:
    now = talk()
    now.call_tools(call("look_up"))
    now.answer("call_1", ToolAnswer("failed", "It did not work.", "failed with KeyError"))
    assert now.of(Report)[0].line == "Tool look_up: failed with KeyError."


# -- the result ----------------------------------------------------------------------------------------------------


def test_a_result_is_checked() -> None:
    now = talk()
    now.call_tools(call("record_result", agreed=True))
    assert [effect.arguments for effect in now.of(CheckResult)] == ['{"agreed": true}']


def test_a_valid_result_is_stored_and_the_model_goes_on() -> None:
    now = talk()
    now.call_tools(call("record_result"))
    now.answer("call_1", VALID)
    summary = now.rules.summary
    assert (summary.result, summary.result_valid) == ({"agreed": True}, True)
    assert now.asked() == ["reply"]


def test_what_is_wrong_is_told_once_and_the_record_asked_for_again() -> None:
    now = talk()
    now.call_tools(call("record_result"))
    now.answer("call_1", INVALID)
    assert now.outputs()["call_1"] == "agreed must be boolean"
    (asked,) = now.sent("response.create")
    assert asked["response"]["tool_choice"] == {"type": "function", "name": "record_result"}


def test_the_second_time_it_is_stored_as_it_is() -> None:
    now = talk()
    now.call_tools(call("record_result", "call_1"))
    now.answer("call_1", INVALID)
    response = now.begin(purpose="record")
    now.finish(response, call("record_result", "call_2"))
    now.answer("call_2", INVALID)
    assert "recorded as it is" in now.outputs()["call_2"]
    assert now.asked() == ["record", "reply"]
    summary = now.rules.summary
    assert (summary.result, summary.result_valid, summary.result_problems) == ({}, False, ("agreed: must be boolean",))


def test_a_valid_result_is_not_replaced_by_a_wrong_one() -> None:
    now = talk()
    now.call_tools(call("record_result", "call_1"), call("record_result", "call_2"))
    now.answer("call_1", VALID)
    now.answer("call_2", INVALID)
    assert now.rules.summary.result == {"agreed": True}


def test_a_call_that_is_ended_with_a_wrong_record_waits_for_the_right_one() -> None:
    now = talk()
    now.call_tools(call("record_result", "call_1"), call("end_call", "call_2"))
    assert now.hung_up == []
    now.answer("call_1", INVALID)
    assert now.asked() == ["record"]
    now.finish(now.begin(purpose="record"), call("record_result", "call_3"))
    now.answer("call_3", VALID)
    assert now.hung_up == ["end_call"]
    assert now.rules.summary.result_valid


def test_but_not_for_ever() -> None:
    now = talk()
    now.call_tools(call("record_result", "call_1"), call("end_call", "call_2"))
    now.answer("call_1", INVALID)
    now.wait(10)
    assert now.hung_up == ["end_call"]


def test_when_the_call_is_ending_no_function_is_begun() -> None:
    now = talk()
    response = now.begin()
    now.hear(events.AudioStarted(response))
    now.finish(response, call("end_call", "call_1"))
    now.call_tools(call("book", "call_2"))
    assert now.of(RunFunction) == []
    assert now.rules.summary.tools["call_2"].status == "not_run"


# -- taken over ----------------------------------------------------------------------------------------------------


def taken_over(first: Talk, **others: Any) -> Talk:
    return Talk(LISTENING, entries=first.kept(), generation=2, **others)


def test_a_tool_that_an_earlier_holder_began_is_not_run_again_and_the_model_is_told_so() -> None:
    first = talk()
    first.call_tools(call("book"))
    second = taken_over(first)
    assert second.of(RunFunction) == []
    assert "not known whether this worked" in second.outputs()["call_1"]
    assert second.asked() == ["reply"]
    assert second.rules.summary.tools["call_1"].status == "unknown"


def test_when_its_call_comes_again_it_is_not_run_either() -> None:
    first = talk()
    first.call_tools(call("book"))
    second = taken_over(first)
    second.call_tools(call("book"))
    assert second.of(RunFunction) == []


def test_what_the_model_may_not_have_been_told_is_told_again() -> None:
    first = talk()
    first.call_tools(call("book"))
    first.answer("call_1", ToolAnswer("ok", "Booked."))
    second = taken_over(first)
    assert second.outputs() == {"call_1": "Booked."}
    assert second.asked() == ["reply"]


def test_what_the_model_has_spoken_about_is_not_told_again() -> None:
    first = talk()
    first.call_tools(call("book"))
    first.answer("call_1", ToolAnswer("ok", "Booked."))
    first.now += timedelta(seconds=1)
    first.speak(purpose="reply")
    assert taken_over(first).sent() == []


def test_a_call_that_was_being_ended_is_ended() -> None:
    first = talk()
    response = first.begin()
    first.hear(events.AudioStarted(response))
    first.finish(response, call("end_call"))
    second = taken_over(first)
    assert second.hung_up == ["end_call"]


def test_a_transfer_that_may_have_been_asked_for_is_not_asked_for_again() -> None:
    first = talk()
    first.call_tools(call("transfer_call", target="desk"))
    assert len(first.of(Refer)) == 1
    second = taken_over(first)
    assert second.of(Refer) == []
    assert second.rules.summary.transfer == "desk"


def test_a_result_survives() -> None:
    first = talk()
    first.call_tools(call("record_result"))
    first.answer("call_1", VALID)
    assert taken_over(first).rules.summary.result == {"agreed": True}


# -- the call is over ----------------------------------------------------------------------------------------------


def test_tools_that_still_run_when_the_call_is_over_are_noted_as_unknown() -> None:
    now = talk()
    now.call_tools(call("book", "call_1"), call("end_call", "call_2"))
    now.end()
    tools = now.rules.summary.tools
    assert (tools["call_1"].status, tools["call_2"].status) == ("unknown", "ok")


@pytest.mark.parametrize("status", ["ok", "requested"])
def test_a_transfer_that_was_asked_for_leaves_the_model_silent(status: str) -> None:
    now = talk()
    now.call_tools(call("transfer_call", target="desk"))
    now.answer("call_1", ToolAnswer(status, "Requested.", detail={"target": "desk"}))
    assert now.asked() == ([] if status == "requested" else ["reply"])
    assert now.rules.summary.transfer == "desk"


# -- called while only the switchboard listened --------------------------------------------------------------------


def asked(name: str, tool_call_id: str = "call_1", arguments: str = "{}") -> TimelineEntry:
    body = {"what": Note.ASKED, "tool_call_id": tool_call_id, "name": name, "arguments": arguments}
    return entry_of(EntryKind.NOTE, START, Note.ASKED, tool_call_id, **body)


def test_a_tool_that_the_model_called_while_nobody_held_the_call_is_run_by_the_next_holder() -> None:
    second = talk(entries=[*talk().kept(), asked("book", arguments='{"table": 7}')], generation=2)
    (run,) = second.of(RunFunction)
    assert (run.tool_call_id, run.spec.name, run.arguments) == ("call_1", "book", '{"table": 7}')
    assert [entry.key for entry in second.kept("tool_call")] == ["tool_call:call_1"]
    second.answer("call_1", ToolAnswer("ok", "Booked."))
    assert second.outputs() == {"call_1": "Booked."}
    assert second.asked() == ["reply"]


def test_so_is_one_that_the_switchboard_has_told_of_only_later_and_only_once() -> None:
    second = taken_over(talk())
    for _ in range(2):
        second.done += second.rules.caught_up([asked("book")], None, second.now)
    assert len(second.of(RunFunction)) == 1
    second.detach()
    second.attach()
    assert len(second.of(RunFunction)) == 1


def test_one_that_an_earlier_holder_began_is_not_run_again_though_the_switchboard_heard_it_called() -> None:
    first = talk()
    first.call_tools(call("book"))
    second = talk(entries=[*first.kept(), asked("book")], generation=2)
    assert second.of(RunFunction) == []
    assert "not known whether this worked" in second.outputs()["call_1"]


def test_one_that_this_holder_has_heard_called_as_well_is_not_run_twice() -> None:
    second = taken_over(talk())
    second.call_tools(call("book"))
    second.done += second.rules.caught_up([asked("book")], None, second.now)
    assert len(second.of(RunFunction)) == 1


def test_a_tool_that_runs_while_the_socket_of_a_later_owner_breaks_goes_on() -> None:
    second = taken_over(talk())
    second.call_tools(call("book"))
    second.detach()
    second.attach()
    assert second.kept("tool_result") == []
    second.answer("call_1")
    assert second.outputs() == {"call_1": "42"}


def test_a_goodbye_that_the_switchboard_has_heard_ends_the_call() -> None:
    second = talk(entries=[*talk().kept(), asked("end_call")], generation=2)
    second.wait(1)
    assert second.hung_up == ["end_call"]


@pytest.mark.parametrize("name", ["end_call", "transfer_call"])
def test_when_the_caller_has_spoken_since_the_call_neither_ends_nor_is_transferred(name: str) -> None:
    since = entry_of("caller", START + timedelta(seconds=5), "item_9", text="Wait, one more thing.")
    second = talk(entries=[*talk().kept(), asked(name, arguments='{"target": "desk"}'), since], generation=2)
    second.wait(1)
    assert (second.hung_up, second.of(Refer)) == ([], [])
    assert "The caller has spoken since" in second.outputs()["call_1"]
    assert second.asked() == ["reply"]


def test_what_the_caller_said_before_does_not_keep_the_call_from_ending() -> None:
    before = entry_of("caller", START - timedelta(seconds=5), "item_9", text="That is all.")
    second = talk(entries=[*talk().kept(), before, asked("end_call")], generation=2)
    second.wait(1)
    assert second.hung_up == ["end_call"]


def test_what_the_model_has_called_again_since_nobody_answered_is_run_once() -> None:
    noted = [asked("book", f"call_{number}", '{"table": 7}') for number in (1, 2)]
    second = talk(entries=[*talk().kept(), *noted, asked("book", "call_3", '{"table": 8}')], generation=2)
    assert [(run.tool_call_id, run.arguments) for run in second.of(RunFunction)] == [
        ("call_2", '{"table": 7}'),
        ("call_3", '{"table": 8}'),
    ]
    assert "called this again" in second.outputs()["call_1"]


def test_while_the_socket_is_away_nothing_is_run_until_it_is_back() -> None:
    second = taken_over(talk())
    second.detach()
    second.done += second.rules.caught_up([asked("book")], None, second.now)
    assert second.of(RunFunction) == []
    second.attach()
    assert len(second.of(RunFunction)) == 1


def test_what_was_recorded_meanwhile_is_checked_though_the_call_is_over() -> None:
    second = taken_over(talk())
    second.detach()
    noted = [asked("book"), asked("record_result", "call_2", '{"agreed": true}')]
    second.done += second.rules.caught_up(noted, None, second.now)
    assert [effect.tool_call_id for effect in second.of(CheckResult)] == ["call_2"]
    second.answer("call_2", VALID)
    second.end()
    assert second.rules.summary.result == {"agreed": True}
    assert [trace.name for trace in second.rules.summary.never_begun()] == ["book"]


# -- rounds of tools ---------------------------------------------------------------------------------------------------


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
