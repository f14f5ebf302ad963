"""
A page of recent calls with what became of them: live ones first, then the newest. Values that travel as JSON; pure.

The pages of several lines, also of several switchboards, can be merged: their order and their cursors are the same.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.api.instants import instant_text, read_instant
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.conversations import Conversation
from airflow_openai_realtime.switchboard.records import SwitchboardCall

MOST_RECENT = 500
"""Of calls on one page, not counting the live ones."""

MOST_LIVE = 1000

_LONGEST_CURSOR = 2000


@dataclass(frozen=True)
class ConversationSummary:
    """
    A conversation without what was said.

    :param holder: Who opened it last.
    :param opened_at: When it was opened first.
    :param finished_at: When its outcome was written; ``None``: it goes on, or its holder died.
    :param outcome: How it ended.
    :param entry_count: How long its timeline is.
    """

    holder: str
    opened_at: datetime
    saved_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    entry_count: int = 0

    @classmethod
    def of(cls, conversation: Conversation) -> ConversationSummary:
        """A conversation's summary."""
        names = {each.name for each in fields(cls)} - {"entry_count"}
        given = {name: getattr(conversation, name) for name in names}
        return cls(**given, entry_count=len(conversation.entries))


@dataclass(frozen=True)
class RecentCall:
    """
    A call, and its conversation if there is one.

    :param call: The call as it is now.
    :param conversation: ``None``: nobody has attached to it.
    """

    call: SwitchboardCall
    conversation: ConversationSummary | None = None

    @property
    def place(self) -> Place:
        """Where it stands among all calls."""
        return Place(self.call.received_at, self.call.line, self.call.call_id)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        summary = None
        if self.conversation is not None:
            values = {each.name: getattr(self.conversation, each.name) for each in fields(self.conversation)}
            summary = {name: _shown(value) for name, value in values.items()}
        return {"call": self.call.to_dict(), "conversation": summary}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RecentCall:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        call, summary = SwitchboardCall.from_dict(value["call"]), value.get("conversation")
        if summary is None:
            return cls(call)
        known = {each.name for each in fields(ConversationSummary)}
        given = {key: item for key, item in summary.items() if key in known}
        instants = {key: read_instant(key, item) for key, item in given.items() if key.endswith("_at")}
        try:
            return cls(call, ConversationSummary(**{**given, **instants}))
        except TypeError as error:
            raise InvalidInput(f"this is no conversation: {error}", field="conversation") from error


@dataclass(frozen=True, order=True)
class Place:
    """
    A call's place in the order of all calls, from which older ones can be asked for. Clients see it as opaque text.

    :param received_at: When the call was stored.
    """

    received_at: datetime
    line: str
    call_id: str

    def __str__(self) -> str:
        text = json.dumps([self.received_at.timestamp(), self.line, self.call_id])
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Place:
        """
        Read what a client brings back.

        :raises InvalidInput: It was not made by a switchboard.
        """
        try:
            if len(text) > _LONGEST_CURSOR:
                raise ValueError
            at, line, call_id = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
            if not (isinstance(at, float) and _is_plain(line) and _is_plain(call_id)):
                raise ValueError
            return cls(datetime.fromtimestamp(at, timezone.utc), line, call_id)
        except (ValueError, TypeError, OverflowError, OSError, binascii.Error, RecursionError):
            raise InvalidInput("before must be a cursor from an earlier answer, unchanged", field="before") from None


@dataclass(frozen=True)
class RecentPage:
    """
    Some calls.

    :param calls: Live ones first, and among those and the others the newest first.
    :param next: Where older ones can be asked for; ``None``: there are no older ones.
    """

    calls: tuple[RecentCall, ...]
    next: Place | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {
            "calls": [call.to_dict() for call in self.calls],
            "next": None if self.next is None else str(self.next),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RecentPage:
        """
        Read what :meth:`to_dict` wrote.

        :raises InvalidInput: A call or the cursor cannot be read.
        """
        after = value.get("next")
        calls = tuple(RecentCall.from_dict(call) for call in value["calls"])
        return cls(calls, None if after is None else Place.parse(str(after)))


def merged(pages: Iterable[RecentPage], limit: int) -> RecentPage:
    """
    Pages of several lines as one.

    :param limit: How many calls that are over it has at most.
    """
    found = list(pages)
    calls = sorted((call for page in found for call in page.calls), key=lambda call: call.place, reverse=True)
    live = [call for call in calls if not call.call.is_over]
    over = [call for call in calls if call.call.is_over]
    # Where a page ends, the others may not go on alone: what lies between would be stepped over.
    ends = [page.next for page in found if page.next is not None]
    if ends:
        over = [call for call in over if call.place >= max(ends)]
    shown = over[:limit]
    if len(over) > limit:
        return RecentPage((*live, *shown), shown[-1].place)
    return RecentPage((*live, *shown), max(ends) if ends else None)


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and text.isprintable() and text.isascii()


def _shown(value: Any) -> Any:
    return instant_text(value) if isinstance(value, datetime) else value
