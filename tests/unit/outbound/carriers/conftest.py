"""What the tests of ``dialers`` share."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings

from airflow_openai_realtime.api.client import Pace
from airflow_openai_realtime.outbound.carriers.port import CarrierSettings, DialRequest

# Examples are not timed: a busy machine is no failure.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

TOKEN = "very-secret-token"


@pytest.fixture
def settings() -> CarrierSettings:
    return CarrierSettings(
        account="AC123",
        token=TOKEN,
        base_url="https://carrier.test",
        caller_number="+14155550100",
        openai_project_id="proj_abc",
    )


@pytest.fixture
def order(settings: CarrierSettings) -> DialRequest:
    return DialRequest(
        to="+14155550123",
        from_number="+14155550100",
        sip_uri=settings.sip_uri,
        correlation_id="c-1",
        ring_seconds=25,
        max_duration_seconds=300,
    )


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def pace(slept: list[float]) -> Pace:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return Pace(clock=lambda: sum(slept), jitter=lambda: 0.0, sleep=sleep)
