"""A call that was placed, from the side of who waits for it to come in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.phone_numbers import mask_contact, mask_number
from airflow_openai_realtime.calls.parameters import read_mapping
from airflow_openai_realtime.exceptions import InvalidInput, UnknownCall
from airflow_openai_realtime.outbound import outcomes
from airflow_openai_realtime.states import AttemptOutcome, AttemptState, EndReason
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_attempt

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.call import Attempt
    from airflow_openai_realtime.outbound.carriers.port import Dialer
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


@dataclass(frozen=True)
class PlacedReference:
    """
    What ``PlaceCallOperator`` returned, as far as waiting for the call needs it.

    :param attempt_id: Row of the ledger.
    :param correlation_id: Comes back in a header of the incoming call.
    :param campaign: Campaign of the attempt.
    :param contact: Contact of the attempt.
    :param carrier_conn_id: Airflow connection of the carrier.
    :param carrier_call_id: The carrier's id of the call.
    :param about: What results say of the attempt: those of :data:`ABOUT` that are known.
    """

    attempt_id: str
    correlation_id: str
    campaign: str | None = None
    contact: str | None = None
    carrier_conn_id: str | None = None
    carrier_call_id: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


#: What results and calls in XCom say of the attempt from which a call came.
ABOUT = ("attempt_id", "campaign", "contact", "attempt", "to_masked")


def about_given(value: object) -> dict[str, Any]:
    """
    Return what a dict from XCom, such as ``placed`` or ``call``, says of the attempt; an empty dict if nothing.

    :param value: Anything from XCom.
    """
    return {key: value[key] for key in ABOUT if key in value} if isinstance(value, Mapping) else {}


def about_attempt(row: Attempt) -> dict[str, Any]:
    """
    Return what is said of an attempt in XCom; the person's number is masked, also where it is the contact's key.

    :param row: Row of the ledger.
    """
    return {
        "attempt_id": row.attempt_id,
        "campaign": row.campaign,
        "contact": mask_contact(row.contact, row.to_number),
        "attempt": row.attempt,
        "to_masked": mask_number(row.to_number or ""),
    }


def read_placed(value: object) -> PlacedReference | None:
    """
    Read what was given as ``placed``.

    :param value: A dict, or the text that a template made of one; ``None`` for no placed call.
    :raises InvalidInput: It is no result of ``PlaceCallOperator``.
    """
    if value is None:
        return None
    placed = read_mapping(value, "placed")
    if placed is None:
        raise InvalidInput("placed is empty; give what PlaceCallOperator returned", field="placed")
    for key in ("attempt_id", "correlation_id"):
        if not placed.get(key):
            raise InvalidInput(f"placed has no {key}; give what PlaceCallOperator returned", field="placed")
    known = ("attempt_id", "correlation_id", "campaign", "contact", "carrier_conn_id", "carrier_call_id")
    given: dict[str, Any] = {key: str(placed[key]) for key in known if placed.get(key) is not None}
    return PlacedReference(**given, about=about_given(placed))


def outcome_before(switchboard: SwitchboardClient, placed: PlacedReference) -> str | None:
    """
    Return how the attempt ended, when the ledger has it already, as after a task was retried or cleared.

    :param switchboard: Client of the line's switchboard.
    :param placed: The placed call.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    try:
        row = switchboard.send(get_attempt(placed.attempt_id))
    except UnknownCall:
        return None
    if row.state != AttemptState.ENDED:
        return None
    # A call that came in before it was killed has its result at the switchboard.
    came_in = row.outcome is None or (row.outcome == EndReason.KILLED and row.call_id is not None)
    return AttemptOutcome.ANSWERED if came_in else row.outcome


def carrier_outcome(dialer: Dialer, placed: PlacedReference, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """
    Ask the carrier once whether the call is over, and if so, what that means for an attempt whose call never came.

    After an answered call it waits some seconds, since the webhook may still be under way: look for the call again.

    :param dialer: The carrier's dialer.
    :param placed: The placed call.
    :param sleep: Waits this many seconds.
    :raises DialError: The carrier cannot say.
    """
    if placed.carrier_call_id is None:
        return None
    call = dialer.send(dialer.look(placed.carrier_call_id))
    if not call.final:
        return None
    if call.status == "completed":
        sleep(outcomes.LATE_WEBHOOK_SECONDS)
    return outcomes.outcome_of(call)
