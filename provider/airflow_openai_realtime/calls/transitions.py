"""
What may happen to a call: each move as a pure rule, from the call as it is to the values that change.

``ringing → claimed → accepted → ended``, or to ``rejected`` or ``missed``; from ``claimed`` back to ``ringing`` when
nothing was accepted and no accept is announced. A final state is never left: the first one wins. The store applies a
rule by compare-and-set, and asks again when the call changed in between.
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
"""The fields of a call that say who wants its end."""

ACTING_SECONDS = 5.0
"""How long a client that ends a call itself has for it, in seconds; then the switchboard ends the call."""

REFERRED = "referred"
"""What the feed calls a requested transfer; the call's state stays as it is."""


@dataclass(frozen=True)
class Change:
    """
    The outcome of a rule.

    :param values: Fields that get new values; none when the move was made before.
    :param kind: What the feed says; None when it need not say anything.
    :param columns: Columns that only the store knows, and their new values.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


NOTHING = Change()


def claim(call: SwitchboardCall, claimant: str, now: datetime) -> Change:
    """
    Take a ringing call.

    :param call: The call, as the store has it.
    :param claimant: Name of the claimant.
    :param now: The time, aware.
    :raises MoveRefused: Another claimant has it, or it rings no more.
    """
    if call.state in (CallState.CLAIMED, CallState.ACCEPTED):
        _require_claimant(call, claimant)
        return Change(_taken_up(call, now))
    _require_not_ending(call, now)
    if call.expires_at <= now:
        raise _refused(call, RefusalCode.NOT_RINGING, "has rung out")
    return _claimed(claimant, now)


def release(call: SwitchboardCall, claimant: str, claimed_at: datetime | None, reason: str) -> Change:
    """
    Give a claimed call back: it has certainly not been accepted, and rings on for others.

    The claim is identified by its time as well, since two tries of one claimant may work at the same time: the other
    one may be about to accept the call, and needs its ``hangup_at``.

    :param call: The call, as the store has it.
    :param claimant: Name of the claimant.
    :param claimed_at: When the claim to give back was made.
    :param reason: Why; kept as ``end_reason`` in case no other claimant answers the call.
    """
    if call.state != CallState.CLAIMED or call.claimed_by != claimant or call.claimed_at != claimed_at:
        return NOTHING
    no_holder = END_WANTED if call.end_is_delayed else ()
    given_back = dict.fromkeys(("claimed_by", "claimed_at", "hangup_at", *no_holder))
    return Change({"state": CallState.RINGING, **given_back, "end_reason": reason}, CallState.RINGING)


def lapse(call: SwitchboardCall, now: datetime, claim_seconds: float) -> Change:
    """
    Release a claimed call that its claimant does not accept, as when its DAG is paused or its task is gone.

    The claimant may only be slow, and can still accept the call while no other has claimed it. A claim that was made
    late holds for as long as the call had been ringing by then, so that slow claimants do not pass a call around until
    it rings out.

    :param call: The call, as the store has it.
    :param now: The time, aware.
    :param claim_seconds: How long a claim holds at least, above 0.
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


def accept_in_doubt(call: SwitchboardCall, claimant: str) -> Change:
    """
    Note that an accept of ours got no clear answer. The claim and its ``hangup_at`` stay: the call may be live.

    :param call: The call, as the store has it.
    :param claimant: Name of the claimant.
    """
    if call.state != CallState.CLAIMED or call.claimed_by != claimant:
        return NOTHING
    return Change({"end_reason": EndReason.ACCEPT_FAILED})


