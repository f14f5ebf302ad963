"""
What a timeline adds up to.

What a call came to is a function of its timeline. The same sum runs while the call goes on and over the saved entries
when somebody else takes it over, so nothing is counted twice or in two ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_openai_realtime.timeline.entries import (
    AGENT,
    ATTACHED,
    CALLER,
    ERROR,
    GREETED,
    KEY,
    NOTE,
    TOOL_CALL,
    TOOL_RESULT,
    UNKNOWN,
    USAGE,
    TimelineEntry,
)
from airflow_openai_realtime.timeline.usage import Usage

MOST_ERRORS = 10


@dataclass
class ToolTrace:
    """What is known of one tool call."""

    tool_call_id: str
    name: str
    began_at: datetime
    arguments: str = ""
    status: str = UNKNOWN
    output: str | None = None
    ended_at: datetime | None = None


@dataclass
class Tally:
    """What a timeline adds up to."""

    caller_turns: int = 0
    agent_turns: int = 0
    pressed: list[str] = field(default_factory=list)
    tools: dict[str, ToolTrace] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    errors: list[dict[str, Any]] = field(default_factory=list)
    result: Any = None
    result_valid: bool | None = None
    result_problems: tuple[str, ...] = ()
    transfer: str | None = None
    attachments: int = 0
    gap_seconds: float = 0.0
    model: str | None = None
    transcription_model: str | None = None
    is_greeted: bool = False
    last_agent_at: datetime | None = None
    last_at: datetime | None = None
    keys: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, entries: Iterable[TimelineEntry]) -> Tally:
        """Add up a timeline."""
        tally = cls()
        for entry in entries:
            tally.add(entry)
        return tally

    def add(self, entry: TimelineEntry) -> bool:
        """
        Add an entry.

        :return: Whether it is new; one that is there already changes nothing.
        """
        if entry.key in self.keys:
            return False
        self.keys.add(entry.key)
        self.last_at = max(entry.at, self.last_at) if self.last_at else entry.at
        _ADDERS[entry.kind](self, entry)
        return True


def _add_caller(tally: Tally, entry: TimelineEntry) -> None:
    tally.caller_turns += 1


def _add_agent(tally: Tally, entry: TimelineEntry) -> None:
    tally.agent_turns += 1
    tally.last_agent_at = entry.at


def _add_key(tally: Tally, entry: TimelineEntry) -> None:
    tally.pressed.append(str(entry.body.get("key", "")))


def _add_tool_call(tally: Tally, entry: TimelineEntry) -> None:
    tool_call_id = str(entry.body.get("tool_call_id"))
    trace = ToolTrace(tool_call_id, str(entry.body.get("name")), entry.at, str(entry.body.get("arguments") or ""))
    tally.tools.setdefault(tool_call_id, trace)


def _add_tool_result(tally: Tally, entry: TimelineEntry) -> None:
    body = entry.body
    tool_call_id = str(body.get("tool_call_id"))
    trace = tally.tools.setdefault(tool_call_id, ToolTrace(tool_call_id, str(body.get("name")), entry.at))
    trace.status, trace.output, trace.ended_at = str(body.get("status")), body.get("output"), entry.at
    if body.get("target") is not None:
        tally.transfer = str(body["target"])
    # A record that is right is never replaced by a wrong one.
    if "value" in body and not (tally.result_valid and not body.get("valid")):
        tally.result, tally.result_valid = body["value"], bool(body.get("valid"))
        tally.result_problems = tuple(str(problem) for problem in body.get("problems") or ())


def _add_usage(tally: Tally, entry: TimelineEntry) -> None:
    sent = entry.body.get("usage")
    if isinstance(sent, Mapping):
        is_response = entry.body.get("of") == "response"
        tally.usage = tally.usage.with_response(sent) if is_response else tally.usage.with_transcription(sent)


def _add_error(tally: Tally, entry: TimelineEntry) -> None:
    if len(tally.errors) < MOST_ERRORS:
        tally.errors.append({name: entry.body.get(name) for name in ("code", "message")})


def _add_note(tally: Tally, entry: TimelineEntry) -> None:
    body = entry.body
    if body.get("what") == GREETED:
        tally.is_greeted = True
    elif body.get("what") == ATTACHED:
        tally.attachments += 1
        tally.gap_seconds += float(body.get("gap_seconds") or 0.0)
        tally.model = body.get("model") or tally.model
        tally.transcription_model = body.get("transcription_model") or tally.transcription_model


_ADDERS = {
    CALLER: _add_caller,
    AGENT: _add_agent,
    KEY: _add_key,
    TOOL_CALL: _add_tool_call,
    TOOL_RESULT: _add_tool_result,
    USAGE: _add_usage,
    ERROR: _add_error,
    NOTE: _add_note,
}
