"""What the model does in a call: one response at a time, tools, audio."""

from __future__ import annotations

import json

from tests.unit.simulator.talking import TOOLS, Talk

from airflow_openai_realtime.simulator import Dialogue, Move, Reply, ToolCall
from airflow_openai_realtime.simulator.world import World

ARGUMENTS_DONE = "response.function_call_arguments.done"


def test_a_tool_is_called_and_the_next_reply_comes_after_its_answer(world: World) -> None:
    replies = (Reply.calls("book", {"seats": 4}, text="One moment."), "Booked.")
    call = Talk(world, Dialogue(replies), **TOOLS)
    call.send("response.create")
    world.clock.advance(5)
    (called,) = call.listener.of(ARGUMENTS_DONE)
    assert (called["name"], json.loads(called["arguments"])) == ("book", {"seats": 4})
    (done,) = call.listener.of("response.done")
    assert [item["type"] for item in done["response"]["output"]] == ["message", "function_call"]
    call.answer(called["call_id"], '{"ok": true}')
    world.clock.advance(5)
    assert call.said() == [("model", "One moment.")]  # it waits to be asked
    call.send("response.create")
    world.clock.advance(5)
    assert call.said() == [("model", "One moment."), ("model", "Booked.")]
    (answered,) = call.details("tool_answered")
    assert (answered["name"], answered["output"], answered["again"]) == ("book", '{"ok": true}', False)


