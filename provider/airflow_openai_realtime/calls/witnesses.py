"""
Decide which account of a call's end counts. Pure, and the only place that decides it.

Several parts notice that a call is over, at different times and with different knowledge: the part that requested the
end, the owner whose socket closes, the carrier, the reaper. Each gives an *account*. A stronger witness replaces the
account of a weaker one, never the reverse; between equals the first counts. What no witness knows is ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_openai_realtime.states import EndReason, Witness

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_openai_realtime.calls.call import SwitchboardCall

TRANSFER_WANTED = "wanted"
"""State of a transfer that is about to be requested, or may have been."""

#: Reasons that are given only by parts that end calls themselves.
_OURS = frozenset(
    {
        EndReason.HUNG_UP,
        EndReason.KILLED,
        EndReason.STOPPED,
        EndReason.END_CALL,
        EndReason.SILENCE,
        EndReason.MAX_DURATION,
    }
)
_FOUND_GONE = frozenset({EndReason.GONE, EndReason.HANG_UP_FAILED, EndReason.DECIDED_ELSEWHERE})

_RANKS = {witness: rank for rank, witness in enumerate(reversed(Witness))}


@dataclass(frozen=True)
class Account:
    """
    What one witness says about the end of a call.

    :param witness: Kind of witness.
    :param reason: Why the call ended, for example ``hung_up``, ``max_duration``, ``socket_closed``; 1 to 200
        characters.
    :param by: Who ended it; ``None``: not known.
    :param talk_seconds: Length of the call as the carrier counted it, in seconds, 0 or more; ``None``: not known.
    """

    witness: Witness
    reason: str
    by: str | None = None
    talk_seconds: float | None = None


def account_of(reason: str) -> Account:
    """
    Return the account of a witness that gave only a reason.

    :param reason: 1 to 200 characters.
    """
    if reason in _OURS:
        return Account(Witness.API, reason)
    if reason == EndReason.TRANSFER_REQUESTED:
        return Account(Witness.TRANSFER, reason)
    return Account(Witness.FOUND_GONE if reason in _FOUND_GONE else Witness.SOCKET, reason)


def standing(kept: Account | None, new: Account) -> Account:
    """
    Return the account that counts after a new one was given.

    :param kept: The account so far; ``None``: there was none.
    :param new: The account of another witness.
    """
    if kept is None:
        return new
    first, second = (new, kept) if _RANKS[new.witness] > _RANKS[kept.witness] else (kept, new)
    seconds = first.talk_seconds if first.talk_seconds is not None else second.talk_seconds
    return Account(first.witness, first.reason, first.by, seconds)


def kept_account(call: SwitchboardCall) -> Account | None:
    """
    Return the stored account of a call's end.

    :param call: The call as stored.
    :return: ``None`` when the call is not over or has no account.
    """
    if not call.is_over or call.end_reason is None:
        return None
    return Account(witness_of(call), call.end_reason, call.ended_by, call.talk_seconds)


def intended(call: SwitchboardCall, at: datetime) -> Account | None:
    """
    Return the account of the party that requested the end of a call.

    :param call: The call as stored.
    :param at: When the call was over, aware.
    :return: ``None`` when no end was requested and due by then.
    """
    if call.end_wanted is None or call.end_due_at is None or call.end_due_at > at:
        return None
    return Account(Witness.API, call.end_wanted, call.end_wanted_by)


def witness_of(call: SwitchboardCall) -> Witness:
    """
    Return how the end of a call is known.

    :param call: The call as stored, over.
    :return: The stored witness, or the one that the reason implies.
    """
    if call.end_witness is None:
        return account_of(call.end_reason or "").witness
    return Witness(call.end_witness)
