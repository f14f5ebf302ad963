"""What can be tuned, and what is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS
from airflow_openai_realtime.switchboard.server.switchboard_settings import (
    CONFIGURABLE,
    DAYS,
    MOST_DAYS,
    SwitchboardSettings,
)

NAMES = [setting.name for setting in fields(SwitchboardSettings)]
MAY_BE_ZERO = {*DAYS, "standby_after_seconds"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - MAY_BE_ZERO))
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_number_must_be_above_zero(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be above 0"):
        SwitchboardSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [0.5, -1, float("nan"), float("inf"), 1e9])
def test_days_that_would_delete_what_still_rings_or_cannot_be_counted_are_refused(days: float) -> None:
    for name in DAYS:
        with pytest.raises(ConfigurationError, match=f"{name} must be 0"):
            SwitchboardSettings(**{name: days})  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [0, 1, 30.5, MOST_DAYS])
def test_days_are_none_or_at_least_one(days: float) -> None:
    for name in DAYS:
        assert getattr(SwitchboardSettings(**{name: days}), name) == days  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "is_good"), [(0, True), (1, True), (LONGEST_CALL_SECONDS, True), (0.5, False)])
def test_the_standby_is_off_or_waits_for_at_least_a_second(seconds: float, is_good: bool) -> None:
    if is_good:
        assert SwitchboardSettings(standby_after_seconds=seconds).standby_after_seconds == seconds
    else:
        with pytest.raises(ConfigurationError, match="standby_after_seconds must be 0"):
            SwitchboardSettings(standby_after_seconds=seconds)


def test_no_call_is_planned_for_longer_than_openai_lets_it_be() -> None:
    assert SwitchboardSettings(default_max_duration_seconds=LONGEST_CALL_SECONDS)
    with pytest.raises(ConfigurationError, match="default_max_duration_seconds must be at most"):
        SwitchboardSettings(default_max_duration_seconds=LONGEST_CALL_SECONDS + 1)


def test_what_users_can_give_are_settings() -> None:
    assert set(CONFIGURABLE) <= set(NAMES)
