"""Instants as they travel in JSON."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput


def read_instant(key: str, value: Any) -> datetime | None:
    """
    Read an instant that came as JSON; one without an offset is UTC.

    :param key: Name of the field, for the error.
    :param value: ISO 8601 text, a datetime, or ``None``; the latter two are returned as they are.
    :raises InvalidInput: It is no ISO 8601.
    """
    if value is None or isinstance(value, datetime):
        return value
    try:
        # Python 3.10 does not read a trailing Z.
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidInput(f"{key} must be an ISO 8601 instant such as 2026-11-22T08:00:00+00:00", field=key) from error
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def instant_text(at: datetime) -> str:
    """
    Write an instant as ISO 8601 in UTC.

    :param at: An aware instant.
    """
    return at.astimezone(timezone.utc).isoformat()
