"""What differs between Airflow's versions: the installed one, and the others by what they have."""

from __future__ import annotations

from typing import Any

import pytest
from airflow import __version__ as AIRFLOW_VERSION
from airflow.sdk import Asset, AssetAny, Connection
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.definitions.timetables import assets as timetables
from airflow.triggers.base import BaseEventTrigger
from packaging.version import Version

from airflow_openai_realtime import version_compat
from airflow_openai_realtime.version_compat import (
    async_connections_are_safe,
    batched_asset_schedule,
    has_acknowledged_streams,
    mask_in_this_process,
    unites_asset_events_on_request,
)

RELEASE = Version(Version(AIRFLOW_VERSION).base_version)
SALES, HELP = Asset("sales"), Asset("help")


@pytest.mark.parametrize(
    ("tells", "since"),
    [
        (async_connections_are_safe, "3.3.2"),
        (has_acknowledged_streams, "3.3.0"),
        (unites_asset_events_on_request, "3.4.0"),
    ],
)
def test_what_the_installed_airflow_can_do_follows_from_its_version(tells: Any, since: str) -> None:
    assert tells() is (Version(since) <= RELEASE)


def test_what_it_can_do_is_found_by_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name, tells in (
        (Connection, "aextra_dejson", async_connections_are_safe),
        (BaseEventTrigger, "create_shared_stream_producer", has_acknowledged_streams),
        (timetables.AssetTriggeredTimetable, "batch_asset_events", unites_asset_events_on_request),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, True, raising=False)
            assert tells()
        for each in owner.__mro__:
            if name in vars(each):
                with monkeypatch.context() as patch:
                    patch.delattr(each, name)
                    assert not tells()


def test_before_airflow_3_4_a_schedule_is_its_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_compat, "unites_asset_events_on_request", lambda: False)
    assert batched_asset_schedule((SALES,)) is SALES
    either = batched_asset_schedule((SALES, HELP))
    assert isinstance(either, AssetAny)
    assert list(either.objects) == [SALES, HELP]


def test_from_airflow_3_4_on_the_timetable_is_asked_to_unite_events(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def timetable(condition: Any, *, batch_asset_events: bool) -> str:
        made.append((condition, batch_asset_events))
        return "the timetable"

    monkeypatch.setattr(version_compat, "unites_asset_events_on_request", lambda: True)
    monkeypatch.setattr("airflow.sdk.AssetTriggeredTimetable", timetable, raising=False)
    assert batched_asset_schedule((SALES,)) == "the timetable"
    assert made == [(SALES, True)]


def test_a_secret_is_masked_in_this_process_at_once() -> None:
    secret = "a-secret-of-this-test-4711"
    assert secret in str(redact(f"token {secret}"))
    mask_in_this_process(secret)
    assert secret not in str(redact(f"token {secret}"))
