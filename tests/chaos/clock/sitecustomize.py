"""
A wrong clock: Python imports this by itself when its folder is in PYTHONPATH.

``time.time`` and ``datetime.now`` are ahead by CLOCK_AHEAD_SECONDS, behind when that is negative. Monotonic clocks, and
so pauses and time-outs, are as they were.
"""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

_AHEAD = float(os.environ["CLOCK_AHEAD_SECONDS"])
_right_time, _right_datetime = time.time, datetime.datetime


class _AnyDatetime(type):
    """What others have made, databases for example, counts as one of ours."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _right_datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _right_datetime)


class _WrongDatetime(_right_datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _right_datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


time.time = lambda: _right_time() + _AHEAD
datetime.datetime = _WrongDatetime  # type: ignore[misc]
