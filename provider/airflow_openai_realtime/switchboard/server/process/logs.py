"""Log lines of the switchboard: an event and ``key=value`` pairs, without secrets and full phone numbers."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from airflow_openai_realtime.api.phone_numbers import mask_numbers

_PLAIN = re.compile(r"[\w.+*:/@-]+", re.ASCII)
_LONGEST = 500
_LONGEST_NAME = 50


def line(event: str, **fields: Any) -> str:
    """
    One log line, for example ``call.received line=support call_id=rtc_1 from=+1***1234``.

    :param event: What happened, as ``thing.verb``.
    :param fields: None is left out; text that could be mistaken for another field is quoted and escaped. Mask phone
        numbers before.
    """
    pairs = (f"{key.rstrip('_')}={_shown(value)}" for key, value in fields.items() if value is not None)
    return " ".join([event, *pairs])


def _shown(value: Any) -> str:
    text = str(value)[:_LONGEST]
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def asked_for(name: str | None) -> str | None:
    """
    Line name from an untrusted request, made safe for logs.

    :param name: Name from an untrusted request, or ``None``.
    """
    return None if name is None else mask_numbers(name)[:_LONGEST_NAME]


class MaskingFormatter(logging.Formatter):
    """For the log of a standalone switchboard: what a database says about a failure may quote the row."""

    def formatException(self, ei: Any) -> str:
        """Show an exception without phone numbers."""
        return mask_numbers(super().formatException(ei))
