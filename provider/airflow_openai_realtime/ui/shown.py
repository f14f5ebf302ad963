"""The JSON that the page shows. Pure. Numbers are masked here: full numbers never leave the server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.api.phone_numbers import mask_contact, mask_number, mask_numbers
from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall, instant_text
from airflow_openai_realtime.calls.order import order_of_owner
from airflow_openai_realtime.calls.recent import ConversationSummary
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.calls.timeline.usage import usage_and_cost
from airflow_openai_realtime.calls.witnesses import witness_of
from airflow_openai_realtime.states import CallState, Witness
from airflow_openai_realtime.ui.access import SeenAttempt, SeenCall
from airflow_openai_realtime.ui.owners import OwningTask, task_named

INCOMING = "incoming"
OUTGOING = "outgoing"

SILENT_AFTER = timedelta(seconds=20)
"""Time without a sign of life after which the page no longer shows a conversation as going on. Its owner shows a sign
of life every second or two, and the switchboard listens in its place after a few seconds."""


def shown_call(seen: SeenCall, now: datetime) -> dict[str, Any]:
    """
    Return the fields of a call, for the list and for its own view.

    :param seen: A call that the user may see.
    :param now: Current time, aware.
    """
    call, conversation = seen.recent.call, seen.recent.conversation
    return {
        "conn_id": call.line,
        "call_id": call.call_id,
        "attempt_id": seen.recent.attempt and seen.recent.attempt.attempt_id,
        "state": call.state,
        "is_live": not call.is_over,
        "from": call.from_number and mask_number(call.from_number),
        "to": call.to_number and mask_number(call.to_number),
        **_placed(seen.recent.attempt),
        "received_at": _text(call.received_at),
        "accepted_at": _text(call.accepted_at),
        "ended_at": _text(call.ended_at),
        "hangup_at": _text(call.hangup_at),
        "waited_until": _text(call.accepted_at or call.ended_at),
        "silent_since": _text(silent_since(call, conversation, now)),
        "is_talk_known": is_talk_known(call, conversation, now),
        "outcome": outcome_of(call, conversation.outcome if conversation else None),
        "ended_by": ended_by(call, seen.owner),
        "talk_seconds": call.talk_seconds,
        "reason": call.end_reason and mask_numbers(call.end_reason),
        "status_code": call.status_code,
        "target": call.target_uri and mask_numbers(call.target_uri),
        "task": seen.owner and seen.owner.to_dict(),
        "order": order_of_owner(call.claimed_by),
        "has_conversation": conversation is not None,
        "may_hang_up": seen.may_hang_up and call.state == CallState.ACCEPTED,
    }


def shown_attempt(seen: SeenAttempt) -> dict[str, Any]:
    """
    Return the fields of an attempt without a call: the same as those of a call.

    :param seen: An attempt that the user may see.
    """
    attempt = seen.unreached.attempt
    is_live = seen.unreached.is_live
    return {
        "conn_id": seen.unreached.line,
        "call_id": attempt.call_id,
        "attempt_id": attempt.attempt_id,
        "state": attempt.state,
        "is_live": is_live,
        "from": None,
        **_placed(attempt),
        "received_at": _text(attempt.created_at),
        "accepted_at": None,
        "ended_at": None if is_live else _text(attempt.updated_at),
        "hangup_at": None,
        "waited_until": None if is_live else _text(attempt.updated_at),
        "silent_since": None,
        "is_talk_known": False,
        "outcome": attempt.outcome and mask_numbers(attempt.outcome),
        "ended_by": None,
        "talk_seconds": None,
        "reason": attempt.detail and mask_numbers(attempt.detail),
        "status_code": None,
        "target": None,
        "task": seen.owner and seen.owner.to_dict(),
        "order": None,
        "has_conversation": False,
        "may_hang_up": False,
    }


def _placed(attempt: Attempt | None) -> dict[str, Any]:
    """Return direction, contact and campaign. A contact is often a phone number, so it is masked."""
    if attempt is None:
        return {"direction": INCOMING, "contact": None, "campaign": None, "attempt": None}
    number = attempt.to_number and mask_number(attempt.to_number)
    contact = mask_contact(attempt.contact, attempt.to_number)
    return {
        "direction": OUTGOING,
        "to": number,
        "contact": None if contact == number else contact,
        "campaign": mask_numbers(attempt.campaign),
        "attempt": attempt.attempt,
    }


def silent_since(call: SwitchboardCall, conversation: ConversationSummary | None, now: datetime) -> datetime | None:
    """
    Return since when no process has heard a live, accepted call.

    For a call without a conversation only the accept is known. An owner that has written entries, but shows no sign of
    life and was never replaced by the switchboard, may be of an older release: it counts as listening.

    :param call: The call.
    :param conversation: Its conversation; ``None``: it has none.
    :param now: Current time, aware.
    :return: ``None`` when the owner or the switchboard listens, or the call is not live and accepted.
    """
    if call.state != CallState.ACCEPTED:
        return None
    known_until = call.accepted_at or call.received_at
    if conversation is not None and conversation.finished_at is not None:
        return conversation.finished_at
    if conversation is not None and _shows_life(conversation):
        known_until = conversation.known_until
    elif conversation is not None and conversation.entry_count:
        return None
    return known_until if known_until <= now - SILENT_AFTER else None


def is_talk_known(call: SwitchboardCall, conversation: ConversationSummary | None, now: datetime) -> bool:
    """
    Tell whether the length of an accepted call is known.

    It is not known for a call that was only found gone, or to which no owner attached.

    :param call: The call.
    :param conversation: Its conversation; ``None``: it has none.
    :param now: Current time, aware.
    """
    if call.talk_seconds is not None:
        return True
    if call.is_over:
        return witness_of(call) is not Witness.FOUND_GONE
    is_heard = conversation is not None and (_shows_life(conversation) or conversation.entry_count > 0)
    return is_heard or silent_since(call, conversation, now) is None


def _shows_life(conversation: ConversationSummary) -> bool:
    return conversation.seen_at is not None or conversation.heard_until is not None


def outcome_of(call: SwitchboardCall, outcome: str | None) -> str | None:
    """
    Return how a call ended: the outcome of its conversation, else the switchboard's reason or state.

    :param call: The call.
    :param outcome: Outcome of its conversation; ``None``: there is none.
    :return: ``None`` while the call goes on.
    """
    if outcome is not None or not call.is_over:
        return outcome
    return (
        (call.end_reason and mask_numbers(call.end_reason)) or call.state
        if call.state == CallState.ENDED
        else call.state
    )


def ended_by(call: SwitchboardCall, owner: OwningTask | None) -> str | None:
    """
    Return who ended a call, or requested its end while it still goes on.

    A task of another DAG is not named, since the user may not be allowed to read that DAG.

    :param call: The call.
    :param owner: The task that the call belongs to; ``None``: it belongs to its line.
    :return: ``None`` when that is not known.
    """
    by = call.ended_by if call.is_over else call.end_wanted_by
    order = order_of_owner(by)
    if order is not None:
        return f"standing order {order}"
    task = task_named(by)
    if task is None:
        return by and mask_numbers(by)
    if owner is not None and task.dag_id == owner.dag_id:
        return f"task {task.task_id}" if task.map_index < 0 else f"task {task.task_id} [{task.map_index}]"
    return "another task"


def shown_conversation(conversation: Conversation, known_entries: int = 0) -> dict[str, Any]:
    """
    Return timeline, usage and result of a call.

    :param conversation: The conversation with its timeline.
    :param known_entries: Number of first entries that the page already has and that are left out. If there are fewer
        entries than that, all are returned.
    """
    skip = known_entries if known_entries <= len(conversation.entries) else 0
    result = dict(conversation.result or {})
    return {
        "generation": conversation.generation,
        "opened_at": _text(conversation.opened_at),
        "saved_at": _text(conversation.saved_at),
        "finished_at": _text(conversation.finished_at),
        "result": result.get("result"),
        "result_valid": result.get("result_valid"),
        "reason": result.get("reason"),
        **_usage(conversation, result),
        "entries_from": skip,
        "entries": [entry.to_dict() for entry in conversation.entries[skip:]],
    }


def _usage(conversation: Conversation, result: Mapping[str, Any]) -> dict[str, Any]:
    """What a call used: as its result says, or, while it goes on, as its timeline adds up."""
    if isinstance(result.get("usage"), Mapping):
        return {"usage": result["usage"], "cost": result.get("cost")}
    summary = Summary.of(conversation.entries)
    return usage_and_cost(summary.usage, summary.model, transcription_model=summary.transcription_model)


def _text(at: datetime | None) -> str | None:
    return None if at is None else instant_text(at)
