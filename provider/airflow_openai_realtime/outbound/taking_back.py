"""
Taking back a placed call: a task that gives up waiting for it cancels it at the carrier.

A carrier may keep an order in its queue for hours, and ring when nothing waits for the call any more.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_openai_realtime.exceptions import DialError
from airflow_openai_realtime.outbound.carriers.port import CarrierCall, Dialer


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
