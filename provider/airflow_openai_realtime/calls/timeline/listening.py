"""Turn sideband events of a call into timeline entries. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.request import quotable
from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of, is_small, key_of
from airflow_openai_realtime.states import EntryKind, Note

RESPONSE = "response"
TRANSCRIPTION = "transcription"


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
