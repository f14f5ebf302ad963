"""Rendered fields in which phone numbers stand: the task works with them, Airflow keeps and shows them masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_openai_realtime.api.phone_numbers import mask_number, mask_numbers

_SHORTEST_NUMBER = 10_000_000


def masked(value: Any) -> Any:
    """
    Mask every phone number in a value.

    :param value: Text, a number, or dicts and lists of them at any depth.
    """
    if isinstance(value, str):
        return mask_numbers(value)
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, int) and value >= _SHORTEST_NUMBER:
        return mask_number(str(value))  # what native rendering makes of a number
    return value
