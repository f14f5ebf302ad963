"""
What is asked of the switchboard about standing orders: one function for each request.

Errors and retries are those of :mod:`airflow_openai_realtime.switchboard.client.switchboard_requests`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import StandingOrder, check_order_name
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.client.switchboard_requests import switchboard_request


def put_order(
    name: str,
    *,
    match: CallMatch | None = None,
    session: Mapping[str, Any] | None = None,
    max_duration_seconds: float | None = None,
    greeting: str | None = None,
    caller_fields: Mapping[str, str] | None = None,
    status_code: int | None = None,
    priority: int = 0,
    uses: int | None = None,
    expires_at: datetime | None = None,
    expires_in_seconds: float | None = None,
    unclaimed_after_seconds: float | None = None,
    edition: str | None = None,
) -> Request[StandingOrder]:
    """
    Let the line accept calls by itself, or decline them; replaces the order of this name.

    The session rests in the switchboard's store, with the credentials of tools in it, until the order is removed. No
    answer and no log shows it.

    :param name: Letters, digits and ``_ . -``, at most 100.
    :param match: Which calls it is for; ``None``: all that carry no correlation id.
    :param session: What calls are accepted with, of the shape of ``RealtimeSession``; ``None``: OpenAI's defaults.
    :param max_duration_seconds: When an accepted call is ended at the latest, in seconds, above 0, at most 3,600;
        ``None``: the switchboard's default.
    :param greeting: Instruction for what the model says first; ``None``: it waits until the caller speaks.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder.
    :param status_code: Decline calls with this SIP status, 300 to 699, instead of accepting them.
    :param priority: Of several orders that fit a call the highest answers it; of several such, the oldest.
    :param uses: How many calls it answers; ``None``: any number. A use counts when the order takes a call, also when
        the caller is gone by then.
    :param expires_at: Until when it answers calls, aware.
    :param expires_in_seconds: The same from now on, by the switchboard's clock; above 0.
    :param unclaimed_after_seconds: Answer only calls that have been unclaimed for so long, above 0, at most 600.
    :param edition: When an order is put again with the same edition, the uses that were made count on. Left out: made
        up anew for each request.
    :raises InvalidInput: The name cannot be one, or the instant has no offset.

    Sending it raises ``SwitchboardRefused``: a value cannot be used; the message names it.
    """
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidInput("expires_at must have a time zone", field="expires_at")
    given = {
        "match": match.to_dict() if match is not None else None,
        "session": session,
        "max_duration_seconds": max_duration_seconds,
        "greeting": greeting,
        "caller_fields": caller_fields,
        "status_code": status_code,
        "priority": priority,
        "uses": uses,
        "expires_at": expires_at.isoformat() if expires_at is not None else None,
        "expires_in_seconds": expires_in_seconds,
        "unclaimed_after_seconds": unclaimed_after_seconds,
        "edition": edition or uuid.uuid4().hex,
    }
    body = {key: value for key, value in given.items() if value is not None}
    return switchboard_request("put_order", "PUT", _path(name), _read_order, body=body)


def get_order(name: str) -> Request[StandingOrder]:
    """
    One order of the line, without what it accepts calls with.

    :param name: Its name.
    :raises InvalidInput: The name cannot be one.

    Sending it raises ``UnknownCall``: the line has no such order.
    """
    return switchboard_request("get_order", "GET", _path(name), _read_order)


def list_orders() -> Request[list[StandingOrder]]:
    """All orders of the line by name, also those that have expired or are used up."""

    def read(answer: Mapping[str, Any]) -> list[StandingOrder]:
        return [StandingOrder.from_dict(order) for order in answer["orders"]]

    return switchboard_request("list_orders", "GET", "/v1/orders", read)


def remove_order(name: str) -> Request[bool]:
    """
    Remove an order. Calls that it has answered go on.

    :param name: Its name.
    :returns: Whether it was there.
    :raises InvalidInput: The name cannot be one.
    """
    return switchboard_request("remove_order", "DELETE", _path(name), lambda answer: bool(answer.get("removed")))


def _read_order(answer: Mapping[str, Any]) -> StandingOrder:
    return StandingOrder.from_dict(answer["order"])


def _path(name: str) -> str:
    return f"/v1/orders/{quote(check_order_name(name), safe='')}"
