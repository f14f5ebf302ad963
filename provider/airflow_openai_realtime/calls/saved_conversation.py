"""
The *conversation* of an accepted call as the switchboard stores it, with its *timeline*. JSON values; pure.

The process that runs the conversation is its owner, ``holder`` in the JSON. An owner opens the conversation and gets a
*generation*. When another owner opens it, for example because a triggerer died, the earlier owner can add nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.call import instant_text, read_instant
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import InvalidInput

MOST_RESULT_BYTES = 256 * 1024
LONGEST_OUTCOME = 64
LONGEST_PROCESS = 64

MOST_CONVERSATIONS_AT_ONCE = 200
"""Most conversations in one request that saves progress."""

_INSTANTS = ("opened_at", "saved_at", "finished_at", "heard_until")


@dataclass(frozen=True)
class Progress:
    """
    New entries of one conversation.

    :param call_id: OpenAI's id of the call.
    :param generation: Generation that opening the conversation returned, 1 or more.
    :param entries: New timeline entries in order; may be empty.
    :param given_up: Whether the owner gives the conversation up while its process goes on: the switchboard then
        listens at once.
    """

    call_id: str
    generation: int
    entries: tuple[TimelineEntry, ...] = field(default=(), repr=False)
    given_up: bool = False


@dataclass(frozen=True)
class Conversation:
    """
    What the switchboard stores of an accepted call. Times are aware, in UTC.

    :param call_id: OpenAI's id of the call.
    :param line: The line that it came in on.
    :param holder: Name of the owner that opened it last.
    :param generation: How often it was opened; only the owner of the last generation may add to it.
    :param opened_at: When it was opened first.
    :param saved_at: When something was last written.
    :param finished_at: When it was finished; ``None``: it goes on, or its owner died.
    :param outcome: How it ended, as the part that finished it reported.
    :param result: Result of the call, a JSON object.
    :param entries: The timeline, in the order in which it was written.
    :param heard_until: Until when the switchboard itself has listened, because the owner's process was silent;
        ``None``: it never has.
    """

    call_id: str
    line: str
    holder: str
    generation: int
    opened_at: datetime
    saved_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    result: Mapping[str, Any] | None = field(default=None, repr=False)
    entries: tuple[TimelineEntry, ...] = field(default=(), repr=False)
    heard_until: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether its outcome is stored; a finished conversation does not change."""
        return self.finished_at is not None

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        shown = {name: instant_text(value) if isinstance(value, datetime) else value for name, value in values.items()}
        result = None if self.result is None else dict(self.result)
        return {**shown, "result": result, "entries": [entry.to_dict() for entry in self.entries]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Conversation:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: JSON object.
        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        known = {each.name for each in fields(cls)}
        given: dict[str, Any] = {key: item for key, item in value.items() if key in known}
        given |= {key: read_instant(key, item) for key, item in given.items() if key in _INSTANTS}
        given["entries"] = tuple(TimelineEntry.from_dict(entry) for entry in value.get("entries") or ())
        try:
            return cls(**given)
        except TypeError as error:
            raise InvalidInput(f"not a conversation of the switchboard: {error}", field="conversation") from error
