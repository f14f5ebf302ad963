"""
What the switchboard knows about a call and about an attempt to dial, as values that travel as JSON.

``repr`` leaves out phone numbers and SIP headers, so that a record in a log line shows no personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from airflow_openai_realtime.api.instants import instant_text, read_instant
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import OPEN_CALL_STATES, AttemptOutcome, AttemptState

"""States from which a call can still change; the others are final, and the first final state wins."""


ATTEMPT_MOVES: Mapping[str, tuple[AttemptState, ...]] = {
    AttemptState.RESERVED: (AttemptState.DIALING, AttemptState.ENDED),
    # Back to reserved only when the carrier was certainly never reached.
    AttemptState.DIALING: (AttemptState.PLACED, AttemptState.ENDED, AttemptState.UNKNOWN, AttemptState.RESERVED),
    AttemptState.PLACED: (AttemptState.PLACED, AttemptState.ENDED, AttemptState.UNKNOWN),
    AttemptState.UNKNOWN: (AttemptState.UNKNOWN, AttemptState.PLACED, AttemptState.ENDED),
    # To dialing only with another number than the one that the carrier refused.
    AttemptState.ENDED: (AttemptState.ENDED, AttemptState.DIALING),
}
"""Which states an attempt may move to. None leads from *unknown* back to dialing: nothing dials twice by itself."""

"""Outcome of an attempt whose number the carrier refused; also of a call that was placed and failed."""

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class SwitchboardCall:
    """
    One phone call as the switchboard sees it.

    :param call_id: OpenAI's id, for example ``rtc_u1_abc``.
    :param line: The line (OpenAI project) it came in on.
    :param state: ``ringing, claimed, accepted, rejected, ended`` or ``missed``.
    :param received_at: When the switchboard stored it.
    :param expires_at: Until when it is worth accepting; a ringing call past it is missed.
    :param from_number: The caller, E.164; None when the caller hides it or is no phone.
    :param to_number: The number that was dialled, E.164; None when unknown.
    :param headers: SIP headers of the INVITE by lower-case name, repeated ones joined by ``", "``. Written by the
        caller's side: hostile text.
    :param claimed_by: Who has it: the claimant's own, stable name.
    :param claimed_at: When it got it, or when it last said again that it is about to accept it.
    :param hangup_at: When the reaper ends it, whatever else happens; set before it is accepted, never moved later.
    :param end_reason: Why it ended, for example ``max_duration``, ``gone`` or what the caller of *ended* gave.
    :param status_code: SIP status it was rejected with.
    :param target_uri: Where a transfer was requested to.
    :param media_security: ``rtp``, ``srtp`` or another word of OpenAI's; None when it did not say.
    :param end_wanted: Why the call is to end, noted before it is ended; None when its end was not asked for.
    :param end_wanted_by: Who asked: a task, a user or a part of this package.
    :param end_wanted_at: When that was asked.
    :param end_due_at: When it is due. Later than ``end_wanted_at``: only if no holder takes the call up before.
    :param ended_by: Who ended it, in the words of :mod:`~airflow_openai_realtime.calls.witnesses`; None when
        that is not known.
    :param end_witness: How the end is known: ``api``, ``transfer``, ``carrier``, ``socket`` or ``found_gone``.
    :param transfer_state: ``wanted`` when a transfer to ``target_uri`` is about to be requested, or may have been;
        ``transfer_requested`` when it was; None when none was wanted.
    :param talk_seconds: How long the carrier counted, in seconds; None: not known.
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
        """Whether it is to end only if no holder takes it up before."""
        return self.end_due_at is not None and self.end_wanted_at is not None and self.end_due_at > self.end_wanted_at

    def header(self, name: str) -> str | None:
        """Value of a SIP header, whatever the case of its name; None when the call has none."""
        return self.headers.get(name.lower())

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC. The shape of a call in XCom."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SwitchboardCall:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        return _from_dict(cls, value, what="call", instants=_CALL_INSTANTS)


@dataclass(frozen=True)
class Attempt:
    """
    One row of the ledger: the n-th attempt to ring a contact of a campaign.

    :param attempt_id: The row's own id.
    :param campaign: Name of the campaign, as the DAG author gave it.
    :param contact: Key of the contact within the campaign.
    :param attempt: 1 for the first attempt.
    :param state: ``reserved, dialing, placed, ended`` or ``unknown`` (the phone may have rung).
    :param correlation_id: Unguessable; travels as a SIP header so that the incoming call can be recognised.
    :param to_number: The number to ring, E.164.
    :param carrier_call_id: The carrier's id of the call it placed.
    :param outcome: What became of it, in the campaign's words.
    :param call_id: OpenAI's id of the call, when it came in.
    :param detail: Free text about the last move, without personal data.
    :param claimant: Stable name of the task that dials, ``dag/run/task/map_index``; None: not known.
    :param created: Whether this answer is of the request that made the row. Not stored.
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
        """Whether the attempt is over because the carrier refused its number; nothing was dialed."""
        placed = self.carrier_call_id is not None or self.call_id is not None
        return self.state == AttemptState.ENDED and self.outcome == AttemptOutcome.FAILED and not placed

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Attempt:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :raises InvalidInput: A required key is missing, or an instant cannot be read.
        """
        return _from_dict(cls, value, what="attempt", instants=_ATTEMPT_INSTANTS)


@dataclass(frozen=True)
class Preflight:
    """
    What the switchboard knows before a phone is dialed.

    :param first_started_at: When the DAG run first started; ``None`` when no run was named.
    :param passed: Names of the checks asked for that passed within the last minutes.
    :param problems: What would keep an answered call from being taken, a sentence each.
    """

    first_started_at: datetime | None = None
    passed: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Announcement:
    """
    A call that is about to be accepted.

    :param call: The call, with its ``hangup_at``.
    :param asked_before: Whether an accept was announced before: OpenAI may have been asked already.
    """

    call: SwitchboardCall
    asked_before: bool


@dataclass(frozen=True)
class CallPage:
    """
    Some calls, and the place in the feed up to which they are known.

    :param calls: Oldest first.
    :param cursor: Opaque; give it as ``after`` to learn what came later.
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
        raise InvalidInput(f"this is no {what} of the switchboard: {error}", field=what) from error
