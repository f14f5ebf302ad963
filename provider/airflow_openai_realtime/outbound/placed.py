"""
A call that was placed: what is said of it, how it may have ended, and how it is taken back.

A task that gives up waiting for a placed call cancels it at the carrier: a carrier may keep an order in its queue for
hours, and ring when nothing waits for the call any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.phone_numbers import mask_contact, mask_number
from airflow_openai_realtime.calls.parameters import read_mapping
from airflow_openai_realtime.exceptions import DialError, InvalidInput, UnknownCall
from airflow_openai_realtime.outbound.carriers.port import CarrierCall
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
        sleep(LATE_WEBHOOK_SECONDS)
    return outcome_of(call)


ALREADY_PLACED = "already_placed"


@dataclass(frozen=True)
class Placement:
    """
    An attempt whose call was placed.

    :param attempt: The ledger's row.
    :param status: ``placed`` now, or ``already_placed`` before.
    """

    attempt: Attempt
    status: str

    def to_dict(self, carrier_conn_id: str) -> dict[str, Any]:
        """
        Return it as JSON primitives. The shape of a placed call in XCom.

        :param carrier_conn_id: Airflow connection of the carrier that has the call.
        """
        row = self.attempt
        return {
            **about_attempt(row),
            "correlation_id": row.correlation_id,
            "carrier_call_id": row.carrier_call_id,
            "carrier_conn_id": carrier_conn_id,
            "status": self.status,
            "placed_at": row.updated_at.isoformat(),
        }


#: After the carrier says that an answered call is over: how long its webhook may still be under way, in seconds.
LATE_WEBHOOK_SECONDS = 5.0

_BY_STATUS = {
    "busy": AttemptOutcome.BUSY,
    "no-answer": AttemptOutcome.NO_ANSWER,
    "failed": AttemptOutcome.FAILED,
    "canceled": AttemptOutcome.CANCELED,
    "completed": AttemptOutcome.GONE,
}


def outcome_of(call: CarrierCall) -> str:
    """
    Say what a carrier's final status means for an attempt whose call never came in.

    :param call: The carrier's answer about a call.
    :return: ``busy``, ``no_answer``, ``failed``, ``canceled`` or ``gone``.
    """
    return _BY_STATUS.get(call.status, AttemptOutcome.FAILED)


async def take_back(dialer: Dialer, carrier_call_id: str, report: Callable[[str], None]) -> CarrierCall | None:
    """
    Cancel a call that is queued or rings.

    :param dialer: The carrier's.
    :param carrier_call_id: The carrier's id of the call.
    :param report: Called with a line for the log when it cannot be canceled.
    :return: The call as the carrier has it after that; ``in-progress``: the person picked up in this moment. ``None``:
        the carrier did not say, and the phone may ring.
    """
    try:
        return await dialer.asend(dialer.cancel(carrier_call_id))
    except DialError as error:
        report(_not_canceled(carrier_call_id, error))
        return None


def take_back_now(dialer: Dialer, carrier_call_id: str, report: Callable[[str], None]) -> CarrierCall | None:
    """
    Cancel a call that is queued or rings, from a task; one that was picked up in this moment is ended.

    :param dialer: The carrier's.
    :param carrier_call_id: The carrier's id of the call.
    :param report: Called with a line for the log when it cannot be canceled.
    :return: As for :func:`take_back`.
    """
    try:
        call = dialer.send(dialer.cancel(carrier_call_id))
        if not call.final:
            dialer.send(dialer.end(carrier_call_id))
    except DialError as error:
        report(_not_canceled(carrier_call_id, error))
        return None
    return call


async def end_picked_up(dialer: Dialer, carrier_call_id: str, report: Callable[[str], None]) -> None:
    """
    End a call that was picked up and that nothing will answer.

    :param dialer: The carrier's.
    :param carrier_call_id: The carrier's id of the call.
    :param report: Called with a line for the log when it cannot be ended.
    """
    try:
        await dialer.asend(dialer.end(carrier_call_id))
    except DialError as error:
        report(_not_canceled(carrier_call_id, error))


def _not_canceled(carrier_call_id: str, error: DialError) -> str:
    return f"The carrier's call {carrier_call_id} could not be canceled; the phone may still ring: {error}"
