"""Schedules for DAGs that events about calls start; what the scheduler does with them is in ``tests/contract``."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.serialization.serialized_objects import DagSerialization

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.schedules import call_events_schedule
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger

A_LINE, ANOTHER_LINE = (
    Asset(name, watchers=[AssetWatcher(name="bell", trigger=IncomingCallTrigger())]) for name in ("a", "b")
)


def stored(*assets: Asset) -> dict[str, Any]:
    """The condition of a DAG's schedule, as Airflow stores it."""
    schedule: dict[str, Any] = DagSerialization.to_dict(DAG(dag_id="told", schedule=call_events_schedule(*assets)))
    condition: dict[str, Any] = schedule["dag"]["timetable"]["__var"]["asset_condition"]
    return condition


def test_the_watchers_of_the_asset_are_kept() -> None:
    assert IncomingCallTrigger.__name__ in repr(stored(A_LINE))


def test_a_ring_on_either_line_starts_a_run() -> None:
    condition = stored(A_LINE, ANOTHER_LINE)
    assert condition["__type"] == "asset_any"
    assert {asset["name"] for asset in condition["objects"]} == {"a", "b"}


def test_no_asset_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidInput, match="needs an asset, for example"):
        call_events_schedule()
