"""
A call and an attempt to dial, as the switchboard stores them. JSON values, and how instants travel in JSON.

``repr`` leaves out phone numbers and SIP headers, so that a record in a log line shows no personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, TypeVar

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import OPEN_CALL_STATES, AttemptOutcome, AttemptState

CallKey = tuple[str, str]
"""Line and call id."""

ATTEMPT_MOVES: Mapping[str, tuple[AttemptState, ...]] = {
    AttemptState.RESERVED: (AttemptState.DIALING, AttemptState.ENDED),
    # Back to reserved only if the carrier was certainly not reached.
    AttemptState.DIALING: (AttemptState.PLACED, AttemptState.ENDED, AttemptState.UNKNOWN, AttemptState.RESERVED),
    AttemptState.PLACED: (AttemptState.PLACED, AttemptState.ENDED, AttemptState.UNKNOWN),
    AttemptState.UNKNOWN: (AttemptState.UNKNOWN, AttemptState.PLACED, AttemptState.ENDED),
    # To dialing only with a number other than the one that the carrier refused.
    AttemptState.ENDED: (AttemptState.ENDED, AttemptState.DIALING),
}
"""Which states an attempt may move to. None leads from *unknown* back to dialing: nothing dials twice by itself."""

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class SwitchboardCall:
    """
    One phone call as the switchboard stores it. Times are aware, in UTC.

    :param call_id: OpenAI's id, for example ``rtc_u1_abc``.
    :param line: The line (OpenAI project) that it came in on.
    :param state: ``ringing, claimed, accepted, rejected, ended`` or ``missed``.
    :param received_at: When the switchboard stored it.
    :param expires_at: When it is no longer worth accepting; a call that still rings then is missed.
    :param from_number: The caller's number, E.164; None when it is withheld or the caller is not a phone.
    :param to_number: The dialed number, E.164; None when unknown.
    :param headers: SIP headers of the INVITE by lower-case name, repeated ones joined by ``", "``. The caller's side
        writes them: hostile text.
    :param claimed_by: Stable name of its owner; None: it has none.
    :param claimed_at: When the owner claimed it, or last announced that it is about to accept it.
    :param accepted_at: When it was accepted; None: it was not.
    :param hangup_at: When the reaper ends it in any case; set before it is accepted, never moved later.
    :param ended_at: When it was over; None: it goes on.
    :param end_reason: Why it ended, for example ``max_duration``, ``gone`` or the reason of the part that ended it.
    :param status_code: SIP status it was rejected with.
    :param target_uri: Target of a requested transfer.
    :param media_security: ``rtp``, ``srtp`` or another word of OpenAI's; None when OpenAI did not report it.
    :param end_wanted: Why an end was requested, stored before the call is ended; None: no end was requested.
    :param end_wanted_by: Who requested it: a task, a user or a part of this package.
    :param end_wanted_at: When it was requested.
    :param end_due_at: When it is due. If later than ``end_wanted_at``, an owner that goes on with the call cancels it.
    :param ended_by: Who ended it, an :class:`~airflow_openai_realtime.states.EndedBy` or the name of a task or user;
        None: not known.
    :param end_witness: How the end is known: ``api``, ``transfer``, ``carrier``, ``socket`` or ``found_gone``.
    :param transfer_state: ``wanted`` when a transfer to ``target_uri`` is about to be requested, or may have been;
        ``transfer_requested`` when it was requested; None: none was requested.
    :param talk_seconds: Length of the call as the carrier counted it, in seconds; None: not known.
    """

    call_id: str
    line: str
    state: str
    received_at: datetime
    expires_at: datetime
    from_number: str | None = field(default=None, repr=False)
    to_number: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    media_security: str | None = None
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    accepted_at: datetime | None = None
    hangup_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    status_code: int | None = None
    target_uri: str | None = field(default=None, repr=False)
    end_wanted: str | None = None
    end_wanted_by: str | None = None
    end_wanted_at: datetime | None = None
    end_due_at: datetime | None = None
    ended_by: str | None = None
    end_witness: str | None = None
    talk_seconds: float | None = None
    transfer_state: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether the call has reached a final state."""
        return self.state not in OPEN_CALL_STATES

    @property
    def end_is_delayed(self) -> bool:
        """Whether the requested end is cancelled if an owner goes on with the call in time."""
        return self.end_due_at is not None and self.end_wanted_at is not None and self.end_due_at > self.end_wanted_at

    def header(self, name: str) -> str | None:
        """
        Return the value of a SIP header; None when the call does not have it.

        :param name: Name of the header, any case.
        """
        return self.headers.get(name.lower())

    def to_dict(self) -> dict[str, Any]:
        """Return the call as JSON primitives, instants as ISO 8601 in UTC. This is the form of a call in XCom."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SwitchboardCall:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: JSON object.
        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        return _from_dict(cls, value, what="call", instants=_CALL_INSTANTS)


@dataclass(frozen=True)
class Attempt:
    """
    One row of the ledger: the n-th attempt to dial a contact of a campaign. Times are aware, in UTC.

    :param attempt_id: Id of the row.
    :param campaign: Name of the campaign, as the DAG author gave it.
    :param contact: Key of the contact within the campaign.
    :param attempt: 1 for the first attempt.
    :param state: ``reserved, dialing, placed, ended`` or ``unknown`` (the phone may have rung).
    :param correlation_id: Random and unguessable; a SIP header carries it, which identifies the incoming call.
    :param created_at: When the row was made.
    :param updated_at: When the row last changed.
    :param to_number: The number to dial, E.164.
    :param carrier_call_id: The carrier's id of the call that it placed.
    :param outcome: Result of the attempt, in the campaign's words.
    :param call_id: OpenAI's id of the call, once it has come in.
    :param detail: Free text about the last transition, without personal data.
    :param claimant: Stable name of the task that dials, ``dag/run/task/map_index``; None: not known.
    :param created: Whether the request that this answers made the row. Not stored.
    """

    attempt_id: str
    campaign: str
    contact: str
    attempt: int
    state: str
    correlation_id: str
    created_at: datetime
    updated_at: datetime
    to_number: str | None = field(default=None, repr=False)
    carrier_call_id: str | None = None
    outcome: str | None = None
    call_id: str | None = None
    detail: str | None = None
    claimant: str | None = None
    created: bool = False

    @property
    def is_number_refused(self) -> bool:
        """Whether the attempt is over because the carrier refused its number before dialing."""
        placed = self.carrier_call_id is not None or self.call_id is not None
        return self.state == AttemptState.ENDED and self.outcome == AttemptOutcome.FAILED and not placed

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Attempt:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: JSON object.
        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        return _from_dict(cls, value, what="attempt", instants=_ATTEMPT_INSTANTS)


@dataclass(frozen=True)
class Preflight:
    """
    What the switchboard reports before a phone is dialed.

    :param first_started_at: When the DAG run first started, aware; ``None`` when no run was named.
    :param passed: Names of the requested checks that passed within the last minutes.
    :param problems: Reasons why an answered call would not be taken, a sentence each.
    """

    first_started_at: datetime | None = None
    passed: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Announcement:
    """
    A call that is about to be accepted.

    :param call: The call, with its ``hangup_at``.
    :param asked_before: Whether an accept was announced before: OpenAI may have received an accept request already.
    """

    call: SwitchboardCall
    asked_before: bool


@dataclass(frozen=True)
class CallPage:
    """
    Some calls, and the position in the feed up to which they are known.

    :param calls: Oldest first.
    :param cursor: Opaque text; pass it as ``after`` to get later changes.
    """

    calls: tuple[SwitchboardCall, ...]
    cursor: str


_CALL_INSTANTS = frozenset(f.name for f in fields(SwitchboardCall) if f.name.endswith("_at"))
_ATTEMPT_INSTANTS = frozenset(f.name for f in fields(Attempt) if f.name.endswith("_at"))


def _to_dict(record: Any) -> dict[str, Any]:
    return {f.name: _as_json(getattr(record, f.name)) for f in fields(record)}


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    return dict(value) if isinstance(value, Mapping) else value


def _from_dict(cls: type[_Record], value: Mapping[str, Any], *, what: str, instants: frozenset[str]) -> _Record:
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    given = {key: read_instant(key, item) if key in instants else item for key, item in value.items() if key in known}
    try:
        return cls(**given)
    except TypeError as error:
        raise InvalidInput(f"not a record of the switchboard ({what}): {error}", field=what) from error


def read_instant(key: str, value: Any) -> datetime | None:
    """
    Read an instant that came as JSON; one without an offset is UTC.

    :param key: Name of the field, for the error.
    :param value: ISO 8601 text, a datetime, or ``None``; the latter two are returned as they are.
    :raises InvalidInput: It is no ISO 8601.
    """
    if value is None or isinstance(value, datetime):
        return value
    try:
        # Python 3.10 does not read a trailing Z.
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidInput(f"{key} must be an ISO 8601 instant such as 2026-11-22T08:00:00+00:00", field=key) from error
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def instant_text(at: datetime) -> str:
    """
    Write an instant as ISO 8601 in UTC.

    :param at: An aware instant.
    """
    return at.astimezone(timezone.utc).isoformat()
