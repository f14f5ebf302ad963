"""What the rules of a conversation know and share, and what they want done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.effects import Effect, Keep, Refer, Report, Send
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.quiet_clock import QuietClock
from airflow_openai_realtime.conversation.rules.tool_rounds import ToolRounds
from airflow_openai_realtime.conversation.rules.turn_taking import TurnTaking
from airflow_openai_realtime.states import EntryKind

#: Beyond so many entries what was said is counted, but not kept any more.
MOST_KEPT_ENTRIES = 4_500

_TALK = (EntryKind.CALLER, EntryKind.AGENT, EntryKind.USAGE)


@dataclass(frozen=True)
class LastWords:
    """
    Something that is done when the model has been heard to its end.

    :param why: Why the call is then hung up, or that it is transferred.
    :param until: When it is done at the latest.
    :param refer: The transfer.
    """

    why: str
    until: datetime
    refer: Refer | None = None


@dataclass
class ConversationState:
    """
    The state of one conversation.

    :param plan: What is to happen.
    :param deadline: When to hang up, whatever is going on.
    :param goodbye_at: When to say goodbye; ``None``: not, or not any more.
    :param summary: What the timeline adds up to.
    :param quiet: How long nobody has spoken.
    :param turns: Whose turn it is, and what is to be said.
    :param tools: Tools that were called and not yet answered.
    :param is_live: Whether the session is there.
    :param ending: The end of the call that waits for the last words to be heard.
    :param transfer: The transfer that waits for the last words to be heard.
    :param hung_up_for: Why we hang up; ``None``: we do not.
    :param effects: What is to be done, in order; the runner takes it from here.
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
        Want a command sent.

        :param command: Command of the sideband, without its id.
        :param event_id: Id that an error about it will name.
        :param after: Key of the entry that must be saved before it is sent.
        """
        self.effects.append(Send({**command, "event_id": event_id} if event_id else command, after))

    def report(self, line: str) -> None:
        """
        Want the log told; no personal data.

        :param line: Line for the log.
        """
        self.effects.append(Report(line))

    def keep(self, entry: TimelineEntry, *, at_once: bool = False) -> bool:
        """
        Put an entry on the timeline.

        :param entry: The entry.
        :param at_once: Whether it is saved without waiting for others.
        :return: Whether it is new.
        """
        if not self.summary.add(entry):
            return False
        if entry.kind not in _TALK or len(self.summary.keys) <= MOST_KEPT_ENTRIES:
            self.effects.append(Keep(entry, at_once))
        return True

    def take_effects(self) -> list[Effect]:
        """Return what is wanted, once."""
        effects, self.effects = self.effects, []
        return effects
