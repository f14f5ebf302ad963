"""
What may happen to a call: each move as a pure rule, from the call as it is to the values that change.

``ringing → claimed → accepted → ended``, or to ``rejected`` or ``missed``. A final state is never left: the first one
wins. The store applies a rule by compare-and-set, and asks again when the call changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.switchboard.errors import CLAIMED_BY_OTHER, ENDED, NOT_ACCEPTED, NOT_RINGING, MoveRefused
from airflow_openai_realtime.switchboard.records import ACCEPTED, CLAIMED, MISSED, REJECTED, RINGING, SwitchboardCall
from airflow_openai_realtime.switchboard.records import ENDED as ENDED_STATE

REFERRED = "referred"
"""What the feed calls a requested transfer; the call's state stays as it is."""


@dataclass(frozen=True)
class Change:
    """
    The outcome of a rule.

    :param values: Fields that get new values; none when the move was made before.
    :param kind: What the feed says; None when it need not say anything.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None


NOTHING = Change()


def claim(call: SwitchboardCall, claimant: str, now: datetime) -> Change:
    """
    Take a ringing call.

    :raises MoveRefused: Another claimant has it, or it rings no more.
    """
    if call.state in (CLAIMED, ACCEPTED):
        _require_claimant(call, claimant)
        return NOTHING
    _require_not_over(call)
    if call.expires_at <= now:
        raise _refused(call, NOT_RINGING, "has rung out")
    return _claimed(claimant, now)


def take_over(call: SwitchboardCall, claimant: str, from_claimant: str, now: datetime) -> Change:
    """
    Take over a live call from the standing order that has accepted it.

    :raises MoveRefused: It was not accepted yet, is over, or is another claimant's.
    """
    if call.state in (CLAIMED, ACCEPTED) and call.claimed_by == claimant:
        return NOTHING
    _require_not_over(call)
    if call.state != ACCEPTED:
        raise _refused(call, NOT_ACCEPTED, "was not accepted yet, so it cannot be taken over")
    _require_claimant(call, from_claimant)
    return Change({"claimed_by": claimant, "claimed_at": now}, CLAIMED)


def accepting(call: SwitchboardCall, claimant: str, now: datetime, max_duration_seconds: float) -> Change:
    """
    Fix when the call must be over, before OpenAI is asked to accept it; take it when nobody has.

    The moment is never moved later: an earlier accept request may have got through. Said again before the call is
    accepted, it renews ``claimed_at``.

    :raises MoveRefused: Another claimant has it, or it is over.
    """
    _require_not_over(call)
    hangup_at = now + timedelta(seconds=max_duration_seconds)
    if call.state == RINGING:
        taken = _claimed(claimant, now)
        return Change({**taken.values, "hangup_at": hangup_at}, taken.kind)
    _require_claimant(call, claimant)
    values: dict[str, Any] = {}
    if call.hangup_at is None or call.hangup_at > hangup_at:
        values["hangup_at"] = hangup_at
    if call.state == CLAIMED and call.hangup_at is not None:
        # A second try, perhaps while the first is still at it: the first can see that it is not the only one.
        values["claimed_at"] = now
    return Change(values)


def accepted(call: SwitchboardCall, claimant: str, now: datetime, default_duration_seconds: float) -> Change:
    """
    Note that OpenAI has accepted the call; it gets a time to hang up even when nobody gave one.

    :raises MoveRefused: It is over (hung up meanwhile), or another claimant has it.
    """
    _require_not_over(call)
    if call.state != RINGING:
        _require_claimant(call, claimant)
    if call.state == ACCEPTED:
        return NOTHING
    values: dict[str, Any] = {"state": ACCEPTED, "accepted_at": now}
    if call.state == RINGING:
        values |= {"claimed_by": claimant, "claimed_at": now}
    if call.hangup_at is None:
        values["hangup_at"] = now + timedelta(seconds=default_duration_seconds)
    return Change(values, ACCEPTED)


def rejected(call: SwitchboardCall, now: datetime, status_code: int) -> Change:
    """
    Note that the call was rejected.

    :raises MoveRefused: It was accepted.
    """
    if call.is_over:
        return NOTHING
    if call.state == ACCEPTED:
        raise _refused(call, NOT_RINGING, "was accepted, so it cannot have been rejected")
    return Change({"state": REJECTED, "status_code": status_code, "ended_at": now}, REJECTED)


def referred(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Note that a transfer was requested. Whether it came about is not known, so the call stays open.

    :raises MoveRefused: Nobody has accepted it.
    """
    if call.is_over or call.target_uri == target_uri:
        return NOTHING
    if call.state == RINGING:
        raise _refused(call, NOT_ACCEPTED, "was not accepted, so it cannot have been transferred")
    return Change({"target_uri": target_uri}, REFERRED)


def ended(call: SwitchboardCall, now: datetime, reason: str) -> Change:
    """Note that the call is over."""
    if call.is_over:
        return NOTHING
    return Change({"state": ENDED_STATE, "ended_at": now, "end_reason": reason}, ENDED_STATE)


def missed(call: SwitchboardCall, now: datetime, grace_seconds: float) -> Change:
    """Give up a call that rang out: unclaimed, or claimed without an accept request for too long."""
    if call.is_over or call.hangup_at is not None:
        return NOTHING
    grace = timedelta(seconds=0 if call.state == RINGING else grace_seconds)
    if call.state == ACCEPTED or call.expires_at + grace > now:
        return NOTHING
    return Change({"state": MISSED, "ended_at": now}, MISSED)


def _claimed(claimant: str, now: datetime) -> Change:
    return Change({"state": CLAIMED, "claimed_by": claimant, "claimed_at": now}, CLAIMED)


def _require_claimant(call: SwitchboardCall, claimant: str) -> None:
    if call.claimed_by != claimant:
        raise _refused(call, CLAIMED_BY_OTHER, "is another claimant's")


def _require_not_over(call: SwitchboardCall) -> None:
    if call.state == ENDED_STATE:
        raise _refused(call, ENDED, f"is over ({call.end_reason})")
    if call.is_over:
        raise _refused(call, NOT_RINGING, f"was {call.state}")


def _refused(call: SwitchboardCall, code: str, what: str) -> MoveRefused:
    return MoveRefused(f"call {call.call_id} {what}", code=code, call_id=call.call_id)
