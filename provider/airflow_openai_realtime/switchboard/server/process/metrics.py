"""
Counting what happened in one process since it started, and metrics in Prometheus' text format.

What the store knows is the same at every worker. What only a process knows has its number as the label ``worker``.
Labels hold lines, states and other words of ours; never a call, an owner or a number.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_openai_realtime.switchboard.server.store.statistics import ANSWER_BUCKETS, LineStatistics

DELIVERIES = "deliveries"
REJECTIONS = "rejections"
REFUSALS = "refusals"
REAPER_ACTIONS = "reaper_actions"
STANDBY_ACTIONS = "standby_actions"

NO_LINE = ""
"""What is counted as the line of a request that named none that is there."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GAUGE = "gauge"
COUNTER = "counter"
_PREFIX = "openai_realtime_"

Labels = Mapping[str, str]


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


@dataclass(frozen=True)
class Metric:
    """
    One metric with its values.

    :param name: Without the prefix that all have.
    :param kind: ``gauge`` or ``counter``.
    :param about: What it says, in one line.
    :param values: Labels and number of each.
    """

    name: str
    kind: str
    about: str
    values: Iterable[tuple[Labels, float]]


def rendered(metrics: Iterable[Metric], common: Labels) -> str:
    """
    The text of some metrics.

    :param metrics: The metrics, in the order of the text.
    :param common: Labels that each value gets besides its own.
    """
    lines: list[str] = []
    for metric in metrics:
        name = _PREFIX + metric.name
        lines += [f"# HELP {name} {metric.about}", f"# TYPE {name} {metric.kind}"]
        lines += [f"{name}{_labels({**common, **labels})} {_number(value)}" for labels, value in metric.values]
    return "\n".join([*lines, ""])


def metrics_of_line(found: LineStatistics, now: float) -> list[Metric]:
    """
    What the store knows of a line.

    :param found: Figures of the line.
    :param now: Seconds since 1970.
    """
    oldest = 0.0 if found.oldest_ringing is None else max(0.0, now - found.oldest_ringing.timestamp())
    buckets = zip([*map(_number, ANSWER_BUCKETS), "+Inf"], [*found.answered_within, found.answered], strict=True)
    answer = "ring_to_answer_last_hour_seconds"
    about = "Seconds from a call's arrival here to its being accepted; calls that came in within the last hour"
    return [
        Metric("calls", GAUGE, "Calls in the store", [({"state": key}, n) for key, n in found.by_state.items()]),
        Metric(
            "oldest_ringing_seconds", GAUGE, "Age of the oldest call that rings unclaimed, 0 for none", [({}, oldest)]
        ),
        Metric(f"{answer}_bucket", GAUGE, about, [({"le": bound}, n) for bound, n in buckets]),
        Metric(f"{answer}_sum", GAUGE, about, [({}, found.answer_seconds)]),
        Metric(f"{answer}_count", GAUGE, about, [({}, found.answered)]),
        Metric(
            "calls_over_last_hour",
            GAUGE,
            "Calls that came to an end within the last hour, by state and by the reason of those that were accepted",
            [({"state": state, "reason": reason}, n) for (state, reason), n in found.over.items()],
        ),
    ]


def _labels(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    value = round(value, 6)
    return str(int(value)) if value == int(value) else repr(float(value))
