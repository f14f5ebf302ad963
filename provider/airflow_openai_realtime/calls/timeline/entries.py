"""
Timeline entries: one event of a call each, JSON values; and how they are made from the events of its sideband. Pure.

Every entry has a key. Adding an entry with the same key again changes nothing and reports so; that is why a tool runs
once even if two processes begin it. ``repr`` leaves out what was said, since it is personal data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.request import quotable
from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.untrusted import DEEPEST_RECORD, is_deeper, tame
from airflow_openai_realtime.calls.call import instant_text, read_instant
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import EntryKind, Note

#: Longest text of an entry, in characters: well below the switchboard's limit for an entry.
LONGEST_TEXT = 10_000
#: Status of a tool call that was begun and whose result is not known.
UNKNOWN = "unknown"

#: Whose usage an entry holds: that of a response, or of the transcription of what the caller said.
RESPONSE = "response"
TRANSCRIPTION = "transcription"

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
    Check entries, and split them into groups that each fit in one request, in order.

    :param entries: The entries.
    :return: At least one group; without entries, one empty group.
    :raises InvalidInput: An entry cannot be stored; the message names the field.
    """
    groups: list[list[TimelineEntry]] = [[]]
    size = 0
    for entry in [each.check() for each in entries]:
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


class Listening:
    """
    Turns events into timeline entries.

    Keys are made from OpenAI's ids, so that two processes that hear the same event write the same entry. Events
    without an id are numbered.

    :param generation: Generation of the conversation, or another name of the listener; part of the keys of entries
        that only this listener can write.
    :param known: Keys of the timeline so far, to continue the numbers of key presses.
    """

    def __init__(self, generation: int | str, known: AbstractSet[str]) -> None:
        self._generation = generation
        self._known = known
        self._spoke_at: dict[str, datetime] = {}
        self._numbers: Counter[str] = Counter()

    def entries(
        self, event: events.SidebandEvent, now: datetime, began_at: Callable[[str, datetime], datetime]
    ) -> Iterator[TimelineEntry]:
        """
        Make the entries of an event.

        :param event: The event.
        :param now: When it arrived, aware.
        :param began_at: Returns when a response became audible: takes its id and a default time. OpenAI sends the
            text of a sentence before its audio has been played.
        """
        if isinstance(event, events.CallerSpeaking) and event.item_id:
            self._spoke_at[event.item_id] = now
        elif isinstance(event, (events.CallerSaid, events.CallerTranscriptFailed)):
            yield from self._caller(event, now)
        elif isinstance(event, events.AgentSaid):
            yield from self._agent(event, began_at(event.response_id, now))
        elif isinstance(event, events.AudioCleared):
            what = {"what": Note.INTERRUPTED, "response_id": event.response_id}
            yield entry_of(EntryKind.NOTE, now, Note.INTERRUPTED, event.response_id, **what)
        elif isinstance(event, events.KeyPressed):
            yield self._key(event, now)
        elif isinstance(event, events.ResponseDone):
            yield from self._response(event, now)
        elif isinstance(event, events.McpEvent):
            yield from self._mcp(event, now)

    def error(self, event: events.SessionError, now: datetime) -> TimelineEntry:
        """
        Make the entry of a session error.

        :param event: The event.
        :param now: When it arrived, aware.
        """
        return self.trouble(now, event.code or event.type, event.message)

    def trouble(self, now: datetime, code: str | None, message: str | None) -> TimelineEntry:
        """
        Make the entry of an error.

        :param now: When it happened, aware.
        :param code: Code of the error; ``None``: ``error``.
        :param message: Message from OpenAI, untrusted.
        """
        number = self._number(EntryKind.ERROR)
        told = quotable(message or "")
        return entry_of(EntryKind.ERROR, now, self._generation, number, code=quotable(code or "error"), message=told)

    def _caller(
        self, event: events.CallerSaid | events.CallerTranscriptFailed, now: datetime
    ) -> Iterator[TimelineEntry]:
        name = event.item_id or self._number(EntryKind.CALLER)
        at = self._spoke_at.pop(event.item_id, now)
        if isinstance(event, events.CallerTranscriptFailed):
            yield entry_of(
                EntryKind.CALLER, at, name, item_id=event.item_id, text=None, problem=quotable(event.message)
            )
            return
        if event.text.strip():
            yield entry_of(EntryKind.CALLER, at, name, item_id=event.item_id, text=event.text)
        if event.usage is not None:
            yield _usage(TRANSCRIPTION, name, now, event.usage)

    def _agent(self, event: events.AgentSaid, at: datetime) -> Iterator[TimelineEntry]:
        if event.text.strip():
            name = event.item_id or f"{event.response_id}-{self._number(EntryKind.AGENT)}"
            part = (event.content_index,) if event.content_index else ()
            body = {"item_id": event.item_id, "response_id": event.response_id, "text": event.text}
            yield entry_of(EntryKind.AGENT, at, name, *part, **body)

    def _key(self, event: events.KeyPressed, now: datetime) -> TimelineEntry:
        # OpenAI reports whole seconds, and a key may be pressed twice within one.
        second = int((event.received_at or now).timestamp())
        while True:
            key = (second, event.key, self._number(f"{second}{event.key}"))
            if event.received_at is None or key_of(EntryKind.KEY, *key) not in self._known:
                return entry_of(EntryKind.KEY, event.received_at or now, *key, key=event.key)

    def _response(self, event: events.ResponseDone, now: datetime) -> Iterator[TimelineEntry]:
        if event.usage is not None:
            yield _usage(RESPONSE, event.response_id, now, event.usage)
        if event.status in ("failed", "incomplete"):
            yield self.trouble(now, f"response_{event.status}", event.error_message or event.reason)

    def _mcp(self, event: events.McpEvent, now: datetime) -> Iterator[TimelineEntry]:
        tool = ".".join(part for part in (event.server_label, event.name) if part) or "mcp"
        if event.kind == "call":
            status = "ok" if event.message is None else "failed"
            name = event.item_id or self._number("mcp")
            yield entry_of(EntryKind.TOOL_RESULT, now, name, tool_call_id=str(name), name=tool, status=status)
        elif event.kind == "list_tools.failed":
            yield self.trouble(now, "mcp_list_tools_failed", event.message)
        elif event.kind == "approval_request":
            yield self.trouble(now, "mcp_approval_needed", f"{tool} needs an approval, which calls cannot give")

    def _number(self, of: str) -> int:
        self._numbers[of] += 1
        return self._numbers[of]


def _usage(of: str, name: object, now: datetime, usage: Mapping[str, Any]) -> TimelineEntry:
    sent = dict(usage) if is_small(dict(usage)) else {}
    return entry_of(EntryKind.USAGE, now, of, name, of=of, usage=sent)
