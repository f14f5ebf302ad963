"""What the tests of conversations share: a live call of a world without sockets, and a client that listens to it."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.simulator.support import CALLER, PERSON, SESSION

from airflow_openai_realtime.simulator import Dialogue, PhoneScript
from airflow_openai_realtime.simulator.attachment import Attachment
from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.world import World

TRANSCRIBES = {"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
TOOLS = {"tools": [{"type": "function", "name": name} for name in ("book", "end_call")]}


class Listener(Attachment):
    """An attached client that only remembers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any] | None] = []

    def put(self, event: dict[str, Any] | None) -> None:
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event["type"] if event else "over" for event in self.events]

    def take(self) -> list[str]:
        """Types of the events since the last time."""
        types = self.types
        self.events.clear()
        return types

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type."""
        return [event for event in self.events if event and event["type"] == kind]


class Talk:
    """A call that is accepted, with a listener."""

    def __init__(
        self,
        world: World,
        dialogue: Dialogue,
        *,
        attached: bool = True,
        noticed_after_seconds: float = 0.0,
        **session: Any,
    ) -> None:
        self.world = world
        script = PhoneScript.talks_for_ever(dialogue=dialogue, hang_up_noticed_after_seconds=noticed_after_seconds)
        self.call_id = world.call_in(PERSON, CALLER, script=script)
        world.calls.accept(self.call_id, {**SESSION, **session})
        self.listener = Listener()
        if attached:
            self.attach(self.listener)

    @property
    def call(self) -> SimulatedCall:
        call = self.world.calls.find(self.call_id)
        assert call is not None
        return call

    @property
    def row(self) -> Any:
        return self.world.log.call(call_id=self.call_id)

    def attach(self, listener: Listener) -> bool:
        return self.world.sidebands.attach(self.call, listener)

    def send(self, kind: str, **fields: Any) -> None:
        self.world.sidebands.receive(self.call, self.listener, json.dumps({"type": kind, **fields}))

    def answer(self, tool_call_id: str, output: str = "{}") -> None:
        """Answer a tool call; the model speaks at the next ``response.create``."""
        item = {"type": "function_call_output", "call_id": tool_call_id, "output": output}
        self.send("conversation.item.create", item=item)

    def details(self, kind: str) -> list[dict[str, Any]]:
        """Details of the log's entries of one kind."""
        return [dict(entry.detail) for entry in self.world.log.of_kind(f"session.{kind}", call_id=self.call_id)]

    def said(self, speaker: str | None = None) -> list[tuple[str, str]]:
        return self.world.log.said(self.call_id, speaker)
