"""
Timeline entries: what happened in a call, one thing each. Values that travel as JSON.

Every entry has a key: adding it again changes nothing and says so, which is how a tool is run once though two may have
begun. ``repr`` leaves out what was said: it is personal data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.instants import instant_text, read_instant
from airflow_openai_realtime.api.untrusted import DEEPEST_RECORD, is_deeper, tame
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import EntryKind

#: Longest text of an entry, in characters: well below the switchboard's limit for an entry.
LONGEST_TEXT = 10_000
#: A tool that was begun, and nobody knows what came of it.
UNKNOWN = "unknown"

MOST_ENTRIES = 5_000
"""Of one call."""

MOST_ENTRIES_AT_ONCE = 200
"""In one request."""

MOST_ENTRY_BYTES = 64 * 1024
"""Of the body of one entry, as JSON in UTF-8."""

MOST_CONVERSATION_BYTES = 16 * 1024 * 1024
"""Of the bodies of all entries of one call: they are read in one answer."""

LONGEST_KEY = 255

MOST_BYTES_AT_ONCE = 256 * 1024
"""Of the entries in one request that a client sends: well below the switchboard's limit for a request."""

_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


@dataclass(frozen=True)
class TimelineEntry:
    """
    One thing that happened in a call.

    :param key: Unique in the call, 1 to 255 printable ASCII characters without blanks, for example ``tool_call:fc_1``.
    :param kind: One of :data:`EntryKind`.
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
        if self.kind not in tuple(EntryKind):
            raise InvalidInput(f"kind must be one of {', '.join(EntryKind)}", field="entries.kind")
        if not isinstance(self.at, datetime) or self.at.tzinfo is None:
            raise InvalidInput("at must be an instant with a time zone", field="entries.at")
        body = json.loads(as_json(self.body, field=f"body of the entry {self.key}", most_bytes=MOST_ENTRY_BYTES))
        return TimelineEntry(self.key, self.kind, self.at, body)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, the instant as ISO 8601 in UTC."""
        return {"key": self.key, "kind": self.kind, "at": instant_text(self.at), "body": dict(self.body)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> TimelineEntry:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: What :meth:`to_dict` wrote.
        :raises InvalidInput: A required key is missing, or the instant cannot be read.
        """
        at = read_instant("at", value.get("at"))
        body = value.get("body", {})
        if at is None or not value.get("key") or not value.get("kind") or not isinstance(body, Mapping):
            raise InvalidInput("a timeline entry needs key, kind, at and body", field="entries")
        return cls(str(value["key"]), str(value["kind"]), at, dict(body))


def entry_of(kind: str, at: datetime, *name: object, **body: Any) -> TimelineEntry:
    """
    Make an entry.

    :param kind: One of the switchboard's kinds.
    :param at: When it happened, aware.
    :param name: What makes its key unique, with the kind; ids from OpenAI are untrusted.
    :param body: What happened, of JSON values, perhaps hostile; long texts are cut.
    """
    return TimelineEntry(key_of(kind, *name), kind, at, tame({key: _cut(value) for key, value in body.items()}))


def key_of(kind: str, *name: object) -> str:
    """
    Return the key of an entry: printable, and still unique when an id is long or odd.

    :param kind: Kind of the entry.
    :param name: What tells it from others of its kind.
    """
    plain = ":".join([kind, *(str(part) for part in name)])
    if len(plain) <= LONGEST_KEY and plain.isascii() and plain.isprintable() and " " not in plain:
        return plain
    return f"{kind}:{hashlib.sha256(plain.encode('utf-8', 'replace')).hexdigest()}"


def is_small(value: Any) -> bool:
    """
    Tell whether a value is fit for an entry: of JSON, not nested too deeply, and no longer than a long text.

    :param value: Anything that JSON can hold.
    """
    try:
        return not is_deeper(value, DEEPEST_RECORD) and len(json.dumps(value, allow_nan=False)) <= 4 * LONGEST_TEXT
    except (TypeError, ValueError, RecursionError):
        return False


def as_json(value: Any, *, field: str, most_bytes: int) -> str:
    """
    Return a value as JSON that every database and every reader takes: as :func:`~..api.untrusted.tame` leaves it.

    :param value: Anything that JSON can hold.
    :param field: What it is, for messages.
    :param most_bytes: How long it may be, in UTF-8.
    :raises InvalidInput: It is not of JSON values, or too long.
    """
    try:
        text = json.dumps(tame(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except InvalidInput as error:
        raise InvalidInput(f"{field} cannot be written as JSON: {error}", field=field) from error
    encoded = text.encode("utf-8")
    if len(encoded) > most_bytes:
        raise InvalidInput(f"{field} is {len(encoded):,} bytes long as JSON; at most {most_bytes:,}", field=field)
    return encoded.decode("utf-8")


def check_entries(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """
    Check entries that are to be written together; of several with one key the first counts.

    :param entries: Entries of one request.
    :raises InvalidInput: One cannot be kept, or they are too many for one request.
    """
    by_key: dict[str, TimelineEntry] = {}
    for entry in entries:
        by_key.setdefault(entry.key, entry.check())
    if len(by_key) > MOST_ENTRIES_AT_ONCE:
        raise InvalidInput(f"entries must be at most {MOST_ENTRIES_AT_ONCE} in one request", field="entries")
    return list(by_key.values())


def in_requests(entries: Sequence[TimelineEntry]) -> list[list[TimelineEntry]]:
    """
    Entries in groups that each fit in one request, in their order; one empty group when there are none.

    :param entries: Entries, in their order.
    """
    groups: list[list[TimelineEntry]] = [[]]
    size = 0
    for entry in entries:
        length = sent_bytes(entry)
        if groups[-1] and (len(groups[-1]) == MOST_ENTRIES_AT_ONCE or size + length > MOST_BYTES_AT_ONCE):
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += length
    return groups


def sent_bytes(entry: TimelineEntry) -> int:
    """
    How long an entry is in a request, about.

    :param entry: The entry.
    """
    return len(as_json(entry.to_dict(), field="entries", most_bytes=2 * MOST_ENTRY_BYTES))


def _cut(value: Any) -> Any:
    return value[:LONGEST_TEXT] + "…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value
