"""Which checks are remembered, and for how long."""

from __future__ import annotations

from airflow_openai_realtime.switchboard.server.process import passed_checks as module
from airflow_openai_realtime.switchboard.server.process.passed_checks import KEPT_SECONDS, PassedChecks


class Seconds:
    """A clock that is moved."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_check_that_passed_counts_for_its_line_for_some_minutes() -> None:
    seconds = Seconds()
    checks = PassedChecks(seconds)
    checks.add("support", ["carrier a", "number b"])
    assert checks.among("support", ["number b", "other", "carrier a"]) == ["number b", "carrier a"]
    assert checks.among("sales", ["carrier a"]) == []
    seconds.at = KEPT_SECONDS - 1
    assert checks.among("support", ["carrier a"]) == ["carrier a"]
    seconds.at = KEPT_SECONDS
    assert checks.among("support", ["carrier a"]) == []


def test_a_check_that_passes_again_counts_anew() -> None:
    seconds = Seconds()
    checks = PassedChecks(seconds)
    checks.add("support", ["carrier a"])
    seconds.at = KEPT_SECONDS - 1
    checks.add("support", ["carrier a"])
    seconds.at = 2 * KEPT_SECONDS - 2
    assert checks.among("support", ["carrier a"]) == ["carrier a"]


def test_however_many_are_asked_for_the_oldest_are_forgotten_first() -> None:
    checks = PassedChecks(Seconds())
    names = [f"check {number}" for number in range(module.MOST_CHECKS + 5)]
    checks.add("support", names)
    assert checks.among("support", names) == names[5:]
