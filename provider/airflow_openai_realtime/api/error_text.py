"""Other people's error texts, made fit for our own messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow_openai_realtime.api.phone_numbers import mask_numbers

MAX_LENGTH = 500


def quotable(text: str, hide: Sequence[str] = ()) -> str:
    """
    Return ``text`` on one line, without secrets and phone numbers, cut to 500 characters.

    :param text: From a server or a library; untrusted.
    :param hide: Secrets that must not appear; each is replaced by ``***``.
    """
    for secret in hide:
        if secret:
            text = text.replace(secret, "***")
    one_line = " ".join("".join(char if char.isprintable() else " " for char in text[: 8 * MAX_LENGTH]).split())
    masked = mask_numbers(one_line)
    return masked if len(masked) <= MAX_LENGTH else masked[: MAX_LENGTH - 1] + "…"


def json_object(body: bytes) -> dict[str, Any] | None:
    """
    Return the JSON object in ``body``, or ``None`` when it is anything else; never raises.

    :param body: Body of an answer, UTF-8.
    """
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
