"""
What happens in an accepted call, as the switchboard keeps it: a *conversation* and its *timeline*. Values that travel
as JSON; pure.

Whoever runs the conversation is its *holder*. A holder opens it and gets a *generation*; when another opens it, for
example because a triggerer died, the earlier one may add nothing more. Every timeline entry has a key: adding it again
changes nothing and says so, which is how a tool is run once though two may have begun.

``repr`` leaves out what was said: it is personal data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.records import read_instant

ENTRY_KINDS = ("caller", "agent", "key", "tool_call", "tool_result", "usage", "error", "note")
"""*caller* and *agent*: who spoke; *key*: a key of the phone (DTMF)."""

MOST_ENTRIES = 5_000
"""Of one call."""

MOST_ENTRIES_AT_ONCE = 200
"""In one request."""

MOST_ENTRY_BYTES = 64 * 1024
"""Of the body of one entry, as JSON in UTF-8."""

MOST_CONVERSATION_BYTES = 16 * 1024 * 1024
"""Of the bodies of all entries of one call: they are read in one answer."""

MOST_RESULT_BYTES = 256 * 1024
LONGEST_OUTCOME = 64
LONGEST_KEY = 255

_MOST_BYTES_AT_ONCE = 256 * 1024  # well below the switchboard's limit for a request
_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


@dataclass(frozen=True)
class TimelineEntry:
    """
    One thing that happened in a call.

    :param key: Unique in the call, 1 to 255 printable ASCII characters without blanks, for example ``tool_call:fc_1``.
    :param kind: One of :data:`ENTRY_KINDS`.
    :param at: When it happened, aware.
    :param body: What happened, of JSON values, at most 64 KiB as JSON.
    """

    key: str
    kind: str
    at: datetime
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def check(self) -> TimelineEntry:
        """
        Refuse what cannot be kept.

        :returns: The same, with a body that every database and every reader takes.
        :raises InvalidInput: A field cannot be used; the message names it.
        """
        if not isinstance(self.key, str) or not _KEY.fullmatch(self.key):
            raise InvalidInput(
                f"key must be 1 to {LONGEST_KEY} printable ASCII characters without blanks", field="entries.key"
            )
        if self.kind not in ENTRY_KINDS:
            raise InvalidInput(f"kind must be one of {', '.join(ENTRY_KINDS)}", field="entries.kind")
        if not isinstance(self.at, datetime) or self.at.tzinfo is None:
            raise InvalidInput("at must be an instant with a time zone", field="entries.at")
        body = json.loads(as_json(self.body, field=f"body of the entry {self.key}", most_bytes=MOST_ENTRY_BYTES))
        return TimelineEntry(self.key, self.kind, self.at, body)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, the instant as ISO 8601 in UTC."""
        return {"key": self.key, "kind": self.kind, "at": _text(self.at), "body": dict(self.body)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> TimelineEntry:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :raises InvalidInput: A required key is missing, or the instant cannot be read.
        """
        at = read_instant("at", value.get("at"))
        body = value.get("body", {})
        if at is None or not value.get("key") or not value.get("kind") or not isinstance(body, Mapping):
            raise InvalidInput("a timeline entry needs key, kind, at and body", field="entries")
        return cls(str(value["key"]), str(value["kind"]), at, dict(body))


@dataclass(frozen=True)
class Conversation:
    """
    What is kept of an accepted call.

    :param call_id: OpenAI's id of the call.
    :param line: The line that it came in on.
    :param holder: Who opened it last: the claimant's name.
    :param generation: How often it was opened; only the last one's holder may add to it.
    :param opened_at: When it was opened first.
    :param saved_at: When something was last written.
    :param finished_at: When it was finished; ``None``: it goes on, or its holder died.
    :param outcome: How it ended, in the words of whoever finished it.
    :param result: What came of it, of JSON values.
    :param entries: The timeline, in the order in which it was written.
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

    @property
    def is_finished(self) -> bool:
        """Whether its outcome is known; then it does not change any more."""
        return self.finished_at is not None

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        shown = {name: _text(value) if isinstance(value, datetime) else value for name, value in values.items()}
        result = None if self.result is None else dict(self.result)
        return {**shown, "result": result, "entries": [entry.to_dict() for entry in self.entries]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Conversation:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        known = {each.name for each in fields(cls)}
        given: dict[str, Any] = {key: item for key, item in value.items() if key in known}
        given |= {key: read_instant(key, item) for key, item in given.items() if key.endswith("_at")}
        given["entries"] = tuple(TimelineEntry.from_dict(entry) for entry in value.get("entries") or ())
        try:
            return cls(**given)
        except TypeError as error:
            raise InvalidInput(f"this is no conversation of the switchboard: {error}", field="conversation") from error


def as_json(value: Any, *, field: str, most_bytes: int) -> str:
    """
    A value as JSON that every database takes: without half characters (lone surrogates), which become ``?``.

    :param field: What it is, for messages.
    :param most_bytes: How long it may be, in UTF-8.
    :raises InvalidInput: It is not of JSON values, has an infinite number, is nested too deeply or too long.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{field} cannot be written as JSON ({type(error).__name__})", field=field) from error
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > most_bytes:
        raise InvalidInput(f"{field} is {len(encoded):,} bytes long as JSON; at most {most_bytes:,}", field=field)
    return encoded.decode("utf-8")


def check_entries(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """
    Check entries that are to be written together; of several with one key the first counts.

    :raises InvalidInput: One cannot be kept, or they are too many for one request.
    """
    by_key: dict[str, TimelineEntry] = {}
    for entry in entries:
        by_key.setdefault(entry.key, entry.check())
    if len(by_key) > MOST_ENTRIES_AT_ONCE:
        raise InvalidInput(f"entries must be at most {MOST_ENTRIES_AT_ONCE} in one request", field="entries")
    return list(by_key.values())


def in_requests(entries: Sequence[TimelineEntry]) -> list[list[TimelineEntry]]:
    """Entries in groups that each fit in one request, in their order; one empty group when there are none."""
    groups: list[list[TimelineEntry]] = [[]]
    size = 0
    for entry in entries:
        length = len(as_json(entry.to_dict(), field="entries", most_bytes=2 * MOST_ENTRY_BYTES))
        if groups[-1] and (len(groups[-1]) == MOST_ENTRIES_AT_ONCE or size + length > _MOST_BYTES_AT_ONCE):
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += length
    return groups


def _text(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat()
