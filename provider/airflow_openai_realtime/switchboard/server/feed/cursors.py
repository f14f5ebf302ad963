"""
A reader's place in the feed, that steps over nothing.

The feed's numbers are given when a row is written, but rows become visible when they are committed: number 1041 can
appear after 1042. So a place is the highest number seen *and* the numbers below it that were missing, each with the
moment it was first missed. A missing number is looked for again for some seconds, then given up: its writer failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from airflow_openai_realtime.exceptions import InvalidInput

GAP_SECONDS = 10.0
"""How long a missing number is looked for: far longer than any of our transactions lasts."""

WIDEST_LOOK_BACK = 1000
"""How many numbers below the highest one can be missing; more are not in flight at once."""

_RUN = re.compile(r"([0-9]{1,18})-([0-9]{1,18})@([0-9]{1,15})")
_LONGEST_TEXT = 16_000


@dataclass(frozen=True)
class Cursor:
    """
    A place in the feed. Clients see it as an opaque text such as ``1042~1035-1039@1764000000123``.

    :param high: The highest number seen.
    :param gaps: Missing numbers below it, each with the moment it was first missed, in seconds since 1970.
    """

    high: int = 0
    gaps: Mapping[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        runs: list[list[int]] = []  # first number, last number, milliseconds
        for seq, at in sorted(self.gaps.items()):
            milliseconds = round(at * 1000)
            if runs and runs[-1][1] == seq - 1 and runs[-1][2] == milliseconds:
                runs[-1][1] = seq
            else:
                runs.append([seq, seq, milliseconds])
        return "~".join([str(self.high), *(f"{first}-{last}@{at}" for first, last, at in runs)])

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """
        Read a cursor that a client brings back.

        :param text: What the client sent.
        :raises InvalidInput: It was not made by a switchboard.
        """
        high, *parts = text[:_LONGEST_TEXT].split("~")
        runs = [_RUN.fullmatch(part) for part in parts]
        if not re.fullmatch(r"[0-9]{1,18}", high) or not all(runs) or len(text) > _LONGEST_TEXT:
            raise _no_cursor()
        gaps: dict[int, float] = {}
        for run in runs:
            assert run is not None  # noqa: S101 - checked above
            first, last = int(run[1]), int(run[2])
            if last - first >= WIDEST_LOOK_BACK or len(gaps) > 2 * WIDEST_LOOK_BACK:
                raise _no_cursor()
            gaps.update(dict.fromkeys(range(first, last + 1), int(run[3]) / 1000))
        return cls(int(high), gaps)

    def advanced(self, seen: Iterable[int], now: float) -> Cursor:
        """
        The place after having asked for all numbers above ``high`` and for all gaps.

        :param seen: The numbers that were there, in any order.
        :param now: Seconds since 1970.
        """
        found = set(seen)
        high = max(found | {self.high})
        fresh = range(max(self.high + 1, high - WIDEST_LOOK_BACK), high)
        gaps = {seq: at for seq, at in self.gaps.items() if seq not in found and now - at < GAP_SECONDS}
        # A moment ahead of now is another machine's clock: count from here.
        gaps = {seq: min(at, now) for seq, at in gaps.items()}
        return Cursor(high, gaps | {seq: now for seq in fresh if seq not in found})

    @classmethod
    def at_end(cls, latest: Iterable[int], now: float) -> Cursor:
        """
        The place behind everything that is there.

        :param latest: The latest numbers, in any order, as many as :data:`WIDEST_LOOK_BACK` or all.
        :param now: The time, in seconds since 1970.
        """
        found = set(latest)
        if not found:
            return cls()
        return Cursor(max(0, max(found) - WIDEST_LOOK_BACK)).advanced(found, now)


def _no_cursor() -> InvalidInput:
    return InvalidInput("after must be a cursor from an earlier answer, unchanged", field="after")
