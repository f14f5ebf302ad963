"""
Metrics in Prometheus' text format. Pure: from numbers to text.

What the store knows is the same at every worker. What only a process knows has its number as the label ``worker``.
Labels hold lines, states and other words of ours; never a call, a claimant or a number.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_openai_realtime.switchboard.server.store.statistics import ANSWER_BUCKETS, LineStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GAUGE = "gauge"
COUNTER = "counter"
_PREFIX = "openai_realtime_"

Labels = Mapping[str, str]


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
