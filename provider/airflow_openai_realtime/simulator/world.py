"""All parts of one simulator, put together; no sockets."""

from __future__ import annotations

from typing import Any

from airflow_openai_realtime.simulator.bridge import Exchange
from airflow_openai_realtime.simulator.calls import Calls
from airflow_openai_realtime.simulator.carrier import Carrier
from airflow_openai_realtime.simulator.clock import Clock
from airflow_openai_realtime.simulator.faults import Faults
from airflow_openai_realtime.simulator.inbound import Headers, call_in
from airflow_openai_realtime.simulator.log import Log
from airflow_openai_realtime.simulator.phones import Phones, PhoneScript
from airflow_openai_realtime.simulator.sideband import Sidebands
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings
from airflow_openai_realtime.simulator.webhook_sender import WebhookSender


class World:
    """
    The simulated world: OpenAI, a carrier, phones, time.

    :param settings: What it is set to.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._first_settings = settings
        self.settings = settings
        self.clock = Clock(speed=settings.speed, settle_seconds=settings.settle_seconds)
        self.log = Log(self.clock.lock, self.clock.now_at)
        self.faults = Faults(self.clock.lock)
        self.phones = Phones(self.clock.lock, self.log)
        self.calls = Calls(self.clock, self.log, lambda: self.settings)
        self.exchange = Exchange(self.clock, self.log, self.phones, self.calls)
        self.carrier = Carrier(self.exchange, lambda: self.settings)
        self.webhooks = WebhookSender(self.clock, self.log, self.faults, lambda: self.settings)
        self.sidebands = Sidebands(self.calls, self.clock, self.log)
        self.calls.announce = self.webhooks.announce
        self.calls.begin = self.sidebands.open

    def call_in(
        self,
        from_: str,
        to: str,
        headers: Headers = (),
        script: PhoneScript | None = None,
        call_id: str | None = None,
    ) -> str:
        """Make a person call in; see :func:`~airflow_openai_realtime.simulator.inbound.call_in`."""
        return call_in(self.exchange, self.settings, from_, to, headers, script, call_id)

    def reset(self, **changes: Any) -> None:
        """
        Start anew: no calls, scripts, faults, webhook targets or log, real time.

        :param changes: Settings that differ from those that the simulator was started with.
        :raises InvalidInput: A setting is unknown or out of range.
        """
        settings = self._first_settings.changed(changes)
        with self.clock.lock:
            self.calls.reset()
            self.carrier.reset()
            self.phones.reset()
            self.faults.clear()
            self.webhooks.reset()
            self.log.reset()
            self.settings = settings
            self.clock.reset(speed=settings.speed, settle_seconds=settings.settle_seconds)
