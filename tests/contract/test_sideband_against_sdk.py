"""OpenAI's SDK as the judge of the sideband: which events there are, and what commands look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from openai.types.realtime.realtime_client_event import RealtimeClientEvent
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter

from airflow_openai_realtime.api.sideband import commands as sideband_commands
from airflow_openai_realtime.api.sideband import events as sideband_events

#: What happens while something is being made, and what the sideband does not need.
OF_NO_INTEREST = {
    "conversation.created",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.segment",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "input_audio_buffer.cleared",
    "input_audio_buffer.committed",
    "response.content_part.added",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_item.added",
    "response.output_text.delta",
}


def server_event_types() -> Iterator[str]:
    union, *_ = get_args(RealtimeServerEvent)
    for kind in get_args(union):
        yield from get_args(kind.model_fields["type"].annotation)


def test_each_event_that_the_sdk_knows_is_read_or_left_out_on_purpose() -> None:
    known = set(server_event_types())
    assert set(sideband_events._READERS) <= known
    assert known - set(sideband_events._READERS) == OF_NO_INTEREST


COMMANDS = [
    sideband_commands.say(),
    sideband_commands.say("Say hello.", tool_choice={"type": "function", "name": "x"}, metadata={"a": "b"}),
    sideband_commands.say(tool_choice="none"),
    sideband_commands.function_output("call_1", "{}"),
    sideband_commands.user_text("Hi"),
    sideband_commands.system_text("Hi"),
    sideband_commands.update_session(instructions="Be brief.", tools=[{"type": "function", "name": "x"}]),
    sideband_commands.cancel_response(),
    sideband_commands.clear_audio(),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command["type"])
def test_each_command_is_one_that_the_sdk_knows(command: dict[str, Any]) -> None:
    union = TypeAdapter(RealtimeClientEvent)
    read = union.validate_json(json.dumps(command))
    back = json.loads(read.model_dump_json(exclude_unset=True))
    assert back == command
    assert not read.model_extra
