"""Effects: what the rules of a conversation request, as values that the runner of the call executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec


@dataclass(frozen=True)
class Send:
    """
    Send a command on the sideband; commands are sent in order.

    :param command: The command, a JSON object.
    :param after: Key of a timeline entry to save first; the command is sent anyway if saving takes too long.
    """

    command: Mapping[str, Any] = field(repr=False)
    after: str | None = None


@dataclass(frozen=True)
class Keep:
    """
    Save an entry of the timeline.

    :param entry: The entry.
    :param at_once: Whether to save it now instead of with the next regular save.
    """

    entry: TimelineEntry
    at_once: bool = False


@dataclass(frozen=True)
class RunFunction:
    """
    Run a function of a DAG author. Its tool call must be saved first, so that it never runs twice.

    :param tool_call_id: OpenAI's id of the tool call.
    :param spec: The function.
    :param arguments: JSON text from the model, untrusted.
    """

    tool_call_id: str
    spec: FunctionSpec
    arguments: str = field(repr=False)


@dataclass(frozen=True)
class CheckResult:
    """
    Check what the model recorded.

    :param tool_call_id: OpenAI's id of the tool call.
    :param arguments: JSON text from the model, untrusted.
    """

    tool_call_id: str
    arguments: str = field(repr=False)


@dataclass(frozen=True)
class Refer:
    """
    Request a transfer. Its tool call must be saved first, so that it is never requested twice.

    :param tool_call_id: OpenAI's id of the tool call.
    :param target: Name of the target.
    :param target_uri: ``tel:`` or ``sip:`` URI of the target.
    """

    tool_call_id: str
    target: str
    target_uri: str = field(repr=False)


@dataclass(frozen=True)
class HangUp:
    """
    Hang up. Nothing is sent afterwards.

    :param why: ``end_call``, ``silence`` or ``max_duration``.
    :param after: Key of a timeline entry to save first; the call is hung up anyway if saving takes too long. A runner
        that has been replaced learns so from the save, and does not hang up.
    """

    why: str
    after: str | None = None


@dataclass(frozen=True)
class ResyncTools:
    """Read the timeline again soon: the switchboard may have listened until now and may still write what it heard."""


@dataclass(frozen=True)
class Report:
    """
    Write a line to the log of the runner.

    :param line: The line, without personal data.
    """

    line: str


Effect = Send | Keep | RunFunction | CheckResult | Refer | HangUp | ResyncTools | Report


@dataclass(frozen=True)
class ToolAnswer:
    """
    The answer of a tool.

    :param status: ``ok, failed, timed_out, bad_arguments, unusable, invalid, requested, not_run`` or ``unknown``.
    :param output: Text for the model.
    :param log: Line for the log, without personal data; empty: none.
    :param detail: Further fields of the timeline entry, JSON values.
    """

    status: str
    output: str = field(repr=False)
    log: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict, repr=False)
