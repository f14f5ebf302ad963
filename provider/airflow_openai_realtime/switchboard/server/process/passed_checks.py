"""Which checks of clients passed within the last minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

#: How long a check that passed is not made again, in seconds: a key that is revoked meanwhile is found after that.
KEPT_SECONDS = 300.0
MOST_CHECKS = 10_000


class PassedChecks:
    """
    Checks that passed, by line. Each process remembers its own; a check that is not remembered is made again.

    :param clock: A monotonic clock, in seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def add(self, line: str, checks: Iterable[str]) -> None:
        """
        Remember that checks passed just now.

        :param line: Name of the line.
        :param checks: Names of the checks.
        """
        now = self._clock()
        for check in checks:
            self._until.pop((line, check), None)
            self._until[line, check] = now + KEPT_SECONDS
        while self._until and (len(self._until) > MOST_CHECKS or next(iter(self._until.values())) <= now):
            del self._until[next(iter(self._until))]

    def among(self, line: str, checks: Iterable[str]) -> list[str]:
        """
        Return those of the checks that passed within the last minutes.

        :param line: Name of the line.
        :param checks: Names of the checks.
        """
        now = self._clock()
        return [check for check in checks if self._until.get((line, check), now) > now]
