from __future__ import annotations

import pytest

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import SimulatorSettings


def test_secrets_are_not_in_the_repr() -> None:
    settings = SimulatorSettings()
    for secret in (settings.api_key, settings.webhook_secret, settings.auth_token, settings.api_key_secret):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"), [("ring_seconds", -1), ("calls_per_second", 0), ("api_key", ""), ("speed", -0.1)]
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=name) as caught:
        SimulatorSettings().changed({name: value})
    assert caught.value.field == name


def test_an_unknown_setting_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(InvalidInput, match=r"unknown simulator setting ring_secs.*ring_seconds"):
        SimulatorSettings().changed({"ring_secs": 5})
