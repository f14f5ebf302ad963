"""
Transitions of a call. Each one is a pure rule: it takes the current call and returns the fields to change.

``ringing → claimed → accepted → ended``, or to ``rejected`` or ``missed``; from ``claimed`` back to ``ringing`` when
nothing was accepted and no accept is announced. Final states are final: the first one wins. The store applies a rule
by compare-and-set and evaluates it again when the call has changed in between, so a rule may run several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import (
    TRANSFER_WANTED,
    Account,
    account_of,
    intended,
    kept_account,
    standing,
)
from airflow_openai_realtime.exceptions import MoveRefused
from airflow_openai_realtime.states import CallState, EndReason, RefusalCode, Witness

END_WANTED = ("end_wanted", "end_wanted_by", "end_wanted_at", "end_due_at")
"""Fields of a call that record a requested end: reason, requester, request time, due time."""

ACTING_SECONDS = 5.0
"""Seconds that a client has to end a call itself before the switchboard ends it."""

REFERRED = "referred"
"""Kind of the feed entry for a requested transfer; the state of the call does not change."""


@dataclass(frozen=True)
class Change:
    """
    What a rule changes.

    :param values: New values by field of the call; empty when the transition has already happened.
    :param kind: Kind of the feed entry to write; None writes no entry.
    :param columns: New values by column, for columns that exist only in the store.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


NOTHING = Change()


def claim(call: SwitchboardCall, owner: str, now: datetime) -> Change:
    """
    Claim a ringing call. Claiming it again as the same owner changes nothing.

    :param call: The call as stored.
    :param owner: Name of the new owner.
    :param now: Current time, aware.
    :raises MoveRefused: Another owner has the call, or it has stopped ringing.
    """
    if call.state in (CallState.CLAIMED, CallState.ACCEPTED):
        _require_owner(call, owner)
        return Change(_taken_up(call, now))
    _require_not_ending(call, now)
    if call.expires_at <= now:
        raise _refused(call, RefusalCode.NOT_RINGING, "has stopped ringing")
    return _claimed(owner, now)


def release(call: SwitchboardCall, owner: str, claimed_at: datetime | None, reason: str) -> Change:
    """
    Give back a claimed call that was certainly not accepted. It keeps ringing, and others may claim it.

    ``claimed_at`` identifies the claim, since two tries of one task can run at the same time: the other try may be
    about to accept the call and needs its ``hangup_at``. Releasing another claim changes nothing.

    :param call: The call as stored.
    :param owner: Name of the owner.
    :param claimed_at: Time of the claim to give back.
    :param reason: Why it is given back; kept as ``end_reason`` in case no other owner answers the call.
    """
    if call.state != CallState.CLAIMED or call.claimed_by != owner or call.claimed_at != claimed_at:
        return NOTHING
    no_holder = END_WANTED if call.end_is_delayed else ()
    given_back = dict.fromkeys(("claimed_by", "claimed_at", "hangup_at", *no_holder))
    return Change({"state": CallState.RINGING, **given_back, "end_reason": reason}, CallState.RINGING)


def lapse(call: SwitchboardCall, now: datetime, claim_seconds: float) -> Change:
    """
    Release a claimed call that its owner does not accept, for example because its DAG is paused or its task is gone.

    A slow owner can still accept the call until another one claims it. A claim made late lasts as long as the call
    had been ringing by then, so that slow owners do not pass a call around until it stops ringing.

    :param call: The call as stored.
    :param now: Current time, aware.
    :param claim_seconds: Minimum length of a claim in seconds, above 0.
    """
    if (
        call.state != CallState.CLAIMED
        or call.hangup_at is not None
        or call.claimed_at is None
        or call.expires_at <= now
    ):
        return NOTHING
    holds = max(timedelta(seconds=claim_seconds), call.claimed_at - call.received_at)
    if call.claimed_at + holds > now:
        return NOTHING
    return Change({"state": CallState.RINGING, "claimed_by": None, "claimed_at": None}, CallState.RINGING)


def accept_in_doubt(call: SwitchboardCall, owner: str) -> Change:
    """
    Record that our accept request got no clear answer. The claim and its ``hangup_at`` stay: the call may be live.

    :param call: The call as stored.
    :param owner: Name of the owner; another owner's note changes nothing.
    """
    if call.state != CallState.CLAIMED or call.claimed_by != owner:
        return NOTHING
    return Change({"end_reason": EndReason.ACCEPT_FAILED})