def test_the_person_waits_while_a_tool_runs(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book"), "Booked."), (Move.says("Thanks."),)), **TOOLS)
    call.send("response.create")
    world.clock.advance(20)
    assert call.said() == []
    call.answer(call.listener.of(ARGUMENTS_DONE)[0]["call_id"])
    call.send("response.create")
    world.clock.advance(5)
    assert call.said()[:2] == [("model", "Booked."), ("caller", "Thanks.")]


def test_an_answer_that_comes_twice_shows_in_the_log(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book"),)), **TOOLS)
    call.send("response.create")
    world.clock.advance(1)
    for _ in range(2):
        call.answer(call.listener.of(ARGUMENTS_DONE)[0]["call_id"])
    assert [each["again"] for each in call.details("tool_answered")] == [False, True]


def test_an_answer_to_no_call_is_an_error(world: World) -> None:
    call = Talk(world, Dialogue())
    call.answer("call_unknown")
    (error,) = call.listener.of("error")
    assert error["error"]["code"] == "invalid_tool_call_id"


def test_a_tool_that_the_session_does_not_offer_is_not_called(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book", text="Hm."),)))
    call.send("response.create")
    world.clock.advance(5)
    assert call.details("tool_called") == []
    assert [each["name"] for each in call.details("tool_missing")] == ["book"]
    assert call.said() == [("model", "Hm.")]


def test_a_tool_may_come_with_a_change_of_the_session(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book"),)))
    call.send("session.update", session={"type": "realtime", **TOOLS})
    call.send("response.create")
    world.clock.advance(5)
    assert len(call.details("tool_called")) == 1


def test_a_response_that_may_not_use_tools_does_not(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book", text="Bye."),)), **TOOLS)
    call.send("response.create", response={"tool_choice": "none"})
    world.clock.advance(5)
    assert call.details("tool_called") == []


def test_tools_are_called_once_and_not_with_the_repeated_last_reply(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book", text="Done."),)), **TOOLS)
    for _ in range(3):
        call.send("response.create")
        world.clock.advance(5)
    assert len(call.details("tool_called")) == 1
    assert call.said() == [("model", "Done.")] * 3


def test_arguments_may_be_no_json(world: World) -> None:
    call = Talk(world, Dialogue((Reply.calls("book", '{"seats": '),)), **TOOLS)
    call.send("response.create")
    world.clock.advance(5)
    assert call.listener.of(ARGUMENTS_DONE)[0]["arguments"] == '{"seats": '


def test_a_second_response_while_one_is_made_is_an_error_that_names_its_command(world: World) -> None:
    call = Talk(world, Dialogue(moves=(Move.says("Hello?"),)))
    world.clock.advance(1.5)  # the person has spoken, the model answers by itself
    call.send("response.create", event_id="event_mine")
    (error,) = call.listener.of("error")
    assert error["error"]["code"] == "conversation_already_has_active_response"
    assert error["error"]["event_id"] == "event_mine"
    world.clock.advance(20)
    assert len(call.said("model")) == 1


def test_a_response_may_fail(world: World) -> None:
    call = Talk(world, Dialogue((Reply("Never said.", status="failed"), "Better.")))
    call.send("response.create")
    world.clock.advance(5)
    (done,) = call.listener.of("response.done")
    assert done["response"]["status"] == "failed"
    assert done["response"]["status_details"]["error"]["code"] == "server_error"
    assert call.said() == []


def test_a_response_may_be_cut_off_by_its_limit(world: World) -> None:
    call = Talk(world, Dialogue((Reply("A long story", status="incomplete"),)))
    call.send("response.create")
    world.clock.advance(5)
    (done,) = call.listener.of("response.done")
    assert done["response"]["status"] == "incomplete"
    assert done["response"]["status_details"]["reason"] == "max_output_tokens"


def test_audio_of_one_response_is_heard_after_that_of_the_one_before(world: World) -> None:
    call = Talk(world, Dialogue(("One two three four.", "Five.")))
    call.send("response.create")
    world.clock.advance(0.5)
    call.send("response.create")
    world.clock.advance(0.5)
    assert len(call.listener.of("response.done")) == 2
    assert len(call.listener.of("output_audio_buffer.started")) == 1
    world.clock.advance(5)
    heard = [each for each in call.listener.types if each.startswith("output_audio_buffer")]
    assert heard == ["output_audio_buffer.started", "output_audio_buffer.stopped"] * 2


def test_what_is_made_is_heard_to_its_end_though_the_response_is_cancelled(world: World) -> None:
    call = Talk(world, Dialogue((Reply("One two three four.", makes_for_seconds=1),)))
    call.send("response.create")
    world.clock.advance(0.5)
    call.send("response.cancel")
    world.clock.advance(5)
    assert call.listener.types[-1] == "output_audio_buffer.stopped"


def test_a_tool_of_an_mcp_server_is_run_by_openai_and_the_model_goes_on(world: World) -> None:
    reply = Reply(tool_calls=(ToolCall("search", {"q": "x"}, server_label="wiki", output="42"),))
    tools = [{"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.example.com"}]
    call = Talk(world, Dialogue((reply, "It is 42.")), tools=tools)
    call.send("response.create")
    world.clock.advance(5)
    assert "response.mcp_call.completed" in call.listener.types
    (item,) = [e["item"] for e in call.listener.of("response.output_item.done") if e["item"]["type"] == "mcp_call"]
    assert (item["server_label"], item["output"], item["error"]) == ("wiki", "42", None)
    assert call.said() == [("model", "It is 42.")]


def test_a_tool_of_an_mcp_server_may_fail(world: World) -> None:
    reply = Reply(tool_calls=(ToolCall("search", server_label="wiki", error="no such page"),))
    tools = [{"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.example.com"}]
    call = Talk(world, Dialogue((reply, "Sorry.")), tools=tools)
    call.send("response.create")
    world.clock.advance(5)
    assert "response.mcp_call.failed" in call.listener.types
    assert call.listener.of("response.output_item.done")[0]["item"]["error"]["message"] == "no such page"


def test_nobody_waits_for_the_tools_of_a_response_that_was_cancelled(world: World) -> None:
    calls = (ToolCall("book"), ToolCall("search", server_label="wiki"))
    tools = [*TOOLS["tools"], {"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.example.com"}]
    call = Talk(world, Dialogue((Reply(tool_calls=calls), "Yes."), (Move.says("Hello?"),)), tools=tools)
    call.send("response.create")
    world.clock.advance(0.6)
    call.send("response.cancel")
    world.clock.advance(5)
    assert len(call.details("tool_called")) == 1
    assert call.said() == [("caller", "Hello?"), ("model", "Yes.")]


def test_nothing_happens_after_the_end(world: World) -> None:
    call = Talk(world, Dialogue(moves=(Move.says("Hello?"),)))
    call.send("response.create")
    world.calls.hang_up(call.call_id)
    call.listener.take()
    world.clock.advance(60)
    assert call.listener.take() == []
    assert call.said() == []
