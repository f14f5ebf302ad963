"""
What happened in the simulator, to assert on: an append-only log, and one row for each call.

Phone numbers are complete here (they are made up, and tests need them); secrets never are: of a key only the fact
that one was sent is logged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from airflow_openai_realtime.exceptions import InvalidInput

FATES = (
    "in_progress",
    "completed",
    "transferred",
    "rejected",
    "missed",
    "busy",
    "no_answer",
    "canceled",
    "failed",
)


@dataclass(frozen=True)
class LogEntry:
    """
    One thing that happened.

    :param sequence: Its place in the log, from 1.
    :param at: Simulated instant, aware, UTC.
    :param kind: For example ``phone.ringing``, ``openai.accept``, ``carrier.completed``, ``webhook.delivered``.
    :param call_id: OpenAI's id of the call, when there is one.
    :param carrier_sid: The carrier's id of the call, when there is one.
    :param number: The person's phone number, E.164, when known.
    :param detail: Whatever else belongs to it; JSON values.
    """

    sequence: int
    at: datetime
    kind: str
    call_id: str | None = None
    carrier_sid: str | None = None
    number: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return {**asdict(self), "at": self.at.isoformat(), "detail": dict(self.detail)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogEntry:
        """The entry from :meth:`to_dict`."""
        return cls(**{**values, "at": datetime.fromisoformat(values["at"])})


@dataclass
class CallRecord:
    """
    One call, and what became of it.

    :param record_id: Its place in the table, from 1.
    :param direction: ``outbound`` (the carrier rang a phone) or ``inbound``.
    :param from_number: Who called, E.164.
    :param to_number: Who was called, E.164.
    :param created_at: Simulated instant at which it began, aware, UTC.
    :param call_id: OpenAI's id, as soon as the call got there.
    :param carrier_sid: The carrier's id; None for inbound calls.
    :param fate: One of ``FATES``.
    :param rang: How often the person's phone rang for it (0 or 1; a busy phone does not ring).
    :param accepted: How often OpenAI said yes to *accept*.
    :param ended_by: Who ended it: ``caller, api_hangup, api_reject, transfer, ring_limit, session_limit, carrier_limit,
        carrier_timeout, carrier_api, carrier, dead_session, session_error``; None while it goes on.
    :param talked_seconds: How long the person and the model were connected.
    :param open: Whether an accepted call has not ended: it costs money.
    :param phone_up: Whether the person's phone is still in the call (rings, talks, waits).
    :param transferred_to: Target of the transfer, as given to *refer*.
    :param sip_status: SIP status that OpenAI refused the call with.
    """

    record_id: int
    direction: str
    from_number: str
    to_number: str
    created_at: datetime
    call_id: str | None = None
    carrier_sid: str | None = None
    fate: str = "in_progress"
    rang: int = 0
    accepted: int = 0
    ended_by: str | None = None
    talked_seconds: float = 0.0
    open: bool = False
    phone_up: bool = True
    transferred_to: str | None = None
    sip_status: int | None = None

    @property
    def number(self) -> str:
        """The person's phone number: called when outbound, calling when inbound."""
        return self.to_number if self.direction == "outbound" else self.from_number

    def settle(self, fate: str, ended_by: str) -> None:
        """Write down what became of the call; what was written first stays."""
        if self.fate == "in_progress":
            self.fate, self.ended_by = fate, ended_by

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CallRecord:
        """The row from :meth:`to_dict`."""
        return cls(**{**values, "created_at": datetime.fromisoformat(values["created_at"])})


