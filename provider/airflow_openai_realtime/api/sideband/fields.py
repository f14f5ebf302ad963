"""Read fields of untrusted JSON objects: each function returns its type or a default, and never raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any


def text(values: Mapping[str, Any], name: str) -> str:
    """
    The text in a field; empty when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return value if isinstance(value, str) else ""


def text_or_none(values: Mapping[str, Any], name: str) -> str | None:
    """
    The text in a field; None when there is none or it is empty.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    return text(values, name) or None


def integer(values: Mapping[str, Any], name: str) -> int:
    """
    The whole number in a field; 0 when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def nested(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """
    The object in a field; empty when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}


def objects(values: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """
    The objects in a field that holds a list; what is no object is left out.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def instant(values: Mapping[str, Any], name: str) -> datetime | None:
    """
    The instant in a field that holds Unix seconds, aware, UTC; None when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(value, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):  # not a number, or not within the years that there are
        return None
