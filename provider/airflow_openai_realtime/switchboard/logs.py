"""Log lines of the switchboard: an event and ``key=value`` pairs, without secrets and full phone numbers."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[\w.+*:/@-]+", re.ASCII)
_LONGEST = 500


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
