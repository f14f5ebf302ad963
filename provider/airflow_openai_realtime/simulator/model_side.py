"""
The model's side of a call: one response at a time, tools that wait for an answer, audio that plays.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from airflow_openai_realtime.simulator.clock import Timer
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply, ToolCall
from airflow_openai_realtime.simulator.playback import Playback
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.response_steps import Making, Step
from airflow_openai_realtime.simulator.server_events import Event


class Surroundings(Protocol):
    """What both sides of a call have in common: its session, its clock, its log, and who listens."""

    values: dict[str, Any]

    def emit(self, event: Event) -> None:
        """Send an event to all who listen."""

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Let something happen after simulated seconds, unless the call is over by then."""

    def note(self, kind: str, **detail: Any) -> None:
        """Write to the log what happened."""

    def follow(self, item_id: str) -> str | None:
        """Append an item to the conversation; returns the one before it."""


class ModelSide:
    """
    What the model does.

    :param call: The call it talks in.
    :param dialogue: What it says.
    :param on_begun: Called when it begins to answer.
    :param on_speaking: Called when the caller begins to hear it.
    :param on_quiet: Called when it has said all and waits for nothing.
    """

    def __init__(
        self,
        call: Surroundings,
        dialogue: Dialogue,
        *,
        on_begun: Callable[[], None],
        on_speaking: Callable[[], None],
        on_quiet: Callable[[], None],
    ) -> None:
        self._call = call
        self._dialogue = dialogue
        self._on_begun = on_begun
        self._on_quiet = on_quiet
        self._playback = Playback(call.emit, call.later, on_speaking, self._look)
        self._making: Making | None = None
        self._steps: Iterator[Step] = iter(())
        self._timer: Timer | None = None
        self._responses = 0
        self._called: dict[str, ToolCall] = {}
        self._unanswered: set[str] = set()
        self._answered: set[str] = set()

    @property
    def quiet(self) -> bool:
        """Whether it makes no response, nothing of it is being heard, and all of its tools are answered."""
        return self._making is None and self._playback.playing is None and not self._unanswered

    @property
    def responding(self) -> bool:
        """Whether a response is being made."""
        return self._making is not None

    def respond(self, request: Mapping[str, Any]) -> None:
        """
        Begin a response.

        :param request: The client's ``response`` object; empty for a response that speech set off.
        :raises Refusal: One is being made.
        """
        if self._making is not None:
            raise Refusal(
                400,
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress. Wait until it is finished.",
            )
        reply = self._possible(self._dialogue.reply(self._responses), request)
        self._responses += 1
        voice = str(self._call.values.get("audio", {}).get("output", {}).get("voice", "marin"))
        self._making = Making(reply, voice=voice, metadata=request.get("metadata"), follow=self._call.follow)
        self._steps = self._making.steps()
        self._on_begun()
        self._go_on()

    def cancel(self, reason: str) -> bool:
        """
        Stop the response that is being made; what is made already is heard to its end.

        :param reason: ``client_cancelled`` or ``turn_detected``.
        :return: False when there is none.
        """
        making = self._making
        if making is None:
            return False
        if self._timer is not None:
            self._timer.cancel()
        self._making = None
        for event in making.cut_off(reason):
            self._tell(making, event)
        # The tool calls of a cancelled response need no answer.
        self._unanswered -= making.tool_calls.keys()
        self._look()
        return True

    def clear_audio(self) -> bool:
        """Stop what is being heard; False when there is nothing."""
        return self._playback.clear()

    def interrupt(self) -> None:
        """The caller speaks: stop at once, when there is something to stop."""
        playing = self._playback.playing
        if playing is None and self._making is None:
            return
        self._call.note("interrupted", response_id=playing or (self._making and self._making.response_id))
        self._playback.clear()
        self.cancel("turn_detected")

    def take_output(self, tool_call_id: str, output: Any) -> None:
        """
        Take what a function of the client gave.

        :raises Refusal: The model called no such function. Seen by users, 2025.
        """
        call = self._called.get(tool_call_id)
        if call is None:
            raise Refusal(400, "invalid_tool_call_id", f"Tool call ID '{tool_call_id}' not found in conversation.")
        again = tool_call_id in self._answered
        self._answered.add(tool_call_id)
        self._unanswered.discard(tool_call_id)
        self._call.note("tool_answered", tool_call_id=tool_call_id, name=call.name, output=output, again=again)
        self._look()

    def stop(self) -> None:
        """Stop without a word: the call is over."""
        self._playback.stop()
        self._making = None
        self._unanswered.clear()

    def _possible(self, reply: Reply, request: Mapping[str, Any]) -> Reply:
        """The reply without the tools that it cannot call."""
        session = self._call.values
        tools = request.get("tools") or session.get("tools") or []
        offered = {tool.get("name") or tool.get("server_label") for tool in tools if isinstance(tool, Mapping)}
        if (request.get("tool_choice") or session.get("tool_choice")) == "none":
            offered = set()
        calls = []
        for call in reply.tool_calls:
            if (call.server_label or call.name) in offered:
                calls.append(call)
            else:
                self._call.note("tool_missing", name=call.name)
        return replace(reply, tool_calls=tuple(calls))

    def _go_on(self) -> None:
        for step in self._steps:
            if step.after_seconds > 0:
                self._timer = self._call.later(step.after_seconds, partial(self._resume, step))
                return
            self._happen(step)

    def _resume(self, step: Step) -> None:
        self._happen(step)
        self._go_on()

    def _happen(self, step: Step) -> None:
        making = self._making
        if making is None:
            return
        if step.plays_seconds:
            self._playback.play(making.response_id, step.plays_seconds)
            return
        if step.event["type"] == "response.done":
            self._making = None
        self._tell(making, step.event)
        if step.event["type"] == "response.done":
            if making.goes_on_by_itself:
                self.respond({})
            else:
                self._look()

    def _tell(self, making: Making, event: Event) -> None:
        if event["type"] == "response.output_audio_transcript.done":
            said = {"item_id": event["item_id"], "response_id": making.response_id}
            self._call.note("said", speaker="model", text=event["transcript"], **said)
        elif event["type"] == "response.function_call_arguments.done":
            tool_call_id, called = event["call_id"], {name: event[name] for name in ("name", "arguments")}
            self._called[tool_call_id] = making.tool_calls[tool_call_id]
            self._unanswered.add(tool_call_id)
            self._call.note("tool_called", tool_call_id=tool_call_id, **called)
        self._call.emit(event)

    def _look(self) -> None:
        if self.quiet:
            self._on_quiet()
