"""Read the parameters of a standing order: they may be templates at parse time, and text after rendering."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.calls.parameters import check_match_literals, is_literal, read_integer, read_number
from airflow_openai_realtime.exceptions import InvalidInput

_NOTHING = (None, "", "None", "none", "null")
#: Parameters of an order besides its name, its conditions and its answer.
LIMITS = ("status_code", "priority", "uses", "expires_at", "expires_in_seconds", "unclaimed_after_seconds")


def read_limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Read the rendered limits of an order: when and how often it answers.

    :param given: Values by the names in :data:`LIMITS`; ``None`` or empty: not set.
    :return: Arguments of ``put_order``, only those that are set.
    :raises InvalidInput: A value is invalid.
    """
    limits = {name: _read_limit(name, value) for name, value in given.items() if value not in _NOTHING}
    if "expires_at" in limits and "expires_in_seconds" in limits:
        raise InvalidInput("give expires_at or expires_in_seconds, not both", field="expires_in_seconds")
    return limits


def read_greeting(value: object) -> str | None:
    """
    Read the rendered greeting: what the model says first.

    :param value: Text; ``None`` or empty: no greeting.
    :raises InvalidInput: It is not text, or too long.
    """
    from airflow_openai_realtime.calls.order import LONGEST_GREETING

    if value in _NOTHING:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_GREETING:
        raise InvalidInput(
            f"greeting must be text of at most {LONGEST_GREETING} characters; put longer text into instructions",
            field="greeting",
        )
    return value


def check_order_literals(
    name: object, match: tuple[Any, Any, Any], limits: Mapping[str, Any], greeting: object = None
) -> None:
    """
    Reject invalid literals at parse time.

    :param name: Name of the order.
    :param match: ``to``, ``from_number`` and ``headers``.
    :param limits: As for :func:`read_limits`, perhaps with templates.
    :param greeting: As for :func:`read_greeting`, perhaps with templates.
    :raises InvalidInput: A literal value is invalid.
    """
    if is_literal(name):
        from airflow_openai_realtime.calls.order import check_order_name

        check_order_name(name)
    check_match_literals(*match)
    if is_literal(greeting):
        read_greeting(greeting)
    read_limits({key: value for key, value in limits.items() if is_literal(value)})
    if limits.get("expires_at") is not None and limits.get("expires_in_seconds") is not None:
        raise InvalidInput("give expires_at or expires_in_seconds, not both", field="expires_in_seconds")


def read_instant(value: object, field: str) -> datetime:
    """
    Read an instant, also from rendered text.

    :param value: An aware ``datetime``, or ISO 8601 with an offset: ``2026-11-22 18:00:00+00:00``.
    :param field: Name of the parameter, for the message.
    :return: The instant in UTC.
    :raises InvalidInput: It is not an instant, or has no time zone.
    """
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(
            f"{field} must be a time with a time zone, for example 2026-11-22T18:00:00+00:00; it is {value!r:.80}",
            field=field,
        )
    return moment.astimezone(timezone.utc)


def _read_limit(name: str, value: object) -> Any:
    from airflow_openai_realtime.calls import order as orders

    if name == "status_code":
        return read_integer(value, name, at_least=300, at_most=699)
    if name == "priority":
        return read_integer(value, name, at_least=-orders.HIGHEST_PRIORITY, at_most=orders.HIGHEST_PRIORITY)
    if name == "uses":
        return read_integer(value, name, at_least=1, at_most=orders.MOST_USES)
    if name == "expires_at":
        return read_instant(value, name)
    longest = orders.LONGEST_UNCLAIMED_SECONDS if name == "unclaimed_after_seconds" else math.inf
    return read_number(value, name, above=0, at_most=longest)
