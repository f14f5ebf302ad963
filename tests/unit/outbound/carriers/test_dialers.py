from __future__ import annotations

from airflow_openai_realtime.outbound.carriers.dialers import dialer_for
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer


async def test_the_dialer_of_the_carrier_is_found(settings):
    with dialer_for(settings) as dialer:
        assert isinstance(dialer, TwilioDialer)
    async with dialer_for(settings) as dialer:
        assert isinstance(dialer, TwilioDialer)
