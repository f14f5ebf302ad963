"""What the rules of a conversation want done: values, carried out by whoever runs the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec


@dataclass(frozen=True)
class Send:
    """
    Send a command on the sideband, in the order in which they come.

    :param command: The command.
    :param after: Key of an entry that must be kept first, if that can be had soon.
    """

    command: Mapping[str, Any] = field(repr=False)
    after: str | None = None


@dataclass(frozen=True)
class Keep:
    """
    Save an entry of the timeline.

    :param entry: The entry.
    :param at_once: Whether it must not wait for the next time that progress is saved.
    """

    entry: TimelineEntry
    at_once: bool = False


@dataclass(frozen=True)
class RunFunction:
    """
    Run a function of a DAG author; its tool call must be saved before, so that it never runs twice.

    :param tool_call_id: The call of the function.
    :param spec: The function.
    :param arguments: As the model wrote them; untrusted.
    """

    tool_call_id: str
    spec: FunctionSpec
    arguments: str = field(repr=False)


@dataclass(frozen=True)
class CheckResult:
    """
    Check what the model recorded.

    :param tool_call_id: The call of the tool.
    :param arguments: As the model wrote them; untrusted.
    """

    tool_call_id: str
    arguments: str = field(repr=False)


@dataclass(frozen=True)
class Refer:
    """
    Ask for a transfer; its tool call must be saved before, so that it is never asked for twice.

    :param tool_call_id: The call of the tool.
    :param target: Name of the target.
    :param target_uri: Where to.
    """

    tool_call_id: str
    target: str
    target_uri: str = field(repr=False)


@dataclass(frozen=True)
class HangUp:
    """
    Hang up; nothing is sent any more.

    :param why: ``end_call``, ``silence`` or ``max_duration``.
    :param after: Key of an entry that must be saved first, if that can be had soon: who runs the call no more is told
        so by then, and leaves it alone.
    """

    why: str
    after: str | None = None


@dataclass(frozen=True)
class ResyncTools:
    """Read the timeline again soon: the switchboard may have listened until now, and have more to write."""


@dataclass(frozen=True)
class Report:
    """
    Tell the log of who runs the call.

    :param line: Without personal data.
    """

    line: str


Effect = Send | Keep | RunFunction | CheckResult | Refer | HangUp | ResyncTools | Report


@dataclass(frozen=True)
class ToolAnswer:
    """
    What a tool came to.

    :param status: ``ok, failed, timed_out, bad_arguments, unusable, invalid, requested, not_run`` or ``unknown``.
    :param output: What the model is told.
    :param log: What the log is told, without personal data; empty: nothing.
    :param detail: What is kept beside it on the timeline, of JSON values.
    """

    status: str
    output: str = field(repr=False)
    log: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict, repr=False)
