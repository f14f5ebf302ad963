"""Reading a standing order as a DAG author gave it: templates when the DAG is parsed, perhaps text when rendered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.calls.parameters import check_match_literals, is_literal, read_integer, read_number
from airflow_openai_realtime.exceptions import InvalidInput

_NOTHING = (None, "", "None", "none", "null")
#: What an order can be given besides its name, its conditions and what it accepts calls with.
LIMITS = ("status_code", "priority", "uses", "expires_at", "expires_in_seconds", "unclaimed_after_seconds")


def read_limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Read when and how often an order answers, rendered.

    :param given: Values by the names in :data:`LIMITS`; ``None`` or empty: not given.
    :return: Arguments of ``put_order``, only what was given.
    :raises InvalidInput: A value cannot be used.
    """
    limits = {name: _read_limit(name, value) for name, value in given.items() if value not in _NOTHING}
    if "expires_at" in limits and "expires_in_seconds" in limits:
        raise InvalidInput("give expires_at or expires_in_seconds, not both", field="expires_in_seconds")
    return limits


def read_greeting(value: object) -> str | None:
    """
    Read what the model is told to say first, rendered.

    :param value: Text; ``None`` or empty: nothing.
    :raises InvalidInput: It is something else, or too long.
    """
    from airflow_openai_realtime.calls.order import LONGEST_GREETING

    if value in _NOTHING:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_GREETING:
        raise InvalidInput(
            f"greeting must be text of at most {LONGEST_GREETING} characters; longer orders belong into instructions",
            field="greeting",
        )
    return value


def check_order_literals(
    name: object, match: tuple[Any, Any, Any], limits: Mapping[str, Any], greeting: object = None
) -> None:
    """
    Refuse when the DAG is parsed what no rendering can mend.

    :param name: Name of the order.
    :param match: ``to``, ``from_number`` and ``headers``.
    :param limits: As for :func:`read_limits`, perhaps with templates.
    :param greeting: As for :func:`read_greeting`, perhaps with templates.
    :raises InvalidInput: A value that needs no rendering cannot be used.
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
    Read a moment, also from the text that a template renders to.

    :param value: An aware ``datetime``, or ISO 8601 with an offset: ``2026-11-22 18:00:00+00:00``.
    :param field: Name of the parameter, for the message.
    :return: The moment in UTC.
    :raises InvalidInput: It is something else, or has no time zone.
    """
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(
            f"{field} must be a moment with a time zone, for example 2026-11-22T18:00:00+00:00; it is {value!r:.80}",
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
