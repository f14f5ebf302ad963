"""Schedules for DAGs that events about calls start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.version_compat import batched_asset_schedule

if TYPE_CHECKING:
    from airflow.sdk import Asset


def call_events_schedule(*assets: Asset) -> Any:
    """
    Return the schedule of a DAG that events about calls start: a run takes all events that wait when it is made.

    With ``schedule=[asset]``, Airflow 3.4 makes a run for every event: twenty calls at once make twenty runs, of which
    the first claims all of them, and a call that stays unclaimed makes another run every 15 seconds.

    :param assets: At least one, for example those with the ``AssetWatcher`` of an ``IncomingCallTrigger``. With
        several, an event of any of them starts a run.
    :raises InvalidInput: No asset is given.

    Source: https://github.com/apache/airflow/pull/68517, and ``[scheduler] batch_asset_events`` of Airflow 3.4.0b2.
    """
    if not assets:
        raise InvalidInput("call_events_schedule needs an asset, for example call_events_schedule(finished_calls)")
    return batched_asset_schedule(assets)
