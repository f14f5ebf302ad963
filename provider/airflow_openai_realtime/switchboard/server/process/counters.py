"""Counting what happened in one process since it started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

DELIVERIES = "deliveries"
REJECTIONS = "rejections"
REFUSALS = "refusals"
REAPER_ACTIONS = "reaper_actions"
STANDBY_ACTIONS = "standby_actions"

NO_LINE = ""
"""What is counted as the line of a request that named none that is there."""


class Counters:
    """
    Numbers that only grow. Used in the event loop alone.

    A line and an outcome are words of ours, never of a stranger's, so that there are few of them and nothing personal.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, what: str, outcome: str, line: str = NO_LINE) -> None:
        """
        Count one.

        :param what: ``deliveries``, ``rejections``, ``refusals``, ``reaper_actions`` or ``standby_actions``.
        :param outcome: What came of it.
        :param line: The line it was for, if there is such a line.
        """
        self._counts[what, line, outcome] += 1

    def of(self, what: str, line: str) -> Mapping[str, int]:
        """
        How often each outcome came about on a line.

        :param what: What is counted.
        :param line: Name of the line.
        """
        return {outcome: count for (kind, of, outcome), count in self._counts.items() if kind == what and of == line}
