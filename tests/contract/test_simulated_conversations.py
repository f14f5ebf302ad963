"""Whole conversations over the real socket, with OpenAI's SDK as the client and its types as the judge of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from tests.unit.simulator.support import CALLER, PERSON
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply, Simulator, ToolCall

pytestmark = [
    pytest.mark.realtime_simulator(speed=0, settle_seconds=30),
    # The SDK calls websockets 17 in a way that is going out of use.
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
]

KNOWN: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {
        "input": {
            "transcription": {"model": "gpt-transcribe"},
            "turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000},
        }
    },
    "tools": [
        {"type": "function", "name": "book", "parameters": {"type": "object", "properties": {}}},
        {"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.example.com", "require_approval": "never"},
    ],
}


@pytest.fixture
def sdk(realtime_simulator: Simulator) -> Iterator[OpenAI]:
    with OpenAI(
        api_key=realtime_simulator.api_key, base_url=realtime_simulator.openai_base_url, max_retries=0, timeout=30
    ) as client:
        yield client


def accepted(simulator: Simulator, sdk: OpenAI, dialogue: Dialogue) -> str:
    call_id = simulator.call_in(PERSON, CALLER, script=PhoneScript.talks_for_ever(dialogue=dialogue))
    sdk.realtime.calls.accept(call_id, **SESSION)
    return call_id


class Client:
    """Reads a socket; every event must be one that the SDK knows, strictly."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.seen: list[Any] = []

    def until(self, kind: str) -> Any:
        while True:
            raw = json.loads(self._connection.recv_bytes())
            event = KNOWN.validate_python(raw)
            assert not event.model_extra
            self.seen.append(event)
            if event.type == kind:
                return event

    def until_closed(self) -> Exception:
        try:
            while True:
                self.until("never")
        except (ConnectionClosedError, ConnectionClosedOK) as closed:
            return closed

    @property
    def types(self) -> set[str]:
        return {event.type for event in self.seen}


LONG_TALK = Dialogue(
    replies=(
        Reply("Let me tell you a long story.", makes_for_seconds=3),
        Reply("One moment.", (ToolCall("book", {"seats": 4}),)),
        "Booked.",
        Reply(tool_calls=(ToolCall("search", {"q": "x"}, server_label="wiki"),)),
        Reply("It says 42.", tool_calls=(ToolCall("search", server_label="wiki", error="no"),)),
        Reply(status="failed"),
        Reply("And so on", status="incomplete"),
        "Are you there?",
    ),
    moves=(
        Move.interrupts("Stop!", transcript_after_seconds=3),
        Move.says("And the weather?"),
        Move.presses("12#"),
        Move.says("Hello?", transcript="failed"),
        Move.session_error("server_error", "Oops."),
        Move.says("What?"),
        Move.waits(20),
        Move.session_expires(),
    ),
)


def test_every_event_of_a_long_talk_is_one_that_the_sdk_knows(realtime_simulator: Simulator, sdk: OpenAI) -> None:
    call_id = accepted(realtime_simulator, sdk, LONG_TALK)
    with sdk.realtime.connect(call_id=call_id) as connection:
        client = Client(connection)
        client.until("session.created")
        connection.response.create(response={"metadata": {"why": "greeting"}})
        client.until("response.created")
        realtime_simulator.clock.advance(4)
        called = client.until("response.function_call_arguments.done")
        connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": called.call_id, "output": "{}"}
        )
        connection.response.create()
        assert realtime_simulator.wait_for(
            lambda: len(realtime_simulator.log.of_kind("sideband.command")) == 3, timeout_seconds=30
        )
        realtime_simulator.clock.advance(90)
        assert isinstance(client.until_closed(), ConnectionClosedError)
    assert client.types >= {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.dtmf_event_received",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        "output_audio_buffer.cleared",
        "response.function_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "rate_limits.updated",
        "error",
    }
    assert {event.response.status for event in client.seen if event.type == "response.done"} == {
        "completed",
        "cancelled",
        "failed",
        "incomplete",
    }


def test_a_tool_call_makes_the_round_with_the_sdk(realtime_simulator: Simulator, sdk: OpenAI) -> None:
    dialogue = Dialogue((Reply.calls("book", {"seats": 4}), "Booked."), (Move.says("A table for four."),))
    call_id = accepted(realtime_simulator, sdk, dialogue)
    with sdk.realtime.connect(call_id=call_id) as connection:
        client = Client(connection)
        client.until("session.created")
        realtime_simulator.clock.advance(5)
        called = client.until("response.function_call_arguments.done")
        assert json.loads(called.arguments) == {"seats": 4}
        connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": called.call_id, "output": '{"ok": true}'}
        )
        connection.response.create()
        assert realtime_simulator.wait_for(
            lambda: realtime_simulator.log.of_kind("session.tool_answered"), timeout_seconds=30
        )
        client.until("response.created")
        realtime_simulator.clock.advance(5)
        assert client.until("response.output_audio_transcript.done").transcript == "Booked."


def test_a_script_may_ask_for_a_clean_close(realtime_simulator: Simulator, sdk: OpenAI) -> None:
    call_id = accepted(realtime_simulator, sdk, Dialogue(moves=(Move.hangs_up(),), clean_close=True))
    with sdk.realtime.connect(call_id=call_id) as connection:
        client = Client(connection)
        client.until("session.created")
        realtime_simulator.clock.advance(2)
        assert isinstance(client.until_closed(), ConnectionClosedOK)
