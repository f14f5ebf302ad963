"""Which connections are lines of standalone switchboards, and hanging up with a connection's key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls.line_settings import api_settings_from_fields
from airflow_openai_realtime.exceptions import AuthenticationError, ConfigurationError
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.mounted import connection_ids
from airflow_openai_realtime.ui.airflow_backend import (
    AirflowBackend,
    StandaloneLines,
    standalone_lines,
)

SECRET = "whsec_dGVzdC1zZWNyZXQ="


@pytest.fixture(autouse=True)
def _database(airflow_db: Path) -> None:
    """Connections are looked for in Airflow's database as well."""


def connect(patch: pytest.MonkeyPatch, conn_id: str, *, kind: str = "openai_realtime", **fields: Any) -> None:
    extra = {"webhook_secret": SECRET, **fields.pop("extra", {})}
    connection = {"conn_type": kind, "password": "sk-test", **fields, "extra": extra}
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def test_connections_to_a_switchboard_elsewhere_are_standalone_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "mounted", extra={"switchboard_url": "http://airflow:8080/openai-realtime"})
    connect(monkeypatch, "mounted_too", extra={"switchboard_url": "http://airflow:8080/base/openai-realtime/"})
    connect(monkeypatch, "without")
    connect(monkeypatch, "other_type", kind="http", extra={"switchboard_url": "http://sb:8090"})
    connect(monkeypatch, "berlin", extra={"switchboard_url": "http://sb:8090", "line": "support"})
    connect(monkeypatch, "same_line", extra={"switchboard_url": "http://sb:8090", "line": "support"})
    connect(monkeypatch, "paris", extra={"switchboard_url": "http://sb:8090"})
    found = standalone_lines(connection_ids())
    assert [(line.conn_id, line.address.line) for line in found] == [("berlin", "support"), ("paris", "paris")]


def test_a_connection_that_cannot_be_used_is_left_out_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect(monkeypatch, "broken", extra={"switchboard_url": "sb:8090", "switchboard_token": "secret-token"})
    connect(monkeypatch, "berlin", extra={"switchboard_url": "http://sb:8090"})
    assert [line.conn_id for line in standalone_lines(["broken", "berlin", "nowhere"])] == ["berlin"]
    assert "calls_page.connection_unusable conn_id=broken" in caplog.text
    assert "secret-token" not in caplog.text


def test_a_secrets_backend_that_fails_costs_its_own_connection_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow_openai_realtime.ui import airflow_backend as module

    found = module.find_fields

    def failing(conn_id: str) -> Any:
        if conn_id == "vault":
            raise RuntimeError("hvac said: token=secret")
        return found(conn_id)

    monkeypatch.setattr(module, "find_fields", failing)
    connect(monkeypatch, "berlin", extra={"switchboard_url": "http://sb:8090"})
    assert [line.conn_id for line in standalone_lines(["vault", "berlin"])] == ["berlin"]
    assert "calls_page.connection_unreadable conn_id=vault kind=RuntimeError" in caplog.text
    assert "hvac" not in caplog.text


def test_connections_that_cannot_be_listed_are_named_in_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__CALLS_PAGE_CONNECTIONS", " vault_one , vault_two")
    assert {"vault_one", "vault_two", "openai_realtime_default"} <= set(connection_ids())


def test_lines_are_looked_up_from_time_to_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 0.0
    lines = StandaloneLines(lambda: at)
    assert lines() == []
    connect(monkeypatch, "berlin", extra={"switchboard_url": "http://sb:8090"})
    assert lines() == []
    at = 15.0
    assert [line.conn_id for line in lines()] == ["berlin"]


def test_a_call_is_hung_up_with_the_key_of_its_connection(
    monkeypatch: pytest.MonkeyPatch, realtime_simulator: Simulator
) -> None:
    host, key = realtime_simulator.openai_base_url, realtime_simulator.api_key
    connect(monkeypatch, "support", host=host, password=key)
    call_id = realtime_simulator.call_in("+14155550123", "+14155550199")
    with CallsClient(api_settings_from_fields(password=key, host=host, extra={})) as openai:
        openai.send(accept_call(call_id, {"instructions": "Hello"}))
    assert AirflowBackend().hang_up("support", call_id) is False
    assert AirflowBackend().hang_up("support", call_id) is True


def test_a_key_that_is_refused_and_a_connection_that_is_gone_are_told(
    monkeypatch: pytest.MonkeyPatch, realtime_simulator: Simulator
) -> None:
    connect(monkeypatch, "support", host=realtime_simulator.openai_base_url, password="sk-wrong")
    with pytest.raises(AuthenticationError):
        AirflowBackend().hang_up("support", "rtc_1")
    with pytest.raises(ConfigurationError, match="there is no connection nowhere"):
        AirflowBackend().hang_up("nowhere", "rtc_1")