def take_over(call: SwitchboardCall, claimant: str, from_claimant: str, now: datetime) -> Change:
    """
    Take over a live call from the standing order that has accepted it.

    :param call: The call, as the store has it.
    :param claimant: Name of the claimant.
    :param from_claimant: Name of the claimant that has the call.
    :param now: The time, aware.
    :raises MoveRefused: It was not accepted yet, is over, or is another claimant's.
    """
    if call.state in (CallState.CLAIMED, CallState.ACCEPTED) and call.claimed_by == claimant:
        return Change(_taken_up(call, now))
    _require_not_ending(call, now)
    if call.state != CallState.ACCEPTED:
        raise _refused(call, RefusalCode.NOT_ACCEPTED, "was not accepted yet, so it cannot be taken over")
    _require_claimant(call, from_claimant)
    return Change({"claimed_by": claimant, "claimed_at": now, **_taken_up(call, now)}, CallState.CLAIMED)


def accepting(call: SwitchboardCall, claimant: str, now: datetime, max_duration_seconds: float) -> Change:
    """
    Fix when the call must be over, before OpenAI is asked to accept it; take it when nobody has.

    The moment is never moved later: an earlier accept request may have got through. Said again before the call is
    accepted, it renews ``claimed_at``.

    :param call: The call, as the store has it.
    :param claimant: Name of the claimant.
    :param now: The time, aware.
    :param max_duration_seconds: Limit of the call, in seconds.
    :raises MoveRefused: Another claimant has it, or it is over.
    """
    _require_not_ending(call, now)
    hangup_at = now + timedelta(seconds=max_duration_seconds)
    if call.state == CallState.RINGING:
        taken = _claimed(claimant, now)
        return Change({**taken.values, "hangup_at": hangup_at}, taken.kind)
    _require_claimant(call, claimant)
    values = _taken_up(call, now)
    if call.hangup_at is None or call.hangup_at > hangup_at:
        values["hangup_at"] = hangup_at
    if call.state == CallState.CLAIMED and call.hangup_at is not None:
        # A second try, perhaps while the first is still at it: the first can see that it is not the only one.
        values["claimed_at"] = now
    return Change(values)


def accepted(call: SwitchboardCall, claimant: str, now: datetime, default_duration_seconds: float) -> Change:
    """
    Note that OpenAI has accepted the call; it gets a time to hang up even when nobody gave one.

    :param call: The call, as the store has it.
    :param claimant: Name of the claimant.
    :param now: The time, aware.
    :param default_duration_seconds: Limit of a call whose accept was not announced, in seconds.
    :raises MoveRefused: It is over (hung up meanwhile), or another claimant has it.
    """
    _require_not_over(call)
    if call.state != CallState.RINGING:
        _require_claimant(call, claimant)
    if call.state == CallState.ACCEPTED:
        return Change(_taken_up(call, now))
    on = _rings_on() if call.end_wanted == EndReason.REJECTED else Change(_taken_up(call, now))
    # A failure that was noted while it rang is of no account any more.
    values: dict[str, Any] = {"state": CallState.ACCEPTED, "accepted_at": now, "end_reason": None, **on.values}
    if call.state == CallState.RINGING:
        values |= {"claimed_by": claimant, "claimed_at": now}
    if call.hangup_at is None:
        values["hangup_at"] = now + timedelta(seconds=default_duration_seconds)
    return Change(values, CallState.ACCEPTED, on.columns)


def rejected(call: SwitchboardCall, now: datetime, status_code: int, account: Account | None = None) -> Change:
    """
    Note that the call was rejected.

    :param call: The call, as the store has it.
    :param now: The time, aware.
    :param status_code: SIP status of the decline, 300 to 699.
    :param account: Why, and by whom; left out: as was asked for before, if it was.
    :raises MoveRefused: It was accepted.
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
    Note who is about to decline a call. A call that is accepted nevertheless goes on.

    :param call: The call, as the store has it.
    :param now: The time, aware.
    :param by: Who declines it.
    :param status_code: SIP status, 300 to 699.
    :param acting_seconds: How long the client has to decline the call itself, in seconds; then the switchboard does.
    :raises MoveRefused: It was accepted.
    """
    if call.state == CallState.ACCEPTED:
        raise _refused(call, RefusalCode.NOT_RINGING, "was accepted, so it cannot be declined")
    return want_end(call, now, EndReason.REJECTED, by, status_code=status_code, acting_seconds=acting_seconds)


