"""
A page of recent calls with what became of them: live ones first, then the newest. Values that travel as JSON; pure.

Attempts to reach a person that did not become a call stand among the calls, each at the time when it was reserved.

The pages of several lines, also of several switchboards, can be merged: their order and their cursors are the same.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_openai_realtime.api.instants import instant_text, read_instant
from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import AttemptState

MOST_RECENT = 500
"""Of calls on one page, not counting the live ones."""

MOST_LIVE = 1000

UNDER_WAY_STATES = (AttemptState.DIALING, AttemptState.PLACED)
UNDER_WAY = timedelta(minutes=15)
"""How long an attempt may be dialed and rung before the page stops to show it as live: a carrier rings for 10 minutes
at most, and the call has 2 more to come in."""

_LONGEST_CURSOR = 2000


@dataclass(frozen=True)
class ConversationSummary:
    """
    A conversation without what was said.

    :param holder: Who opened it last.
    :param opened_at: When it was opened first.
    :param saved_at: When its holder last saved something, aware.
    :param finished_at: When its outcome was written; ``None``: it goes on, or its holder died.
    :param outcome: How it ended.
    :param entry_count: How long its timeline is.
    :param heard_until: Until when the switchboard itself has listened; ``None``: it never has.
    :param seen_at: The last sign of life of the process that runs the conversation; ``None``: not known.
    """

    holder: str
    opened_at: datetime
    saved_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    entry_count: int = 0
    heard_until: datetime | None = None
    seen_at: datetime | None = None

    @property
    def known_until(self) -> datetime:
        """Until when it is known that the call goes on."""
        given = (self.saved_at, self.heard_until, self.seen_at)
        return max(at for at in given if at is not None)

    @classmethod
    def of(cls, conversation: Conversation) -> ConversationSummary:
        """
        A conversation's summary.

        :param conversation: The whole conversation.
        """
        names = {each.name for each in fields(cls)} - {"entry_count", "seen_at"}
        given = {name: getattr(conversation, name) for name in names}
        return cls(**given, entry_count=len(conversation.entries))


@dataclass(frozen=True)
class RecentCall:
    """
    A call, and its conversation if there is one.

    :param call: The call as it is now.
    :param conversation: ``None``: nobody has attached to it.
    :param attempt: The attempt from which it came; ``None``: it was not placed by us.
    """

    call: SwitchboardCall
    conversation: ConversationSummary | None = None
    attempt: Attempt | None = None

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
        attempt = None if self.attempt is None else self.attempt.to_dict()
        return {"call": self.call.to_dict(), "conversation": summary, "attempt": attempt}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RecentCall:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: What :meth:`to_dict` wrote.
        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        call, summary = SwitchboardCall.from_dict(value["call"]), value.get("conversation")
        attempt = Attempt.from_dict(value["attempt"]) if value.get("attempt") else None
        if summary is None:
            return cls(call, attempt=attempt)
        known = {each.name for each in fields(ConversationSummary)}
        given = {key: item for key, item in summary.items() if key in known}
        instants = {key: read_instant(key, item) for key, item in given.items() if key.endswith(("_at", "_until"))}
        try:
            return cls(call, ConversationSummary(**{**given, **instants}), attempt)
        except TypeError as error:
            raise InvalidInput(f"this is no conversation: {error}", field="conversation") from error


@dataclass(frozen=True)
class UnreachedAttempt:
    """
    An attempt to reach a person that has not become a call.

    :param line: The line that the call should come in on.
    :param attempt: The ledger's row.
    :param is_live: Whether the carrier may still be dialing or ringing.
    """

    line: str
    attempt: Attempt
    is_live: bool

    @classmethod
    def of(cls, line: str, attempt: Attempt, now: datetime) -> UnreachedAttempt:
        """
        Judge an attempt without a call.

        :param line: Name of the line.
        :param attempt: Row of the ledger.
        :param now: The time; an attempt that has been under way for too long is not live any more.
        """
        fresh = attempt.updated_at > now - UNDER_WAY
        return cls(line, attempt, is_live=attempt.state in UNDER_WAY_STATES and fresh)

    @property
    def place(self) -> Place:
        """Where it stands among all calls."""
        return Place(self.attempt.created_at, self.line, self.attempt.attempt_id)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        return {"line": self.line, "attempt": self.attempt.to_dict(), "is_live": self.is_live}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> UnreachedAttempt:
        """
        Read what :meth:`to_dict` wrote.

        :param value: What :meth:`to_dict` wrote.
        :raises InvalidInput: The attempt cannot be read.
        """
        return cls(str(value["line"]), Attempt.from_dict(value["attempt"]), bool(value["is_live"]))


@dataclass(frozen=True, order=True)
class Place:
    """
    A call's place in the order of all calls, from which older ones can be asked for. Clients see it as opaque text.

    :param received_at: When the call was stored.
    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
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

        :param text: What ``str`` gave of a place.
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
    :param attempts: Attempts without a call, in the same order; those that are over lie between the calls.
    """

    calls: tuple[RecentCall, ...]
    next: Place | None
    attempts: tuple[UnreachedAttempt, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {
            "calls": [call.to_dict() for call in self.calls],
            "attempts": [attempt.to_dict() for attempt in self.attempts],
            "next": None if self.next is None else str(self.next),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RecentPage:
        """
        Read what :meth:`to_dict` wrote; a switchboard of an older release sends no attempts.

        :param value: What :meth:`to_dict` wrote.
        :raises InvalidInput: A call, an attempt or the cursor cannot be read.
        """
        after = value.get("next")
        calls = tuple(RecentCall.from_dict(call) for call in value["calls"])
        attempts = tuple(UnreachedAttempt.from_dict(attempt) for attempt in value.get("attempts") or ())
        return cls(calls, None if after is None else Place.parse(str(after)), attempts)


def page_of(
    calls: Iterable[RecentCall], attempts: Iterable[UnreachedAttempt], limit: int, ends: Iterable[Place] = ()
) -> RecentPage:
    """
    Put calls and attempts in order, and cut them.

    :param calls: Calls, in any order.
    :param attempts: Attempts without a call, in any order.
    :param limit: How many that are over the page has at most.
    :param ends: Where what was found may go on; nothing behind the first of these is shown, since rows of another
        source may lie between.
    """
    rows: list[RecentCall | UnreachedAttempt] = sorted([*calls, *attempts], key=lambda row: row.place, reverse=True)
    live = [row for row in rows if _is_live(row)]
    over = [row for row in rows if not _is_live(row)]
    first_end = max(ends, default=None)
    if first_end is not None:
        over = [row for row in over if row.place >= first_end]
    shown = over[:limit]
    after = shown[-1].place if len(over) > limit else first_end
    return RecentPage(
        tuple(row for row in (*live, *shown) if isinstance(row, RecentCall)),
        after,
        tuple(row for row in (*live, *shown) if isinstance(row, UnreachedAttempt)),
    )


def merged(pages: Iterable[RecentPage], limit: int) -> RecentPage:
    """
    Pages of several lines as one.

    :param pages: One page of each line.
    :param limit: How many rows that are over it has at most.
    """
    found = list(pages)
    return page_of(
        [call for page in found for call in page.calls],
        [attempt for page in found for attempt in page.attempts],
        limit,
        [page.next for page in found if page.next is not None],
    )


def _is_live(row: RecentCall | UnreachedAttempt) -> bool:
    return row.is_live if isinstance(row, UnreachedAttempt) else not row.call.is_over


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and text.isprintable() and text.isascii()


def _shown(value: Any) -> Any:
    return instant_text(value) if isinstance(value, datetime) else value