class LogView:
    """Questions to a log; the same in the simulator's process and in another one."""

    @property
    def entries(self) -> Sequence[LogEntry]:
        """All entries so far, oldest first."""
        raise NotImplementedError

    @property
    def calls(self) -> Sequence[CallRecord]:
        """One row for each call so far, oldest first. Copies: they do not change later."""
        raise NotImplementedError

    def of_kind(self, kind: str, *, number: str | None = None, call_id: str | None = None) -> list[LogEntry]:
        """
        Entries of one kind.

        :param kind: For example ``webhook.delivered``; a prefix with its dot (``carrier.``) takes all under it.
        :param number: Only those about this phone number.
        :param call_id: Only those about this call.
        """
        return [
            entry
            for entry in self.entries
            if (entry.kind == kind or (kind.endswith(".") and entry.kind.startswith(kind)))
            and number in (None, entry.number)
            and call_id in (None, entry.call_id)
        ]

    def rings(self, number: str) -> list[LogEntry]:
        """Each time that a phone rang. ``detail["already_ringing"]`` tells whether it rang for another call as well."""
        return self.of_kind("phone.ringing", number=number)

    def dials(self, number: str) -> list[LogEntry]:
        """Each time that a phone was dialed, whether it rang, was busy or does not exist."""
        return self.of_kind("phone.dialed", number=number)

    def said(self, call_id: str, speaker: str | None = None) -> list[tuple[str, str]]:
        """
        What was said in a call, in order: who, ``caller`` or ``model``, and the words.

        :param call_id: OpenAI's id.
        :param speaker: Only what this one said.
        """
        said = [entry.detail for entry in self.of_kind("session.said", call_id=call_id)]
        return [(each["speaker"], each["text"]) for each in said if speaker in (None, each["speaker"])]

    def call(self, *, call_id: str | None = None, carrier_sid: str | None = None) -> CallRecord:
        """
        The row of one call.

        :raises InvalidInput: There is none.
        """
        for row in self.calls:
            if (call_id and row.call_id == call_id) or (carrier_sid and row.carrier_sid == carrier_sid):
                return row
        raise InvalidInput(f"the simulator knows no call {call_id or carrier_sid}", field="call_id", call_id=call_id)

    def calls_with(self, number: str) -> list[CallRecord]:
        """Rows of all calls with one person, by phone number."""
        return [row for row in self.calls if row.number == number]

    def accepted(self) -> list[CallRecord]:
        """Rows of the calls that were accepted."""
        return [row for row in self.calls if row.accepted]

    def open_calls(self) -> list[CallRecord]:
        """Rows of the accepted calls that have not ended."""
        return [row for row in self.calls if row.open]

    def hangups(self) -> list[CallRecord]:
        """Rows of the calls that were ended by *hangup*."""
        return [row for row in self.calls if row.ended_by == "api_hangup"]


class LogListener(Protocol):
    """Gets each entry as it is written, with the simulator's lock held."""

    def __call__(self, entry: LogEntry) -> None:
        """Take note of an entry; must be quick and must not wait."""


class Log(LogView):
    """
    The log of a simulator in this process.

    :param lock: The simulator's lock.
    :param now_at: Tells the simulated instant.
    """

    def __init__(self, lock: threading.RLock, now_at: Callable[[], datetime]) -> None:
        self._changed = threading.Condition(lock)
        self._now_at = now_at
        self._entries: list[LogEntry] = []
        self._records: list[CallRecord] = []
        self._listeners: list[LogListener] = []

    @property
    def entries(self) -> Sequence[LogEntry]:
        """All entries so far, oldest first."""
        with self._changed:
            return list(self._entries)

    @property
    def calls(self) -> Sequence[CallRecord]:
        """One row for each call so far, oldest first. Copies: they do not change later."""
        with self._changed:
            return [replace(record) for record in self._records]

    def add(self, kind: str, record: CallRecord | None = None, *, number: str | None = None, **detail: Any) -> LogEntry:
        """
        Write an entry.

        :param kind: What happened.
        :param record: The call it is about; gives ids and number.
        :param number: The phone number, when it is another one or there is no call.
        :param detail: Whatever else belongs to it; JSON values, never a secret.
        """
        with self._changed:
            entry = LogEntry(
                sequence=len(self._entries) + 1,
                at=self._now_at(),
                kind=kind,
                call_id=record.call_id if record else None,
                carrier_sid=record.carrier_sid if record else None,
                number=number or (record.number if record else None),
                detail=detail,
            )
            self._entries.append(entry)
            for listener in self._listeners:
                listener(entry)
            self._changed.notify_all()
            return entry

    def open_record(
        self, direction: str, from_number: str, to_number: str, *, carrier_sid: str | None = None
    ) -> CallRecord:
        """Add a row for a call that begins, and return it to be kept up to date."""
        with self._changed:
            record = CallRecord(
                record_id=len(self._records) + 1,
                direction=direction,
                from_number=from_number,
                to_number=to_number,
                created_at=self._now_at(),
                carrier_sid=carrier_sid,
            )
            self._records.append(record)
            return record

    def listen(self, listener: LogListener) -> None:
        """Call a function with every entry from now on."""
        with self._changed:
            self._listeners.append(listener)

    def wait_for(self, condition: Callable[[], object], *, timeout_seconds: float) -> bool:
        """
        Wait until something holds; it is asked after each entry, and every 20 ms.

        :param condition: Asked without arguments; any true value will do.
        :param timeout_seconds: How long to wait at most, in real seconds.
        """
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return False
            with self._changed:
                self._changed.wait(min(left_seconds, 0.02))
        return True

    def reset(self) -> None:
        """Forget everything but who listens."""
        with self._changed:
            self._entries.clear()
            self._records.clear()