def not_declined(call: SwitchboardCall, by: str) -> Change:
    """
    Withdraw the intention to decline a call, which was certainly not carried out.

    :param call: The call, as the store has it.
    :param by: Who wanted to decline it.
    """
    if call.is_over or (call.end_wanted, call.end_wanted_by) != (EndReason.REJECTED, by):
        return NOTHING
    return _rings_on()


def want_transfer(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Note that a transfer is about to be requested.

    :param call: The call, as the store has it.
    :param target_uri: ``tel:`` or ``sip:`` address.
    :raises MoveRefused: It was not accepted.
    """
    return _transferred(call, target_uri, TRANSFER_WANTED)


def referred(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Note that a transfer was requested. Whether it came about is not known, so the call stays open.

    :param call: The call, as the store has it.
    :param target_uri: ``tel:`` or ``sip:`` address.
    :raises MoveRefused: It was not accepted.
    """
    return _transferred(call, target_uri, EndReason.TRANSFER_REQUESTED)


def not_referred(call: SwitchboardCall, target_uri: str) -> Change:
    """
    Note that a transfer that was to be requested certainly was not.

    :param call: The call, as the store has it.
    :param target_uri: ``tel:`` or ``sip:`` address.
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
    Note that the call is over. When it is over already, only a stronger witness changes its account.

    An end or a transfer that was asked for before the call was over counts as its cause. After an accept of ours had
    failed, a call that was found gone was not necessarily ended by its caller.

    :param call: The call, as the store has it.
    :param now: The time, aware.
    :param reason: Why, or all that a witness says.
    :param ended_at: When it was over, aware; ``None``: now.
    :param too_late_for: Who asked for the end but certainly after the call was over; ``None``: not known.
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
        # Of equals, the one that carried it out counts more than the one that was about to.
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
    Note who wants the call to end, before it is ended.

    The first request to end the call at once counts; it replaces a request to end it later.

    :param call: The call, as the store has it.
    :param now: The time, aware.
    :param reason: Why, 1 to 200 characters.
    :param by: Who wants it.
    :param after_seconds: 0: now. Above: the call has lost its holder, and ends then unless another takes it over.
    :param status_code: SIP status for a call that only rings; ``None``: the usual one.
    :param acting_seconds: How long the client has to end the call itself, in seconds; then the switchboard does.
    """
    is_decided = call.end_wanted is not None and not call.end_is_delayed
    if call.is_over or is_decided:
        return NOTHING
    if after_seconds > 0 and call.hangup_at is None:
        # It only rings, and rings out by itself.
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
    Give up a call that rang out: unclaimed, or claimed without an accept request for too long.

    :param call: The call, as the store has it.
    :param now: The time, aware.
    :param grace_seconds: How long after its ringing a claimed call is still not missed, in seconds.
    """
    if call.is_over or call.hangup_at is not None:
        return NOTHING
    grace = timedelta(seconds=0 if call.state == CallState.RINGING else grace_seconds)
    if call.state == CallState.ACCEPTED or call.expires_at + grace > now:
        return NOTHING
    return Change({"state": CallState.MISSED, "ended_at": now}, CallState.MISSED)


def told_by(account: Account) -> dict[str, Any]:
    """
    Return the fields of a call that hold an account of its end.

    :param account: The account that stands.
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
    """What changes when a holder goes on with a call that was to end unless one does."""
    if not call.end_is_delayed or (call.end_due_at is not None and call.end_due_at <= now):
        return {}
    return dict.fromkeys(END_WANTED)


def _claimed(claimant: str, now: datetime) -> Change:
    return Change({"state": CallState.CLAIMED, "claimed_by": claimant, "claimed_at": now}, CallState.CLAIMED)


def _require_claimant(call: SwitchboardCall, claimant: str) -> None:
    if call.claimed_by != claimant:
        raise _refused(call, RefusalCode.CLAIMED_BY_OTHER, "is another claimant's")


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
