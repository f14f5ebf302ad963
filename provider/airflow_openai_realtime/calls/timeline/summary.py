"""
The summary of a timeline.

The result of a call is a function of its timeline. The same code summarizes the live call, and the saved entries when
another process takes the call over, so nothing is counted twice or in two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import UNKNOWN, TimelineEntry
from airflow_openai_realtime.calls.timeline.usage import Usage, usage_and_cost
from airflow_openai_realtime.states import TRANSFER_CALL, EntryKind, Note


@dataclass
class Gaps:
    """
    Times in which no process listened.

    A process that attaches reports the gap before it, as far as it knows. Two processes that attach after the same
    loss, such as the switchboard and another triggerer, report the same time: it counts once. Time in which the
    switchboard listened does not count.

    :param heard_until: Until when the switchboard itself has listened, aware; ``None``: it has not.
    """

    heard_until: datetime | None = None
    _unheard: list[tuple[datetime, datetime, str | None]] = field(default_factory=list)
    _stands_by_since: datetime | None = None
    _held_at: list[datetime] = field(default_factory=list)

    def attached(self, at: datetime, gap_seconds: float, lease: str | None = None) -> None:
        """
        Record that a process has begun to listen.

        :param at: Since when, aware.
        :param gap_seconds: Length of the gap before, in seconds, 0 or more.
        :param lease: Lease of the switchboard that listens; ``None``: the owner of the conversation listens.
        """
        self.unheard(at - timedelta(seconds=gap_seconds), at, lease)
        if lease is None:
            self._held_at.append(at)
        elif self._stands_by_since is None or at > self._stands_by_since:
            self._stands_by_since = at

    def unheard(self, since: datetime, until: datetime, lease: str | None = None) -> None:
        """
        Record a gap.

        :param since: When it began, aware.
        :param until: When it ended, aware.
        :param lease: Lease of the switchboard that reports it; ``None``: the owner of the conversation.
        """
        if until > since:
            self._unheard.append((since, until, lease))

    def not_missed(self, at: datetime, lease: str) -> None:
        """
        Withdraw the gaps reported under a lease: the owner was there, so the switchboard has stopped listening.

        :param at: When it stopped, aware.
        :param lease: Lease of the switchboard.
        """
        self._unheard = [each for each in self._unheard if each[2] != lease]
        self._held_at.append(at)

    def heard(self, until: datetime | None) -> None:
        """
        Record until when the switchboard has listened.

        :param until: The time, aware; ``None`` changes nothing.
        """
        if until is not None and (self.heard_until is None or until > self.heard_until):
            self.heard_until = until

    @property
    def seconds(self) -> float:
        """Longest possible time in which no process listened, in seconds."""
        total, counted_until = timedelta(), None
        for since, until in sorted(self._parts()):
            begins = since if counted_until is None else max(since, counted_until)
            if until > begins:
                total += until - begins
                counted_until = until
        return total.total_seconds()

    def _parts(self) -> Iterator[tuple[datetime, datetime]]:
        """Yield the gaps without the time in which the switchboard listened; a part may end before it begins."""
        heard_since, heard_until = self._stands_by_since, self.heard_until
        for since, until, _ in self._unheard:
            if heard_since is None or heard_until is None or heard_until <= heard_since:
                yield since, until
            else:
                # After that an owner listened again, and has reported gaps itself.
                stood_by_until = min([heard_until, *(at for at in self._held_at if at > heard_since)])
                yield since, min(until, heard_since)
                yield max(since, stood_by_until), until


MOST_ERRORS = 10
#: Status of a tool that the model called and no process began.
NOT_RUN = "not_run"


@dataclass
class ToolTrace:
    """
    What is known about one tool call.

    :param tool_call_id: OpenAI's id of the tool call.
    :param name: Name of the tool.
    :param began_at: When it was begun, or called if it was not begun; aware.
    :param arguments: Arguments as the model sent them, untrusted.
    :param status: ``unknown`` until there is a result, then the status of the result.
    :param output: What was sent back to the model; ``None``: nothing.
    :param ended_at: When it ended, aware; ``None``: it has not, as far as is known.
    """

    tool_call_id: str
    name: str
    began_at: datetime
    arguments: str = ""
    status: str = UNKNOWN
    output: str | None = None
    ended_at: datetime | None = None


@dataclass
class Summary:
    """
    The summary of a timeline. Times are aware.

    :param caller_turns: How often the caller spoke.
    :param agent_turns: How often the model spoke.
    :param asked: Tools that the model called while only the switchboard listened, by tool call id; some may have been
        begun since.
    :param tools: Tools that were begun, by tool call id.
    :param usage: Tokens that were used.
    :param errors: The first ten errors, with ``code`` and ``message``.
    :param result: What the model recorded, a JSON value.
    :param result_valid: Whether it fits the schema; ``None``: nothing was recorded.
    :param result_problems: Problems of an invalid record.
    :param transfer: Name of the target of a requested transfer.
    :param ending: Why an owner was about to hang up.
    :param attachments: How often a process attached to the call, the switchboard included.
    :param gaps: Times in which no process listened.
    :param model: Name of the realtime model.
    :param transcription_model: Name of the model that transcribed the caller.
    :param is_greeted: Whether the greeting was requested.
    :param last_caller_at: When the caller last spoke.
    :param last_agent_at: When the model last spoke.
    :param last_at: Time of the latest entry.
    :param ending_at: When an owner was about to hang up.
    :param keys: Keys of all entries.
    """

    caller_turns: int = 0
    agent_turns: int = 0
    asked: dict[str, ToolTrace] = field(default_factory=dict)
    tools: dict[str, ToolTrace] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    errors: list[dict[str, Any]] = field(default_factory=list)
    result: Any = None
    result_valid: bool | None = None
    result_problems: tuple[str, ...] = ()
    transfer: str | None = None
    ending: str | None = None
    attachments: int = 0
    gaps: Gaps = field(default_factory=Gaps)
    model: str | None = None
    transcription_model: str | None = None
    is_greeted: bool = False
    last_caller_at: datetime | None = None
    last_agent_at: datetime | None = None
    last_at: datetime | None = None
    ending_at: datetime | None = None
    keys: set[str] = field(default_factory=set)
    _pressed: list[tuple[datetime, str]] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[TimelineEntry], heard_until: datetime | None = None) -> Summary:
        """
        Summarize a timeline.

        :param entries: The timeline.
        :param heard_until: Until when the switchboard itself has listened; ``None``: it has not.
        """
        summary = cls()
        summary.merge(entries, heard_until)
        return summary

    @property
    def pressed(self) -> list[str]:
        """Phone keys in the order in which they were pressed."""
        return [key for _, key in sorted(self._pressed, key=lambda each: each[0])]

    @property
    def went_on(self) -> bool:
        """Whether the caller spoke after an owner was about to hang up."""
        return self.ending_at is not None and self.last_caller_at is not None and self.last_caller_at > self.ending_at

    @property
    def may_be_transferred(self) -> bool:
        """Whether a transfer was requested, or may have been."""
        begun = (trace for trace in self.tools.values() if trace.name == TRANSFER_CALL and trace.status == UNKNOWN)
        return self.transfer is not None or any(begun)

    @property
    def gap_seconds(self) -> float:
        """Longest possible time in which no process listened, in seconds."""
        return self.gaps.seconds

    @property
    def last_heard_at(self) -> datetime | None:
        """Last time at which a process certainly listened."""
        return max((at for at in (self.last_at, self.gaps.heard_until) if at is not None), default=None)

    def to_result(self, prices: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
        """
        Return what the result of the call says of its timeline, by the names of ``CallResult``.

        :param prices: Prices of the user, from :func:`~airflow_openai_realtime.calls.timeline.usage.check_prices`.
        """
        tools = (*self.tools.values(), *self.never_begun())
        return {
            "result": self.result,
            "result_valid": self.result_valid,
            "result_problems": self.result_problems,
            "turns": {"caller": self.caller_turns, "agent": self.agent_turns},
            "keys": "".join(self.pressed),
            "tools": tuple({"name": tool.name, "status": tool.status} for tool in tools),
            "transfer": self.transfer,
            **usage_and_cost(self.usage, self.model, transcription_model=self.transcription_model, prices=prices),
            "errors": tuple(self.errors),
            "gap_seconds": round(self.gap_seconds, 3),
        }

    def never_begun(self) -> list[ToolTrace]:
        """Return the tools that the model called and no process began."""
        return [trace for tool_call_id, trace in self.asked.items() if tool_call_id not in self.tools]

    def merge(self, entries: Iterable[TimelineEntry], heard_until: datetime | None = None) -> None:
        """
        Add entries of other processes.

        :param entries: A timeline; entries that are already there change nothing.
        :param heard_until: Until when the switchboard itself has listened.
        """
        for entry in entries:
            self.add(entry)
        self.gaps.heard(heard_until)

    def add(self, entry: TimelineEntry) -> bool:
        """
        Add an entry.

        :param entry: The entry.
        :return: Whether it is new; an entry that is already there changes nothing.
        """
        if entry.key in self.keys:
            return False
        self.keys.add(entry.key)
        self.last_at = max(entry.at, self.last_at) if self.last_at else entry.at
        _ADDERS[entry.kind](self, entry)
        return True


def _add_caller(summary: Summary, entry: TimelineEntry) -> None:
    summary.caller_turns += 1
    summary.last_caller_at = max(entry.at, summary.last_caller_at) if summary.last_caller_at else entry.at


def _add_agent(summary: Summary, entry: TimelineEntry) -> None:
    summary.agent_turns += 1
    summary.last_agent_at = max(entry.at, summary.last_agent_at) if summary.last_agent_at else entry.at


def _add_key(summary: Summary, entry: TimelineEntry) -> None:
    summary._pressed.append((entry.at, str(entry.body.get("key", ""))))


def _add_tool_call(summary: Summary, entry: TimelineEntry) -> None:
    tool_call_id = str(entry.body.get("tool_call_id"))
    trace = ToolTrace(tool_call_id, str(entry.body.get("name")), entry.at, str(entry.body.get("arguments") or ""))
    summary.tools.setdefault(tool_call_id, trace)


def _add_tool_result(summary: Summary, entry: TimelineEntry) -> None:
    body = entry.body
    tool_call_id = str(body.get("tool_call_id"))
    trace = summary.tools.setdefault(tool_call_id, ToolTrace(tool_call_id, str(body.get("name")), entry.at))
    trace.status, trace.output, trace.ended_at = str(body.get("status")), body.get("output"), entry.at
    if body.get("target") is not None:
        summary.transfer = str(body["target"])
    # An invalid record never replaces a valid one.
    if "value" in body and not (summary.result_valid and not body.get("valid")):
        summary.result, summary.result_valid = body["value"], bool(body.get("valid"))
        summary.result_problems = tuple(str(problem) for problem in body.get("problems") or ())


def _add_usage(summary: Summary, entry: TimelineEntry) -> None:
    sent = entry.body.get("usage")
    if isinstance(sent, Mapping):
        is_response = entry.body.get("of") == "response"
        summary.usage = summary.usage.with_response(sent) if is_response else summary.usage.with_transcription(sent)


def _add_error(summary: Summary, entry: TimelineEntry) -> None:
    if len(summary.errors) < MOST_ERRORS:
        summary.errors.append({name: entry.body.get(name) for name in ("code", "message")})


def _add_note(summary: Summary, entry: TimelineEntry) -> None:
    body = entry.body
    what = body.get("what")
    if what == Note.GREETED:
        summary.is_greeted = True
    elif what == Note.ASKED:
        tool_call_id = str(body.get("tool_call_id"))
        name, arguments = str(body.get("name")), str(body.get("arguments") or "")
        summary.asked.setdefault(tool_call_id, ToolTrace(tool_call_id, name, entry.at, arguments, NOT_RUN))
    elif what == Note.ENDING:
        summary.ending, summary.ending_at = str(body.get("why")), entry.at
    elif what == Note.STOOD_DOWN:
        summary.gaps.not_missed(entry.at, str(body.get("lease")))
    elif what in (Note.ATTACHED, Note.STOOD_BY):
        summary.attachments += 1
        lease = str(body.get("lease")) if what == Note.STOOD_BY else None
        summary.gaps.attached(entry.at, float(body.get("gap_seconds") or 0.0), lease)
        summary.model = body.get("model") or summary.model
        summary.transcription_model = body.get("transcription_model") or summary.transcription_model


_ADDERS: Mapping[str, Callable[[Summary, TimelineEntry], None]] = {
    EntryKind.CALLER: _add_caller,
    EntryKind.AGENT: _add_agent,
    EntryKind.KEY: _add_key,
    EntryKind.TOOL_CALL: _add_tool_call,
    EntryKind.TOOL_RESULT: _add_tool_result,
    EntryKind.USAGE: _add_usage,
    EntryKind.ERROR: _add_error,
    EntryKind.NOTE: _add_note,
}
