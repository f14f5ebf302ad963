"""
The one table that says what may be repeated, and the loop that obeys it.

A repeated accept or transfer can have a second effect on somebody's phone, so each operation names the troubles after
which it may be sent again. The sync and the async client run the same table through tenacity.
"""

from __future__ import annotations

import email.utils
import enum
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, Retrying

from airflow_openai_realtime.api.requests import Operation
from airflow_openai_realtime.exceptions import OpenAIRealtimeError


class Trouble(enum.Enum):
    """How an attempt failed."""

    NOT_SENT = "not sent"  # no connection: nothing can have happened
    RATE_LIMITED = "rate limited"  # 429: refused before anything was done
    SERVER_ERROR = "server error"  # 5xx, 408: it may have happened
    NO_ANSWER = "no answer"  # time-out or a broken connection after sending: it may have happened
    NOT_READY = "not ready"  # the sideband of a call accepted a moment ago is not there yet
    FINAL = "final"  # any other answer


AMBIGUOUS = frozenset({Trouble.SERVER_ERROR, Trouble.NO_ANSWER})
_HARMLESS = frozenset({Trouble.NOT_SENT, Trouble.RATE_LIMITED})
_ALL = _HARMLESS | AMBIGUOUS


@dataclass(frozen=True)
class Policy:
    """
    What may be repeated.

    :param tries: Most requests in all, the first included.
    :param total_seconds: No try starts later than this after the first one.
    :param repeat_after: Troubles after which it may be sent again.
    """

    tries: int
    total_seconds: float
    repeat_after: frozenset[Trouble]


SHORTEST_RING_SECONDS = 8.0
"""For how long an accept is tried again at least, in seconds."""

LONGEST_PAUSE_SECONDS = 2.0
"""The longest pause between two tries, unless the server asks for a longer one; a phone may be ringing."""

POLICIES: Mapping[Operation, Policy] = {
    # As long as the phone rings, which the caller of accept() knows. An accept without an answer is not repeated here:
    # first it must be found out whether the call is live.
    "accept": Policy(1000, SHORTEST_RING_SECONDS, _HARMLESS | {Trouble.SERVER_ERROR}),
    "reject": Policy(2, 8.0, _ALL),
    # A second REFER could transfer twice.
    "refer": Policy(3, 8.0, frozenset({Trouble.NOT_SENT})),
    # A second hang-up changes nothing, and a call that is not ended costs money.
    "hang_up": Policy(4, 30.0, _ALL),
    "check_key": Policy(2, 10.0, _ALL),
    # Listening in has no effect on the call.
    "attach": Policy(20, 3.0, _ALL | {Trouble.NOT_READY}),
}


@dataclass(frozen=True)
class Verdict:
    """
    What one attempt came to.

    :param error: ``None`` when it succeeded.
    :param trouble: How it failed; ``None`` when it succeeded.
    :param retry_after_seconds: How long the server asked to wait.
    :param value: What the answer was turned into, when it succeeded.
    """

    error: OpenAIRealtimeError | None = None
    trouble: Trouble | None = None
    retry_after_seconds: float | None = None
    value: Any = None


@dataclass(frozen=True)
class Pace:
    """
    Time and chance, replaceable in tests.

    :param clock: Seconds on a clock that never jumps.
    :param jitter: A number from 0 to 1.
    :param sleep: Waits, for the sync client; ``None`` means ``time.sleep``.
    :param async_sleep: Waits, for the async client; ``None`` means ``asyncio.sleep``.
    """

    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], None] | None = None
    async_sleep: Callable[[float], Any] | None = None


def retrying(policy: Policy, pace: Pace) -> Retrying:
    """Return tenacity's loop for a function that returns a :class:`Verdict`; it gives back the last one."""
    return Retrying(**_options(policy, pace), sleep=pace.sleep or time.sleep)


def async_retrying(policy: Policy, pace: Pace) -> AsyncRetrying:
    """Return :func:`retrying` for a coroutine function."""
    options = _options(policy, pace)
    return AsyncRetrying(**options, sleep=pace.async_sleep) if pace.async_sleep else AsyncRetrying(**options)


def trouble_of_status(status: int) -> Trouble:
    """Classify an HTTP status other than 2xx."""
    if status == 429:
        return Trouble.RATE_LIMITED
    return Trouble.SERVER_ERROR if status >= 500 or status == 408 else Trouble.FINAL


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """
    Read how long a server asks to wait.

    :param headers: ``retry-after-ms`` (milliseconds) wins over ``retry-after`` (seconds or an HTTP date).
    :param now: Unix time, for a date.
    :returns: Seconds, 0 or more, or ``None`` when nothing usable is said.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _options(policy: Policy, pace: Pace) -> dict[str, Any]:
    started = pace.clock()

    def wait(state: RetryCallState) -> float:
        asked = _verdict(state).retry_after_seconds
        if asked is not None:
            return asked
        backoff: float = 0.25 * 2 ** min(state.attempt_number - 1, 10)
        return min(backoff, LONGEST_PAUSE_SECONDS) * (1 - 0.25 * pace.jitter())

    def stop(state: RetryCallState) -> bool:
        too_late = pace.clock() - started + state.upcoming_sleep > policy.total_seconds
        return state.attempt_number >= policy.tries or too_late

    return {
        "wait": wait,
        "stop": stop,
        "retry": lambda state: _verdict(state).trouble in policy.repeat_after,
        "retry_error_callback": _verdict,
    }


def _verdict(state: RetryCallState) -> Verdict:
    if state.outcome is None:  # pragma: no cover  tenacity asks only after an attempt
        return Verdict()
    verdict: Verdict = state.outcome.result()
    return verdict
