"""
What the switchboard hears in a call without a listening owner: sideband events in, timeline entries out. Pure.

It only listens. A tool that the model calls is recorded and not run, so that the next owner can run it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.sideband.events import nested, text_or_none
from airflow_openai_realtime.calls.timeline.entries import Listening, TimelineEntry, entry_of, is_small, key_of
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import EntryKind, Note

MOST_WAITING = 2_000
"""Most entries that wait for the store; beyond them, the oldest entries of speech are dropped."""


class StandbyHearing:
    """
    What is heard in one call under one lease.

    :param lease: Unique name of the lease.
    :param unheard_since: Since when possibly no process has listened, aware.
    :param pressed: Keys of the key presses on the timeline.
    """

    def __init__(self, lease: str, unheard_since: datetime, pressed: Iterable[str]) -> None:
        self._lease = lease
        self._unheard_since = unheard_since
        self._listening = Listening(f"standby-{lease}", frozenset(pressed))
        self._began_at: dict[str, datetime] = {}
        self._announced: dict[str, events.FunctionCall] = {}
        self._attachments = 0
        self._is_open = False
        self._heard_until: datetime | None = None
        self._waiting: deque[TimelineEntry] = deque()

    def heard_until(self, now: datetime) -> datetime | None:
        """
        Until when was listened; ``None``: not yet.

        :param now: The time, aware.
        """
        return now if self._is_open else self._heard_until

    def waiting(self, most: int) -> list[TimelineEntry]:
        """
        The oldest entries that are not written yet.

        :param most: Most entries to return.
        """
        return [self._waiting[place] for place in range(min(most, len(self._waiting)))]

    def has_more_than(self, count: int) -> bool:
        """
        Whether more entries than this many are not written yet.

        :param count: Number of entries.
        """
        return len(self._waiting) > count

    def written(self, entries: Iterable[TimelineEntry]) -> None:
        """
        Take in that some of :meth:`waiting` are written.

        :param entries: Entries that the store has now.
        """
        for entry in entries:
            if self._waiting and self._waiting[0] is entry:
                self._waiting.popleft()

    def hear(self, event: events.SidebandEvent, now: datetime) -> None:
        """
        Take in an event; the first one on a socket tells that we listen.

        :param event: Any event of the sideband.
        :param now: The time, aware.
        """
        if not self._is_open:
            self._begin(event, now)
        if isinstance(event, events.SessionError):
            self._keep(self._listening.error(event, now))
            return
        if isinstance(event, (events.ResponseStarted, events.AudioStarted)):
            self._began_at[event.response_id] = now
        for entry in self._listening.entries(event, now, self._began_at.get):
            self._keep(entry)
        if isinstance(event, events.FunctionCall):
            self._announced[event.tool_call_id] = event
        elif isinstance(event, events.ResponseDone):
            self._began_at.pop(event.response_id, None)
            self._asked(event, now)

    def closed(self, now: datetime) -> None:
        """
        Take in that the socket is away.

        :param now: The time, aware.
        """
        if self._is_open:
            self._is_open = False
            self._unheard_since = self._heard_until = now
            self._announced.clear()

    def stood_down(self, now: datetime) -> None:
        """
        Take in that the holder's process came back: it has heard what was counted as missed.

        :param now: The time, aware.
        """
        if self._attachments:
            self._keep(
                entry_of(EntryKind.NOTE, now, Note.STOOD_DOWN, self._lease, what=Note.STOOD_DOWN, lease=self._lease)
            )

    def _begin(self, event: events.SidebandEvent, now: datetime) -> None:
        self._is_open = True
        self._attachments += 1
        session: Mapping[str, Any] = event.session if isinstance(event, events.SessionCreated) else {}
        transcription = nested(nested(nested(session, "audio"), "input"), "transcription")
        body = {
            "what": Note.STOOD_BY,
            "lease": self._lease,
            "session_id": event.session_id if isinstance(event, events.SessionCreated) else None,
            "model": text_or_none(session, "model"),
            "transcription_model": text_or_none(transcription, "model"),
            "gap_seconds": round(max(0.0, (now - self._unheard_since).total_seconds()), 3),
        }
        self._keep(entry_of(EntryKind.NOTE, now, Note.STOOD_BY, self._lease, self._attachments, **body))

    def _asked(self, event: events.ResponseDone, now: datetime) -> None:
        """Record the tool calls of a response, without those that were cut off."""
        calls = [call for call in event.function_calls if call.status != "incomplete"]
        if not event.function_calls and event.status == "completed":
            calls = list(self._announced.values())
        self._announced.clear()
        for call in calls:
            # Whole or not at all: the owner that runs the tool reads them.
            arguments = call.arguments if is_small(call.arguments) else ""
            body = {"what": Note.ASKED, "tool_call_id": call.tool_call_id, "name": call.name, "arguments": arguments}
            self._keep(TimelineEntry(key_of(EntryKind.NOTE, Note.ASKED, call.tool_call_id), EntryKind.NOTE, now, body))

    def _keep(self, entry: TimelineEntry) -> None:
        try:
            checked = entry.check()
        except InvalidInput:
            return  # an event that is odd beyond what a timeline takes
        if len(self._waiting) >= MOST_WAITING:
            said = (each for each in self._waiting if each.kind in (EntryKind.CALLER, EntryKind.AGENT, EntryKind.USAGE))
            self._waiting.remove(next(said, self._waiting[0]))
        self._waiting.append(checked)
