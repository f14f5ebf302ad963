"""The state that the rules of a conversation share, and the effects that they request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.effects import Effect, Keep, Refer, Report, Send
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.turn_taking import TurnTaking
from airflow_openai_realtime.states import EntryKind

#: After so many entries, further speech is counted but not stored.
MOST_KEPT_ENTRIES = 4_500
_TALK = (EntryKind.CALLER, EntryKind.AGENT, EntryKind.USAGE)


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
    :param turns: Turns of the model and the caller.
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
    turns: TurnTaking = field(default_factory=TurnTaking)
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

    def record(self, kind: str, at: datetime, *name: object, at_once: bool = False, **body: Any) -> str | None:
        """
        Make an entry and add it to the timeline.

        :param kind: An :class:`~airflow_openai_realtime.states.EntryKind`.
        :param at: When it happened, aware.
        :param name: Parts that make its key unique within the kind.
        :param at_once: Whether to save it now instead of with the next regular save.
        :param body: Details, JSON values, may be hostile; long texts are cut.
        :return: Its key; ``None`` when the timeline has an entry with this key already.
        """
        entry = entry_of(kind, at, *name, **body)
        return entry.key if self.keep(entry, at_once=at_once) else None

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
