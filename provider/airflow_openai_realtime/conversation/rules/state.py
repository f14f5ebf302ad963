"""The state that the rules of a conversation share, and the effects that they request."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.api.sideband.commands import function_output
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.effects import Effect, Keep, Refer, Report, Send
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.turn_taking import TurnTaking
from airflow_openai_realtime.states import EntryKind

#: After so many entries, further speech is counted but not stored.
MOST_KEPT_ENTRIES = 4_500
_TALK = (EntryKind.CALLER, EntryKind.AGENT, EntryKind.USAGE)


class QuietClock:
    """
    Sums silence until the caller or the model speaks unprompted.

    Speech that silence itself triggers (the model asking whether the caller is still there) stops the clock, but does
    not reset it.

    :param limit_seconds: Longest silence in seconds, above 0; ``None``: no limit.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        self._limit = None if limit_seconds is None else timedelta(seconds=limit_seconds)
        self._since: datetime | None = None
        self._before = timedelta()

    def set(self, is_quiet: bool, now: datetime) -> None:
        """
        Record whether it is quiet from now on.

        :param is_quiet: Whether it is quiet.
        :param now: Current time, aware.
        """
        if is_quiet and self._since is None:
            self._since = now
        elif not is_quiet and self._since is not None:
            self._before += max(timedelta(), now - self._since)
            self._since = None

    def start_again(self, now: datetime) -> None:
        """
        Reset the sum: the caller or the model spoke.

        :param now: Current time, aware.
        """
        self._before = timedelta()
        if self._since is not None:
            self._since = now

    @property
    def ends_at(self) -> datetime | None:
        """When the silence will reach its limit; ``None`` while it is not quiet, or without a limit."""
        if self._limit is None or self._since is None:
            return None
        return self._since + self._limit - self._before


#: Outputs sent at most so many seconds before the socket broke may not have arrived.
UNSURE_SECONDS = 2.0
_KEPT_OUTPUTS = 8


class ToolRounds:
    """Tracks the running tools and their outputs."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._is_reply_due = False
        self._sent: deque[tuple[datetime, dict[str, Any]]] = deque(maxlen=_KEPT_OUTPUTS)
        self._unsent: list[dict[str, Any]] = []
        self._number = 0

    @property
    def is_running(self) -> bool:
        """Whether a tool runs."""
        return bool(self._running)

    def begin(self, tool_call_id: str) -> None:
        """
        Record that a tool runs.

        :param tool_call_id: OpenAI's id of the tool call.
        """
        self._running.add(tool_call_id)

    def end(self, tool_call_id: str, *, is_reply_due: bool) -> None:
        """
        Record that a tool has finished.

        :param tool_call_id: OpenAI's id of the tool call.
        :param is_reply_due: Whether the model should respond to it.
        """
        self._running.discard(tool_call_id)
        self._is_reply_due = self._is_reply_due or is_reply_due

    def take_reply(self) -> bool:
        """Return whether to ask the model for a response now; True once for each round."""
        is_due = self._is_reply_due and not self._running
        if is_due:
            self._is_reply_due = False
        return is_due

    def output(self, tool_call_id: str, output: str, now: datetime, *, is_attached: bool) -> dict[str, Any] | None:
        """
        Make the command that sends a tool's output to the model.

        :param tool_call_id: OpenAI's id of the tool call.
        :param output: The output.
        :param now: Current time, aware.
        :param is_attached: Whether the socket is open; without it the output is kept for :meth:`left_over`.
        :return: ``None`` when the output has to wait for the socket.
        """
        self._number += 1
        command = {**function_output(tool_call_id, output), "event_id": f"output_{self._number}"}
        if not is_attached:
            self._unsent.append(command)
            return None
        self._sent.append((now, command))
        return command

    def left_over(self, broke_at: datetime | None, now: datetime) -> list[dict[str, Any]]:
        """
        Return the outputs to send now that the socket is open (again).

        Outputs that may have arrived are sent again: at worst OpenAI rejects them, while a model that waits for an
        output stays silent.

        :param broke_at: When the previous socket broke, aware; ``None``: there was none.
        :param now: Current time, aware.
        """
        unsure = timedelta(seconds=UNSURE_SECONDS)
        doubtful = [command for at, command in self._sent if broke_at is not None and at + unsure >= broke_at]
        again = [{**command, "event_id": f"again_{command['event_id']}"} for command in doubtful]
        commands = [*again, *self._unsent]
        self._sent.extend((now, command) for command in self._unsent)
        self._unsent.clear()
        self._is_reply_due = self._is_reply_due or bool(commands)
        return commands


@dataclass(frozen=True)
class LastWords:
    """
    A hang-up or transfer that waits until the caller has heard the model's last words.

    :param why: Reason for the hang-up, or ``transfer_call``.
    :param until: When it happens at the latest, aware.
    :param refer: The transfer; ``None`` for a hang-up.
    """

    why: str
    until: datetime
    refer: Refer | None = None


@dataclass
class ConversationState:
    """
    The state of one conversation. Times are aware.

    :param plan: Plan of the conversation.
    :param deadline: When to hang up in any case.
    :param goodbye_at: When to say goodbye; ``None``: no goodbye, or already said.
    :param summary: Summary of the timeline.
    :param quiet: Measures silence.
    :param turns: Turns of the model and the caller.
    :param tools: Tools that run, and outputs to send.
    :param is_live: Whether the session was seen on the current socket.
    :param ending: The hang-up that waits for the last words; ``None``: none.
    :param transfer: The transfer that waits for the last words; ``None``: none.
    :param hung_up_for: Reason for which we hang up; ``None``: we do not hang up.
    :param effects: Requested effects that were not taken yet.
    """

    plan: ConversationPlan
    deadline: datetime
    goodbye_at: datetime | None
    summary: Summary
    quiet: QuietClock
    turns: TurnTaking = field(default_factory=TurnTaking)
    tools: ToolRounds = field(default_factory=ToolRounds)
    is_live: bool = False
    ending: LastWords | None = None
    transfer: LastWords | None = None
    hung_up_for: str | None = None
    effects: list[Effect] = field(default_factory=list)

    @property
    def is_ending(self) -> bool:
        """Whether the call is about to be hung up or transferred."""
        return self.ending is not None or self.transfer is not None or self.hung_up_for is not None

    def send(self, command: Mapping[str, Any], *, event_id: str | None = None, after: str | None = None) -> None:
        """
        Request that a command be sent.

        :param command: The command, a JSON object.
        :param event_id: Id that an error for this command will name; ``None``: none.
        :param after: Key of a timeline entry to save first; ``None``: none.
        """
        self.effects.append(Send({**command, "event_id": event_id} if event_id else command, after))

    def report(self, line: str) -> None:
        """
        Request a log line.

        :param line: The line, without personal data.
        """
        self.effects.append(Report(line))

    def keep(self, entry: TimelineEntry, *, at_once: bool = False) -> bool:
        """
        Add an entry to the timeline.

        :param entry: The entry.
        :param at_once: Whether to save it now instead of with the next regular save.
        :return: Whether it is new.
        """
        if not self.summary.add(entry):
            return False
        if entry.kind not in _TALK or len(self.summary.keys) <= MOST_KEPT_ENTRIES:
            self.effects.append(Keep(entry, at_once))
        return True

    def take_effects(self) -> list[Effect]:
        """Return the requested effects and clear them."""
        effects, self.effects = self.effects, []
        return effects
