"""Connections and a switchboard that lead to the simulator, without an Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_openai_realtime.api.settings import endpoints_for
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings
from airflow_openai_realtime.testing.local_airflow import (
    CARRIER_CONN_ID,
    CONN_ID,
    RealtimeAirflow,
    connection_values,
    connections,
    switchboard_app,
)
from airflow_openai_realtime.testing.served_app import ServedApp

URL = "http://127.0.0.1:9/openai-realtime"


def test_the_connections_lead_to_the_simulator_with_its_credentials(realtime_simulator: Simulator) -> None:
    values = connection_values(realtime_simulator, URL)
    realtime, carrier = values[CONN_ID], values[CARRIER_CONN_ID]
    assert (realtime["host"], realtime["password"]) == (realtime_simulator.openai_base_url, realtime_simulator.api_key)
    assert realtime["extra"]["switchboard_url"] == URL
    assert endpoints_for(base_url=realtime["host"])
    assert (carrier["host"], carrier["login"]) == (realtime_simulator.twilio_base_url, realtime_simulator.account_sid)
    assert carrier["password"] == realtime_simulator.auth_token
    assert {each["conn_type"] for each in values.values()} == {"openai_realtime", "telephony_carrier"}


def test_each_connection_goes_into_the_variable_that_airflow_reads(realtime_simulator: Simulator) -> None:
    variables = connections(realtime_simulator, URL)
    assert set(variables) == {"AIRFLOW_CONN_OPENAI_REALTIME_DEFAULT", "AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT"}
    read = {name.removeprefix("AIRFLOW_CONN_").lower(): json.loads(text) for name, text in variables.items()}
    assert read == connection_values(realtime_simulator, URL)


def test_a_switchboard_takes_the_simulators_calls_and_its_token_alone(
    realtime_simulator: Simulator, tmp_path: Path
) -> None:
    app = switchboard_app(realtime_simulator, tmp_path, SwitchboardSettings(ring_seconds=30))
    with ServedApp(app) as served:
        realtime_simulator.webhooks.add(f"{served.url}/webhook")
        call_id = realtime_simulator.call_in("+14155550123", "+14155550100")
        with RealtimeAirflow(realtime_simulator, served.url).switchboard() as client:
            assert realtime_simulator.wait_for(lambda: bool(client.send(list_calls(state="all")).calls))
            (call,) = client.send(list_calls(state="all")).calls
        assert (call.call_id, call.line) == (call_id, CONN_ID)
        with (
            SwitchboardClient(served.url, derived_token("whsec_another"), line=CONN_ID) as stranger,
            pytest.raises(SwitchboardRefused),
        ):
            stranger.send(list_calls(state="all"))
    assert (tmp_path / "calls.db").exists()
