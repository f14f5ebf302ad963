"""What the tests of ``api`` share: settings, and a clock that only sleeping moves."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings

from airflow_openai_realtime.api.client import Pace
from airflow_openai_realtime.api.session import constraints
from airflow_openai_realtime.api.settings import ApiSettings, Endpoints

# Examples are not timed: a busy machine is no failure.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

KEY = "sk-proj-very-secret-key"


@pytest.fixture(autouse=True)
def _before_all_shutdowns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which models live does not depend on the day on which the tests run."""
    monkeypatch.setattr(constraints, "today", lambda: "2025-11-01")


class FakeTime:
    """Time that passes only by sleeping, or when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self) -> Pace:
        return Pace(clock=lambda: self.now, jitter=lambda: 0.0, sleep=self.sleep)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(KEY, Endpoints("https://api.test/v1", "wss://api.test/v1/realtime", "sip.test"))