def take_over(call: SwitchboardCall, owner: str, from_owner: str, now: datetime) -> Change:
    """
    Take over a live call from the standing order that accepted it. Doing so twice changes nothing.

    :param call: The call as stored.
    :param owner: Name of the new owner.
    :param from_owner: Name of the owner so far: ``order:NAME``.
    :param now: Current time, aware.
    :raises MoveRefused: The call is not accepted yet, is over, or has another owner.
    """
    if call.state in (CallState.CLAIMED, CallState.ACCEPTED) and call.claimed_by == owner:
        return Change(_taken_up(call, now))
    _require_not_ending(call, now)
    if call.state != CallState.ACCEPTED:
        raise _refused(call, RefusalCode.NOT_ACCEPTED, "was not accepted yet, so it cannot be taken over")
    _require_owner(call, from_owner)
    return Change({"claimed_by": owner, "claimed_at": now, **_taken_up(call, now)}, CallState.CLAIMED)


def accepting(call: SwitchboardCall, owner: str, now: datetime, max_duration_seconds: float) -> Change:
    """
    Set ``hangup_at`` before OpenAI is asked to accept the call; claim the call if it has no owner.

    ``hangup_at`` never moves later: an earlier accept request may have got through. Announced again before the call
    is accepted, ``claimed_at`` is renewed.

    :param call: The call as stored.
    :param owner: Name of the owner.
    :param now: Current time, aware.
    :param max_duration_seconds: Longest call in seconds from now, above 0.
    :raises MoveRefused: Another owner has the call, or it is over.
    """
    _require_not_ending(call, now)
    hangup_at = now + timedelta(seconds=max_duration_seconds)
    if call.state == CallState.RINGING:
        taken = _claimed(owner, now)
        return Change({**taken.values, "hangup_at": hangup_at}, taken.kind)
    _require_owner(call, owner)
    values = _taken_up(call, now)
    if call.hangup_at is None or call.hangup_at > hangup_at:
        values["hangup_at"] = hangup_at
    if call.state == CallState.CLAIMED and call.hangup_at is not None:
        # A second try, perhaps while the first still runs: the new claimed_at tells the first that it is not alone.
        values["claimed_at"] = now
    return Change(values)


def accepted(call: SwitchboardCall, owner: str, now: datetime, default_duration_seconds: float) -> Change:
    """
    Record that OpenAI accepted the call. A call without ``hangup_at`` gets one.

    :param call: The call as stored.
    :param owner: Name of the owner.
    :param now: Current time, aware.
    :param default_duration_seconds: Longest call in seconds from now, above 0, when none was announced.
    :raises MoveRefused: The call is over (hung up meanwhile), or another owner has it.
    """
    _require_not_over(call)
    if call.state != CallState.RINGING:
        _require_owner(call, owner)
    if call.state == CallState.ACCEPTED:
        return Change(_taken_up(call, now))
    on = _rings_on() if call.end_wanted == EndReason.REJECTED else Change(_taken_up(call, now))
    # An accept that failed while the call rang no longer matters.
    values: dict[str, Any] = {"state": CallState.ACCEPTED, "accepted_at": now, "end_reason": None, **on.values}
    if call.state == CallState.RINGING:
        values |= {"claimed_by": owner, "claimed_at": now}
    if call.hangup_at is None:
        values["hangup_at"] = now + timedelta(seconds=default_duration_seconds)
    return Change(values, CallState.ACCEPTED, on.columns)


def rejected(call: SwitchboardCall, now: datetime, status_code: int, account: Account | None = None) -> Change:
    """
    Record that the call was rejected. A call that is already over does not change.

    :param call: The call as stored.
    :param now: Current time, aware.
    :param status_code: SIP status that was sent, 300 to 699.
    :param account: Why and by whom; None uses the recorded request to reject the call, if there is one.
    :raises MoveRefused: The call was accepted.
    """
    if call.is_over:
        return NOTHING
    if call.state == CallState.ACCEPTED:
        raise _refused(call, RefusalCode.NOT_RINGING, "was accepted, so it cannot have been rejected")
    told = account or intended(call, now)
    why: dict[str, Any] = {"end_reason": None} if told is None else told_by(told)
    return Change({"state": CallState.REJECTED, "status_code": status_code, "ended_at": now, **why}, CallState.REJECTED)


