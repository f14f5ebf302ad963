"""
Sessions as their sidebands see them: events out, commands in, one conversation per call.

No sockets here: an attached client is a queue. What happens in a call runs on the simulator's clock.

Source: https://developers.openai.com/api/docs/guides/voice-server-controls
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.attachment import Attachment
from airflow_openai_realtime.simulator.calls import Calls, SimulatedCall
from airflow_openai_realtime.simulator.clock import Clock
from airflow_openai_realtime.simulator.conversation import Conversation
from airflow_openai_realtime.simulator.log import Log
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.refusals import Refusal, missing_parameter
from airflow_openai_realtime.simulator.server_events import Event

__all__ = ["Attachment", "Sidebands"]

_SILENT_COMMANDS = (
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
)


class Sidebands:
    """
    The sessions of all live calls.

    :param calls: The calls; each gets its conversation when it is accepted.
    :param clock: The simulator's clock.
    :param log: The simulator's log.
    """

    def __init__(self, calls: Calls, clock: Clock, log: Log) -> None:
        self._calls = calls
        self._clock = clock
        self._log = log
        self._conversations: dict[str, Conversation] = {}

    def open(self, call: SimulatedCall) -> None:
        """
        Begin the conversation of a call that was accepted just now.

        :param call: The call.
        """
        with self._clock.lock:
            conversation = Conversation(call, self._calls, self._clock, self._log)
            self._conversations[call.call_id] = conversation
            call.on_end.append(lambda ended_by: self._end(conversation, ended_by))

    def attach(self, call: SimulatedCall, attachment: Attachment) -> bool:
        """
        Let a client listen to a live call; it gets ``session.created`` first.

        :param call: The call.
        :param attachment: The client.
        :return: False when the call is not live (any more).
        """
        with self._clock.lock:
            conversation = self._conversations.get(call.call_id)
            if conversation is None:
                return False
            conversation.attach(attachment)
            return True

    def detach(self, call: SimulatedCall, attachment: Attachment) -> None:
        """Stop feeding a client; the call goes on."""
        with self._clock.lock:
            conversation = self._conversations.get(call.call_id)
            if conversation is not None:
                conversation.detach(attachment)

    def act(self, call_id: str, moves: Sequence[Move]) -> None:
        """
        Let more happen in a live call, after what its script still holds.

        :param call_id: OpenAI's id.
        :param moves: What happens, in order.
        :raises InvalidInput: The call is not live.
        """
        with self._clock.lock:
            conversation = self._conversations.get(call_id)
            if conversation is None:
                raise InvalidInput(f"call {call_id} is not live; accept it first", field="call_id", call_id=call_id)
            conversation.caller.add(moves)

    def receive(self, call: SimulatedCall, attachment: Attachment, text: str) -> None:
        """
        Carry out a command of a client.

        :param call: Its call.
        :param attachment: The client; errors go to it alone.
        :param text: The command, JSON.
        """
        with self._clock.lock:
            conversation = self._conversations.get(call.call_id)
            if conversation is None:
                return
            command: Any = None
            try:
                command = _parse(text)
                self._log.add("sideband.command", call.record, type=command["type"])
                _carry_out(conversation, command)
            except Refusal as refusal:
                command_id = command.get("event_id") if isinstance(command, dict) else None
                conversation.refuse(attachment, refusal, command_id)

    def _end(self, conversation: Conversation, ended_by: str) -> None:
        self._conversations.pop(conversation.call.call_id, None)
        conversation.end(ended_by)


def _carry_out(conversation: Conversation, command: Event) -> None:
    kind = command["type"]
    if kind == "session.update":
        conversation.update(command)
    elif kind == "response.create":
        request = command.get("response")
        conversation.model.respond(request if isinstance(request, dict) else {})
    elif kind == "response.cancel":
        if not conversation.model.cancel("client_cancelled"):
            raise Refusal(400, "response_cancel_not_active", "Cancellation failed: no active response found")
    elif kind == "conversation.item.create":
        conversation.add_item(command)
    elif kind == "output_audio_buffer.clear":
        conversation.model.clear_audio()
    elif kind not in _SILENT_COMMANDS:
        raise Refusal(400, "invalid_value", f"Invalid value: '{kind}'.", param="type")


def _parse(text: str) -> Event:
    try:
        command = json.loads(text)
    except ValueError as error:
        raise Refusal(400, "invalid_json", "The command is not valid JSON.") from error
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        raise missing_parameter("type")
    return command
