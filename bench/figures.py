"""From what was measured to what is reported."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence


def percentile(values: Sequence[float], percent: int) -> float:
    """
    The value that so many percent of the values do not exceed, between two of them if need be.

    :param percent: From 1 to 99.
    :returns: Not a number when there are fewer than two values.
    """
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else float("nan")


def medians(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """For each name, the median of the runs."""
    listed = list(runs)
    return {name: statistics.median(run[name] for run in listed) for name in listed[0]}


def worst(runs: Iterable[Mapping[str, float]], *names: str) -> dict[str, float]:
    """For each of these names, the highest of the runs: for what must not happen in any."""
    listed = list(runs)
    return {name: max(run[name] for run in listed) for name in names}