def want_decline(
    call: SwitchboardCall, now: datetime, by: str, status_code: int, acting_seconds: float = 0.0
) -> Change:
    """
    Record who is about to decline a call. If the call is accepted nevertheless, it goes on.

    :param call: The call as stored.
    :param now: Current time, aware.
    :param by: Name of the task, user or part of this package that declines the call.
    :param status_code: SIP status, 300 to 699.
    :param acting_seconds: Seconds that the client has to decline the call itself before the switchboard does.
    :raises MoveRefused: The call was accepted.
    """
    if call.state == CallState.ACCEPTED:
        raise _refused(call, RefusalCode.NOT_RINGING, "was accepted, so it cannot be declined")
    return want_end(call, now, EndReason.REJECTED, by, status_code=status_code, acting_seconds=acting_seconds)


def not_declined(call: SwitchboardCall, by: str) -> Change:
    """
    Withdraw the request to decline a call after the request certainly failed.

    :param call: The call as stored.
    :param by: Who made the request; a request of another one stays.
    """
    if call.is_over or (call.end_wanted, call.end_wanted_by) != (EndReason.REJECTED, by):
        return NOTHING
    return _rings_on()


def want_transfer(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Record that a transfer is about to be requested.

    :param call: The call as stored.
    :param target_uri: SIP or tel URI of the target.
    :raises MoveRefused: The call was not accepted.
    """
    return _transferred(call, target_uri, TRANSFER_WANTED)


def referred(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Record that a transfer was requested. OpenAI does not report whether it succeeded, so the call stays open.

    :param call: The call as stored.
    :param target_uri: SIP or tel URI of the target.
    :raises MoveRefused: The call was not accepted.
    """
    return _transferred(call, target_uri, EndReason.TRANSFER_REQUESTED)


def not_referred(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Withdraw a recorded transfer that was certainly not requested.

    :param call: The call as stored.
    :param target_uri: Target of that transfer; a transfer to another target stays.
    """
    if call.transfer_state != TRANSFER_WANTED or call.target_uri != target_uri:
        return NOTHING
    return Change({"target_uri": None, "transfer_state": None})


def ended(
    call: SwitchboardCall,
    now: datetime,
    reason: str | Account,
    *,
    ended_at: datetime | None = None,
    too_late_for: str | None = None,
) -> Change:
    """
    Record that the call is over. If it is over already, only a stronger witness changes its account.

    An end or transfer requested before the call was over counts as the cause. If our accept failed and the call is
    found gone, the account says ``accept_failed``: the caller did not necessarily hang up.

    :param call: The call as stored.
    :param now: Current time, aware.
    :param reason: Why it ended, 1 to 200 characters, or the whole account of a witness.
    :param ended_at: When the call ended, aware; ``None``: now.
    :param too_late_for: Requester whose request certainly came after the end; ``None``: not known.
    """
    new = reason if isinstance(reason, Account) else account_of(reason)
    at = min(now, ended_at or now)
    if call.is_over:
        return _corrected(call, new)
    if (
        new.witness is Witness.FOUND_GONE
        and call.state != CallState.ACCEPTED
        and call.end_reason == EndReason.ACCEPT_FAILED
    ):
        new = account_of(EndReason.ACCEPT_FAILED)
    if call.target_uri is not None:
        new = standing(new, Account(Witness.TRANSFER, EndReason.TRANSFER_REQUESTED))
    wanted = intended(call, at)
    if wanted is not None and wanted.by != too_late_for:
        # Between equal witnesses, the one that ended the call counts more than the one that was about to.
        new = standing(new, wanted)
    return Change({"state": CallState.ENDED, "ended_at": at, **told_by(new)}, CallState.ENDED)


def want_end(
    call: SwitchboardCall,
    now: datetime,
    reason: str,
    by: str,
    after_seconds: float = 0.0,
    *,
    status_code: int | None = None,
    acting_seconds: float = 0.0,
) -> Change:
    """
    Record a request to end the call, before the call is ended.

    The first request to end the call at once counts; it replaces a request to end it later.

    :param call: The call as stored.
    :param now: Current time, aware.
    :param reason: Why, 1 to 200 characters.
    :param by: Name of the task, user or part of this package that requests it.
    :param after_seconds: 0 ends the call now. Above 0: the call has lost its owner, and ends after these seconds
        unless another owner takes it over.
    :param status_code: SIP status for a call that still rings; ``None``: the default status.
    :param acting_seconds: Seconds that the client has to end the call itself before the switchboard does.
    """
    is_decided = call.end_wanted is not None and not call.end_is_delayed
    if call.is_over or is_decided:
        return NOTHING
    if after_seconds > 0 and call.hangup_at is None:
        # The call was not accepted, so it stops ringing without us.
        return NOTHING
    values: dict[str, Any] = {
        "end_wanted": reason,
        "end_wanted_by": by,
        "end_wanted_at": now,
        "end_due_at": now + timedelta(seconds=after_seconds),
    }
    if status_code is not None and call.state != CallState.ACCEPTED:
        values["status_code"] = status_code
    acting = {"hangup_not_before": now + timedelta(seconds=acting_seconds), "hangup_sent_at": now}
    return Change(values, columns=acting if acting_seconds > 0 else {})


def missed(call: SwitchboardCall, now: datetime, grace_seconds: float) -> Change:
    """
    Mark a call as missed when it has stopped ringing and no accept was announced.

    :param call: The call as stored.
    :param now: Current time, aware.
    :param grace_seconds: Extra seconds, 0 or more, that a claimed call gets after ``expires_at``.
    """
    if call.is_over or call.hangup_at is not None:
        return NOTHING
    grace = timedelta(seconds=0 if call.state == CallState.RINGING else grace_seconds)
    if call.state == CallState.ACCEPTED or call.expires_at + grace > now:
        return NOTHING
    return Change({"state": CallState.MISSED, "ended_at": now}, CallState.MISSED)


def told_by(account: Account) -> dict[str, Any]:
    """
    Return the fields of a call that store the account of its end.

    :param account: The account to store.
    """
    return {
        "end_reason": account.reason,
        "ended_by": account.by,
        "end_witness": account.witness.value,
        "talk_seconds": account.talk_seconds,
    }


def _transferred(call: SwitchboardCall, target_uri: str, state: str) -> Change:
    if call.is_over or (call.target_uri == target_uri and call.transfer_state in (state, EndReason.TRANSFER_REQUESTED)):
        return NOTHING
    if call.state == CallState.RINGING:
        raise _refused(call, RefusalCode.NOT_ACCEPTED, "was not accepted, so it cannot have been transferred")
    return Change({"target_uri": target_uri, "transfer_state": state}, REFERRED)


def _corrected(call: SwitchboardCall, new: Account) -> Change:
    kept = kept_account(call)
    if call.state != CallState.ENDED or kept is None:
        return NOTHING
    told = standing(kept, new)
    return NOTHING if told == kept else Change(told_by(told), CallState.ENDED)


def _rings_on() -> Change:
    free = dict.fromkeys(("hangup_not_before", "hangup_sent_at"))
    return Change({**dict.fromkeys(END_WANTED), "status_code": None}, columns=free)


def _taken_up(call: SwitchboardCall, now: datetime) -> dict[str, Any]:
    """Cancel a delayed end when an owner goes on with the call in time."""
    if not call.end_is_delayed or (call.end_due_at is not None and call.end_due_at <= now):
        return {}
    return dict.fromkeys(END_WANTED)


def _claimed(owner: str, now: datetime) -> Change:
    return Change({"state": CallState.CLAIMED, "claimed_by": owner, "claimed_at": now}, CallState.CLAIMED)


def _require_owner(call: SwitchboardCall, owner: str) -> None:
    if call.claimed_by != owner:
        raise _refused(call, RefusalCode.CLAIMED_BY_OTHER, "has another owner")


def _require_not_over(call: SwitchboardCall) -> None:
    if call.is_over and call.end_reason == EndReason.ACCEPT_FAILED:
        raise _refused(
            call, RefusalCode.ACCEPT_FAILED, f"is over ({call.state}): it could not be accepted while it rang"
        )
    if call.state == CallState.ENDED:
        raise _refused(call, RefusalCode.ENDED, f"is over ({call.end_reason})")
    if call.is_over:
        raise _refused(call, RefusalCode.NOT_RINGING, f"was {call.state}")


def _require_not_ending(call: SwitchboardCall, now: datetime) -> None:
    _require_not_over(call)
    wanted = intended(call, now)
    if wanted is not None:
        raise _refused(call, RefusalCode.ENDED, f"is being ended ({wanted.reason})")


def _refused(call: SwitchboardCall, code: str, what: str) -> MoveRefused:
    return MoveRefused(f"call {call.call_id} {what}", code=code, call_id=call.call_id)
