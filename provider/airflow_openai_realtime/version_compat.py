"""What differs between the Airflow versions that are supported (3.2 and later)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Asset


def async_connections_are_safe() -> bool:
    """
    Tell whether looking a connection up inside an event loop masks its secrets without blocking the loop.

    Before Airflow 3.3.2, ``BaseHook.aget_connection`` may raise ``DeadlockImminentError`` or stall the triggerer.

    Source: https://github.com/apache/airflow/issues/71891
    """
    from airflow.sdk import Connection

    return hasattr(Connection, "aextra_dejson")


def mask_in_this_process(*secrets: str) -> None:
    """
    Keep texts out of this process's logs at once, without notifying the supervisor.

    Only for Airflow before 3.3.2, which has no ``amask_secret`` that is safe in an event loop.

    :param secrets: Texts that are not empty.
    """
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    for secret in secrets:
        _secrets_masker().add_mask(secret)


def has_acknowledged_streams() -> bool:
    """
    Tell whether event triggers can share a stream whose source hears when an event was stored (Airflow 3.3).

    Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """
    from airflow.triggers.base import BaseEventTrigger

    return hasattr(BaseEventTrigger, "create_shared_stream_producer")


def batched_asset_schedule(assets: tuple[Asset, ...]) -> Any:
    """
    Return a schedule on which one run takes all events of these assets that wait for a run.

    Airflow 3.4 makes a run for each event unless the timetable or ``[scheduler] batch_asset_events`` asks otherwise.
    Before 3.4 events are always united, and there is nothing to ask for.

    :param assets: At least one; an event of any of them starts a run.

    Source: ``airflow.sdk.AssetTriggeredTimetable`` and ``config.yml`` of Airflow 3.4.0b2.
    """
    from airflow.sdk import AssetAny

    condition = AssetAny(*assets) if len(assets) > 1 else assets[0]
    if not unites_asset_events_on_request():
        return condition
    from airflow.sdk import AssetTriggeredTimetable  # type: ignore[attr-defined]  # since 3.4

    return AssetTriggeredTimetable(condition, batch_asset_events=True)


def unites_asset_events_on_request() -> bool:
    """Tell whether a schedule says if one run takes all events that wait, or each event has its run (Airflow 3.4)."""
    from airflow.sdk.definitions.timetables.assets import AssetTriggeredTimetable

    return hasattr(AssetTriggeredTimetable, "batch_asset_events")
