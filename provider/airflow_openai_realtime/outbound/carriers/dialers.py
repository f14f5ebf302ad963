"""Which dialer goes with a carrier account."""

from __future__ import annotations

from airflow_openai_realtime.outbound.carriers.carrier_settings import CarrierSettings
from airflow_openai_realtime.outbound.carriers.port import Dialer


def dialer_for(settings: CarrierSettings) -> Dialer:
    """
    Return the dialer of a carrier, for blocking code and coroutines.

    :param settings: The account; its ``carrier`` says which.
    """
    # Late, since tasks and triggers that place no call load this too.
    from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer

    return TwilioDialer(settings)
