"""
Timeline entries: one event of a call each. JSON values.

Every entry has a key. Adding an entry with the same key again changes nothing and reports so; that is why a tool runs
once even if two processes begin it. ``repr`` leaves out what was said, since it is personal data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.untrusted import DEEPEST_RECORD, is_deeper, tame
from airflow_openai_realtime.calls.call import instant_text, read_instant
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import EntryKind

#: Longest text of an entry, in characters: well below the switchboard's limit for an entry.
LONGEST_TEXT = 10_000
#: Status of a tool call that was begun and whose result is not known.
UNKNOWN = "unknown"

MOST_ENTRIES = 5_000
"""Most entries of one call."""

MOST_ENTRIES_AT_ONCE = 200
"""Most entries in one request."""

MOST_ENTRY_BYTES = 64 * 1024
"""Most bytes of the body of one entry, as JSON in UTF-8."""

MOST_CONVERSATION_BYTES = 16 * 1024 * 1024
"""Most bytes of the bodies of all entries of one call: one answer contains them all."""

LONGEST_KEY = 255

MOST_BYTES_AT_ONCE = 256 * 1024
"""Most bytes of the entries in one request of a client: well below the switchboard's limit for a request."""

_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


@dataclass(frozen=True)
class TimelineEntry:
    """
    One event of a call.

    :param key: Unique in the call, 1 to 255 printable ASCII characters without blanks, for example ``tool_call:fc_1``.
    :param kind: An :class:`~airflow_openai_realtime.states.EntryKind`.
    :param at: When it happened, aware.
    :param body: Details, a JSON object of at most 64 KiB.
    """

    key: str
    kind: str
    at: datetime
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def check(self) -> TimelineEntry:
        """
        Reject an entry that cannot be stored.

        :returns: The entry, with a body that every database and every reader accepts.
        :raises InvalidInput: A field is invalid; the message names it.
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

        :param value: JSON object.
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

    :param kind: An :class:`~airflow_openai_realtime.states.EntryKind`.
    :param at: When it happened, aware.
    :param name: Parts that make its key unique within the kind; ids from OpenAI are untrusted.
    :param body: Details, JSON values, may be hostile; long texts are cut.
    """
    return TimelineEntry(key_of(kind, *name), kind, at, tame({key: _cut(value) for key, value in body.items()}))


def key_of(kind: str, *name: object) -> str:
    """
    Return the key of an entry: printable, and unique even if an id is long or has other characters.

    :param kind: An :class:`~airflow_openai_realtime.states.EntryKind`.
    :param name: Parts that make the key unique within the kind.
    """
    plain = ":".join([kind, *(str(part) for part in name)])
    if len(plain) <= LONGEST_KEY and plain.isascii() and plain.isprintable() and " " not in plain:
        return plain
    return f"{kind}:{hashlib.sha256(plain.encode('utf-8', 'replace')).hexdigest()}"


def is_small(value: Any) -> bool:
    """
    Tell whether an entry can hold a value: JSON, not nested too deeply, at most 40,000 characters as JSON.

    :param value: Any value, may be hostile.
    """
    try:
        return not is_deeper(value, DEEPEST_RECORD) and len(json.dumps(value, allow_nan=False)) <= 4 * LONGEST_TEXT
    except (TypeError, ValueError, RecursionError):
        return False


def as_json(value: Any, *, field: str, most_bytes: int) -> str:
    """
    Return a value as JSON that every database and every reader accepts.

    :param value: The value; :func:`~airflow_openai_realtime.api.untrusted.tame` is applied to it.
    :param field: Name of the value, for messages.
    :param most_bytes: Longest JSON in bytes of UTF-8.
    :raises InvalidInput: It cannot be written as JSON, or is too long.
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
    Check the entries of one request. Of several entries with the same key, the first counts.

    :param entries: The entries.
    :raises InvalidInput: An entry cannot be stored, or there are too many for one request.
    """
    by_key: dict[str, TimelineEntry] = {}
    for entry in entries:
        by_key.setdefault(entry.key, entry.check())
    if len(by_key) > MOST_ENTRIES_AT_ONCE:
        raise InvalidInput(f"entries must be at most {MOST_ENTRIES_AT_ONCE} in one request", field="entries")
    return list(by_key.values())


def in_requests(entries: Sequence[TimelineEntry]) -> list[list[TimelineEntry]]:
    """
    Split entries into groups that each fit in one request, in order.

    :param entries: The entries, checked.
    :return: At least one group; without entries, one empty group.
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
    Return the approximate size of an entry in a request, in bytes.

    :param entry: The entry.
    """
    return len(as_json(entry.to_dict(), field="entries", most_bytes=2 * MOST_ENTRY_BYTES))


def _cut(value: Any) -> Any:
    return value[:LONGEST_TEXT] + "…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value
