"""A conversation without sockets, for tests: events in, and what the rules wanted done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.outcome import End
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.decisions import ConversationRules
from airflow_openai_realtime.conversation.rules.effects import Effect, HangUp, Keep, Send, ToolAnswer
from airflow_openai_realtime.conversation.rules.offered_tools import offered_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, FunctionSpec, TransferTarget

START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
SCHEMA = {"type": "object", "properties": {"agreed": {"type": "boolean"}}, "required": ["agreed"]}
LOOK_UP = FunctionSpec("look_up", "shop.look_up", "Looks up an order.", {"type": "object"})
BOOK = FunctionSpec("book", "shop.book", "Books.", {"type": "object"})
PLAN = ConversationPlan(
    greeting="Good morning.",
    result_schema=SCHEMA,
    functions=(LOOK_UP, BOOK),
    transfer_targets={"desk": TransferTarget("tel:+14155550177", "A person")},
)
Kind = TypeVar("Kind", bound=Effect)


class Talk:
    """
    The rules of one conversation, and a clock.

    :param plan: What is to happen.
    :param seconds: How long the call may take.
    :param entries: What an earlier holder saved.
    :param heard_until: Until when the switchboard itself has listened, in seconds after the start.
    :param attach: Whether the session is there at once.
    """

    def __init__(
        self,
        plan: ConversationPlan = PLAN,
        *,
        seconds: float = 600,
        entries: Sequence[TimelineEntry] = (),
        heard_until: float | None = None,
        attach: bool = True,
        tools: Any = None,
        **others: Any,
    ) -> None:
        self.now = START + timedelta(seconds=others.pop("passed", 0))
        self.plan = plan
        self.done: list[Effect] = []
        self._tools = tuple(offered_tools(plan)) if tools is None else tools
        self._responses = 0
        self.rules = ConversationRules(
            plan,
            hangup_at=START + timedelta(seconds=seconds),
            now=self.now,
            began_at=START,
            summary=Summary.of(entries, None if heard_until is None else START + timedelta(seconds=heard_until)),
            **others,
        )
        if attach:
            self.attach()

    def hear(self, *heard: events.SidebandEvent) -> list[Effect]:
        """Events come; returns what is wanted done because of them."""
        wanted = [effect for event in heard for effect in self.rules.heard(event, self.now)]
        self.done += wanted
        return wanted

    def attach(self) -> list[Effect]:
        """The session is there."""
        session = {"model": "gpt-realtime-2.1", "tools": list(self._tools)}
        return self.hear(events.SessionCreated("sess_1", None, self._tools, session))

    def detach(self) -> list[Effect]:
        """The socket broke."""
        wanted = self.rules.detached(self.now)
        self.done += wanted
        return wanted

    def end(self) -> End:
        """The call is over; returns what is known about its end."""
        wanted, end = self.rules.ended(self.now)
        self.done += wanted
        return end

    def answer(self, tool_call_id: str, answer: ToolAnswer | None = None) -> list[Effect]:
        """A tool has answered."""
        wanted = self.rules.answered(tool_call_id, answer or ToolAnswer("ok", "42"), self.now)
        self.done += wanted
        return wanted

    def wait(self, seconds: float) -> list[Effect]:
        """Time passes; the rules are woken whenever they want to be."""
        until, wanted = self.now + timedelta(seconds=seconds), list[Effect]()
        while (at := self.rules.wakes_at()) is not None and at <= until:
            self.now = max(self.now, at)
            wanted += self.rules.woken(self.now)
        self.now = until
        self.done += wanted
        return wanted

    def begin(self, response_id: str | None = None, purpose: str | None = None) -> str:
        """The model begins a response; ours when it has a purpose."""
        self._responses += 1
        response_id = response_id or f"resp_{self._responses}"
        self.hear(events.ResponseStarted(response_id, {"purpose": purpose} if purpose else {}))
        return response_id

    def finish(
        self, response_id: str, *calls: events.FunctionCall, status: str = "completed", **others: Any
    ) -> list[Effect]:
        """The response is made."""
        fields = {"reason": None, "error_message": None, "usage": None, "metadata": {}, **others}
        return self.hear(events.ResponseDone(response_id, status, function_calls=tuple(calls), **fields))

    def speak(self, text: str = "Hello.", purpose: str | None = None, *, heard: bool = True) -> str:
        """The model says something; unless told otherwise it is heard to its end."""
        response_id = self.begin(purpose=purpose)
        self.hear(events.AudioStarted(response_id), events.AgentSaid(f"item_{response_id}", response_id, text))
        self.finish(response_id)
        if heard:
            self.hear(events.AudioStopped(response_id))
        return response_id

    def call_tools(self, *calls: events.FunctionCall) -> list[Effect]:
        """The model calls tools, without a word."""
        return self.finish(self.begin(), *calls)

    def sent(self, kind: str | None = None) -> list[Any]:
        """The commands so far; of one type."""
        commands = [effect.command for effect in self.done if isinstance(effect, Send)]
        return [command for command in commands if kind in (None, command["type"])]

    def asked(self) -> list[str]:
        """The purposes of the responses asked for so far."""
        return [command["response"]["metadata"]["purpose"] for command in self.sent("response.create")]

    def outputs(self) -> dict[str, str]:
        """The answers that the model got, by tool call."""
        items = [command["item"] for command in self.sent("conversation.item.create")]
        return {item["call_id"]: item["output"] for item in items}

    def kept(self, kind: str | None = None) -> list[TimelineEntry]:
        """The entries so far; of one kind."""
        entries = [effect.entry for effect in self.done if isinstance(effect, Keep)]
        return [entry for entry in entries if kind in (None, entry.kind)]

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The effects of one kind so far."""
        return [effect for effect in self.done if isinstance(effect, kind)]

    @property
    def hung_up(self) -> list[str]:
        """Why it was hung up."""
        return [effect.why for effect in self.of(HangUp)]


def call(name: str, tool_call_id: str = "call_1", **arguments: Any) -> events.FunctionCall:
    """A tool call."""
    return events.FunctionCall(tool_call_id, name, json.dumps(arguments), None, "completed")


def error(code: str | None, event_id: str | None = None) -> events.SessionError:
    """An error of the session."""
    return events.SessionError(code, "invalid_request_error", "It is wrong.", None, event_id)
