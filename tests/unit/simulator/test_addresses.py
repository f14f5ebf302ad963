"""What clients need to reach a simulator, made from its address and settings wherever it runs."""

from __future__ import annotations

import pytest

from airflow_openai_realtime.simulator import SimulatorSettings
from airflow_openai_realtime.simulator.addresses import SimulatorAddresses

SETTINGS = SimulatorSettings(project_id="proj_other", api_key="sk-other")


class Here(SimulatorAddresses):
    """A simulator at an address."""

    url = "http://127.0.0.1:4010"
    settings = SETTINGS


def test_openai_is_found_under_its_version_and_the_carrier_at_the_root() -> None:
    assert Here().openai_base_url == "http://127.0.0.1:4010/v1"
    assert Here().twilio_base_url == "http://127.0.0.1:4010"


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "webhook_secret",
        "account_sid",
        "auth_token",
        "api_key_sid",
        "api_key_secret",
        "project_id",
        "sip_host",
        "caller_number",
    ],
)
def test_credentials_are_those_of_the_settings_also_after_these_have_changed(name: str) -> None:
    here = Here()
    assert getattr(here, name) == getattr(SETTINGS, name)
    here.settings = SETTINGS.changed({name: f"{getattr(SETTINGS, name)}9"})
    assert getattr(here, name) == f"{getattr(SETTINGS, name)}9"
