"""
One response of the model, as steps: an event, and how long after the one before it comes.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_openai_realtime.simulator import server_events
from airflow_openai_realtime.simulator.dialogue import Reply, ToolCall
from airflow_openai_realtime.simulator.server_events import Event, new_id

_MCP_SECONDS = 0.5


@dataclass(frozen=True)
class Step:
    """
    One server event of a response.

    :param after_seconds: Simulated seconds after the step before it.
    :param event: The event, without ``event_id``.
    :param plays_seconds: In place of the event: this much audio is handed over to be played.
    """

    after_seconds: float
    event: Event
    plays_seconds: float = 0.0


class Making:
    """
    A response that is being made.

    :param reply: What the model says and calls; only tools that it may call.
    :param voice: Voice of the session.
    :param metadata: As given to ``response.create``.
    :param follow: Appends an item to the conversation and tells the one before it.
    """

    def __init__(self, reply: Reply, *, voice: str, metadata: Any, follow: Callable[[str], str | None]) -> None:
        self.response_id = new_id("resp")
        self.tool_calls: dict[str, ToolCall] = {}
        self._reply = reply
        self._common = {"voice": voice, "metadata": metadata}
        self._follow = follow
        self._output: list[Event] = []
        self._item_id = ""
        self._so_far: str | None = None

    @property
    def goes_on_by_itself(self) -> bool:
        """Whether the model answers again without being asked: after a tool that OpenAI itself ran."""
        return any(call.server_label for call in self._reply.tool_calls)

    def steps(self) -> Iterator[Step]:
        """All of it, from ``response.created`` to ``response.done``."""
        reply = self._reply
        yield Step(0, {"type": "response.created", "response": self._response("in_progress")})
        thinks_seconds = reply.thinks_seconds
        if reply.status != "failed":
            if reply.text:
                yield from self._words(thinks_seconds)
                thinks_seconds = 0
            for call in reply.tool_calls:
                yield from self._mcp(call, thinks_seconds) if call.server_label else self._tool(call, thinks_seconds)
                thinks_seconds = 0
        yield Step(thinks_seconds, server_events.rate_limits())
        details = server_events.status_details(reply.status)
        usage = server_events.usage(reply.text if reply.status != "failed" else "")
        done = self._response(reply.status, output=self._output, usage=usage, status_details=details)
        yield Step(0, {"type": "response.done", "response": done})

    def cut_off(self, reason: str) -> list[Event]:
        """
        What comes when the response is cancelled in the middle: what was said so far, then the end, without usage.

        :param reason: ``client_cancelled`` or ``turn_detected``.
        """
        events: list[Event] = []
        if self._so_far is not None:
            events = [step.event for step in self._words_end(self._so_far, "incomplete")]
        details = server_events.status_details("cancelled", reason)
        done = self._response("cancelled", output=self._output, status_details=details)
        return [*events, {"type": "response.done", "response": done}]

    def _response(self, status: str, **more: Any) -> Event:
        return server_events.response(self.response_id, status, **self._common, **more)

    def _words(self, thinks_seconds: float) -> Iterator[Step]:
        words, self._item_id = self._reply.text, new_id("item")
        of_part = self._of_part()
        begun = server_events.model_message(self._item_id, "in_progress", None)
        yield from self._added(begun, thinks_seconds)
        yield Step(0, {"type": "response.content_part.added", **of_part, "part": {"type": "audio", "transcript": ""}})
        plays_seconds = max(server_events.spoken_seconds(words), self._reply.makes_for_seconds)
        yield Step(0, {"type": "output_audio_buffer.started", "response_id": self.response_id}, plays_seconds)
        waits_seconds, self._so_far = 0.0, ""
        for delta in _deltas(words):
            event = {"type": "response.output_audio_transcript.delta", **of_part, "delta": delta}
            yield Step(waits_seconds, event)
            waits_seconds = self._reply.makes_for_seconds
            self._so_far += delta
        self._so_far = None
        yield from self._words_end(words, "completed" if self._reply.status == "completed" else "incomplete")

    def _words_end(self, words: str, status: str) -> Iterator[Step]:
        of_part = self._of_part()
        said = server_events.model_message(self._item_id, status, words)
        part = {"type": "audio", "transcript": words}
        yield Step(0, {"type": "response.output_audio.done", **of_part})
        yield Step(0, {"type": "response.output_audio_transcript.done", **of_part, "transcript": words})
        yield Step(0, {"type": "response.content_part.done", **of_part, "part": part})
        yield from self._done(said)

    def _tool(self, call: ToolCall, thinks_seconds: float) -> Iterator[Step]:
        item_id, tool_call_id, arguments = new_id("item"), new_id("call"), server_events.arguments_of(call)
        of_call = {**self._of_item(item_id), "call_id": tool_call_id}
        yield from self._added(server_events.function_call(item_id, tool_call_id, call, "in_progress"), thinks_seconds)
        kind = "response.function_call_arguments"
        self.tool_calls[tool_call_id] = call
        yield Step(0, {"type": f"{kind}.delta", **of_call, "delta": arguments})
        yield Step(0, {"type": f"{kind}.done", **of_call, "name": call.name, "arguments": arguments})
        yield from self._done(server_events.function_call(item_id, tool_call_id, call, "completed"))

    def _mcp(self, call: ToolCall, thinks_seconds: float) -> Iterator[Step]:
        item_id = new_id("mcp")
        of_item = {"output_index": len(self._output), "item_id": item_id}
        yield from self._added(server_events.mcp_call(item_id, call, over=False), thinks_seconds)
        arguments = {**self._of_item(item_id), "arguments": server_events.arguments_of(call)}
        yield Step(0, {"type": "response.mcp_call_arguments.done", **arguments})
        yield Step(0, {"type": "response.mcp_call.in_progress", **of_item})
        end = "failed" if call.error else "completed"
        yield Step(_MCP_SECONDS, {"type": f"response.mcp_call.{end}", **of_item})
        yield from self._done(server_events.mcp_call(item_id, call, over=True))

    def _added(self, item: Event, after_seconds: float) -> Iterator[Step]:
        place = {"response_id": self.response_id, "output_index": len(self._output)}
        yield Step(after_seconds, {"type": "response.output_item.added", **place, "item": item})
        self._previous = self._follow(item["id"])
        for event in server_events.item_events(["added"], item, self._previous):
            yield Step(0, event)

    def _done(self, item: Event) -> Iterator[Step]:
        place = {"response_id": self.response_id, "output_index": len(self._output)}
        self._output.append(item)
        for event in server_events.item_events(["done"], item, self._previous):
            yield Step(0, event)
        yield Step(0, {"type": "response.output_item.done", **place, "item": item})

    def _of_item(self, item_id: str) -> Event:
        return {"response_id": self.response_id, "output_index": len(self._output), "item_id": item_id}

    def _of_part(self) -> Event:
        return {**self._of_item(self._item_id), "content_index": 0}


def _deltas(words: str) -> list[str]:
    first, _, rest = words.partition(" ")
    return [first, f" {rest}"] if rest else [first]
