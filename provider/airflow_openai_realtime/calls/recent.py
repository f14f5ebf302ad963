"""
Pages of recent calls and their results: live calls first, then the newest. JSON values; pure.

Attempts to reach a person that did not become a call are listed among the calls, by the time of their reservation.

The pages of several lines and switchboards can be merged: they share one order and one kind of cursor.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall, instant_text, read_instant
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import AttemptState

MOST_RECENT = 500
"""Most calls on one page, live ones not counted."""

MOST_LIVE = 1000

UNDER_WAY_STATES = (AttemptState.DIALING, AttemptState.PLACED)
UNDER_WAY = timedelta(minutes=15)
"""How long an attempt may be dialing before the page stops showing it as live: a carrier lets a phone ring for at most
10 minutes, and the call gets 2 more to arrive."""

_LONGEST_CURSOR = 2000


@dataclass(frozen=True)
class ConversationSummary:
    """
    A conversation without its timeline. Times are aware, in UTC.

    :param holder: Name of the owner that opened it last.
    :param opened_at: When it was opened first.
    :param saved_at: When something was last written.
    :param finished_at: When its outcome was written; ``None``: it goes on, or its owner died.
    :param outcome: How it ended.
    :param entry_count: Number of entries in its timeline.
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
        """Last time at which the call was known to go on."""
        given = (self.saved_at, self.heard_until, self.seen_at)
        return max(at for at in given if at is not None)

    @classmethod
    def of(cls, conversation: Conversation) -> ConversationSummary:
        """
        Summarize a conversation.

        :param conversation: The conversation.
        """
        names = {each.name for each in fields(cls)} - {"entry_count", "seen_at"}
        given = {name: getattr(conversation, name) for name in names}
        return cls(**given, entry_count=len(conversation.entries))


@dataclass(frozen=True)
class RecentCall:
    """
    A call, with its conversation and its attempt if there are any.

    :param call: The current call.
    :param conversation: Its conversation; ``None``: no process has attached to the call.
    :param attempt: The attempt that it came from; ``None``: we did not place it.
    """

    call: SwitchboardCall
    conversation: ConversationSummary | None = None
    attempt: Attempt | None = None

    @property
    def place(self) -> Place:
        """Its place in the order of all calls."""
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

        :param value: JSON object.
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
            raise InvalidInput(f"not a conversation: {error}", field="conversation") from error


@dataclass(frozen=True)
class UnreachedAttempt:
    """
    An attempt to reach a person that has not become a call.

    :param line: The line on which the call is expected.
    :param attempt: The row of the ledger.
    :param is_live: Whether the carrier may still be dialing, or the phone ringing.
    """

    line: str
    attempt: Attempt
    is_live: bool

    @classmethod
    def of(cls, line: str, attempt: Attempt, now: datetime) -> UnreachedAttempt:
        """
        Decide whether an attempt without a call is live.

        :param line: The line on which the call is expected.
        :param attempt: The row of the ledger.
        :param now: Current time, aware; an attempt that has been under way for 15 minutes is no longer live.
        """
        fresh = attempt.updated_at > now - UNDER_WAY
        return cls(line, attempt, is_live=attempt.state in UNDER_WAY_STATES and fresh)

    @property
    def place(self) -> Place:
        """Its place in the order of all calls."""
        return Place(self.attempt.created_at, self.line, self.attempt.attempt_id)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        return {"line": self.line, "attempt": self.attempt.to_dict(), "is_live": self.is_live}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> UnreachedAttempt:
        """
        Read what :meth:`to_dict` wrote.

        :param value: JSON object.
        :raises InvalidInput: The attempt cannot be read.
        """
        return cls(str(value["line"]), Attempt.from_dict(value["attempt"]), bool(value["is_live"]))


@dataclass(frozen=True, order=True)
class Place:
    """
    The place of a call in the order of all calls; a cursor for older ones. Clients see opaque text.

    :param received_at: When the call was stored, or the attempt was reserved; aware.
    :param line: Name of the line.
    :param call_id: Id of the call or attempt.
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
        Read a cursor that a client sends back.

        :param text: Text from an earlier page, untrusted.
        :raises InvalidInput: No switchboard wrote it.
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
    One page of recent calls.

    :param calls: Live calls, newest first, then the others, newest first.
    :param next: Cursor for older calls; ``None``: there are none.
    :param attempts: Attempts without a call, in the same order.
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

        :param value: JSON object.
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
    Build a page from unordered calls and attempts.

    :param calls: The calls.
    :param attempts: The attempts without a call.
    :param limit: Most rows that are over, 1 or more; live ones do not count.
    :param ends: Cursors at which the sources were cut; the page stops at the newest of them, since rows of that
        source may follow.
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
    Merge the pages of several lines.

    :param pages: The pages.
    :param limit: Most rows that are over, 1 or more; live ones do not count.
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
