"""What a client asks of the switchboard about standing orders, as values. Pure: nothing is sent from here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import StandingOrder, check_order_name
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    SwitchboardRequest,
    as_call,
    move_call,
    read_answer,
)

__all__ = ["all_orders", "as_call", "as_order", "as_orders", "one_order", "put_order", "remove_order", "take_over"]


def put_order(name: str, *, match: CallMatch | None, expires_at: datetime | None, **values: Any) -> SwitchboardRequest:
    """
    Make an order, or replace the one of this name.

    :param values: What else :meth:`OrderMethods.put_order` takes; None is left out.
    :raises InvalidInput: The name cannot be one, or the instant has no offset.
    """
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidInput("expires_at must have a time zone", field="expires_at")
    given = {
        **values,
        "match": match.to_dict() if match is not None else None,
        "expires_at": expires_at.isoformat() if expires_at is not None else None,
    }
    body = {key: value for key, value in given.items() if value is not None}
    return SwitchboardRequest("PUT", _path(name), body=body)


def one_order(name: str) -> SwitchboardRequest:
    """One order of the line."""
    return SwitchboardRequest("GET", _path(name))


def all_orders() -> SwitchboardRequest:
    """All orders of the line."""
    return SwitchboardRequest("GET", "/v1/orders")


def remove_order(name: str) -> SwitchboardRequest:
    """Remove an order, if it is there."""
    return SwitchboardRequest("DELETE", _path(name))


def take_over(call_id: str, claimant: str, from_claimant: str) -> SwitchboardRequest:
    """A live call from the standing order that has accepted it."""
    return move_call(call_id, "claim", claimant=claimant, from_claimant=from_claimant)


def as_order(answer: Mapping[str, Any]) -> StandingOrder:
    """The order in an answer."""
    return read_answer(lambda: StandingOrder.from_dict(answer["order"]))


def as_orders(answer: Mapping[str, Any]) -> list[StandingOrder]:
    """The orders in an answer."""
    return read_answer(lambda: [StandingOrder.from_dict(order) for order in answer["orders"]])


def _path(name: str) -> str:
    return f"/v1/orders/{quote(check_order_name(name), safe='')}"
