"""What the page gets to show, as JSON. Pure. Numbers are masked here: the full ones never leave the server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.instants import instant_text
from airflow_openai_realtime.api.phone_numbers import mask_number, mask_numbers
from airflow_openai_realtime.calls_page.access import SeenCall
from airflow_openai_realtime.conversation.prices import estimate
from airflow_openai_realtime.switchboard.conversations import Conversation
from airflow_openai_realtime.switchboard.orders import order_of_claimant
from airflow_openai_realtime.switchboard.records import ACCEPTED, ENDED, SwitchboardCall
from airflow_openai_realtime.timeline.tally import Tally


def shown_call(seen: SeenCall) -> dict[str, Any]:
    """A call on the list, and at the top of its own view."""
    call, conversation = seen.recent.call, seen.recent.conversation
    return {
        "conn_id": call.line,
        "call_id": call.call_id,
        "state": call.state,
        "is_live": not call.is_over,
        "from": call.from_number and mask_number(call.from_number),
        "to": call.to_number and mask_number(call.to_number),
        "received_at": _text(call.received_at),
        "accepted_at": _text(call.accepted_at),
        "ended_at": _text(call.ended_at),
        "hangup_at": _text(call.hangup_at),
        "waited_until": _text(call.accepted_at or call.ended_at),
        "outcome": outcome_of(call, conversation.outcome if conversation else None),
        "reason": call.end_reason and mask_numbers(call.end_reason),
        "status_code": call.status_code,
        "target": call.target_uri and mask_numbers(call.target_uri),
        "task": seen.owner and seen.owner.to_dict(),
        "order": order_of_claimant(call.claimed_by),
        "has_conversation": conversation is not None,
        "may_hang_up": seen.may_hang_up and call.state == ACCEPTED,
    }


def outcome_of(call: SwitchboardCall, outcome: str | None) -> str | None:
    """How a call ended: as whoever ran its conversation said, else as the switchboard saw it; ``None``: it goes on."""
    if outcome is not None or not call.is_over:
        return outcome
    return (call.end_reason and mask_numbers(call.end_reason)) or call.state if call.state == ENDED else call.state


def shown_conversation(conversation: Conversation, known_entries: int = 0) -> dict[str, Any]:
    """
    What was said in a call, what it used and what came of it.

    :param known_entries: How many of the first entries the page has; they are left out. All are told when there are
        fewer than that.
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
    tally = Tally.of(conversation.entries)
    cost = estimate(tally.usage, tally.model, transcription_model=tally.transcription_model)
    return {"usage": tally.usage.to_dict(), "cost": cost and cost.to_dict()}


def _text(at: datetime | None) -> str | None:
    return None if at is None else instant_text(at)
