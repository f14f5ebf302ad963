"""What clients of a simulator need to reach it, whether it runs in this process or in another one."""

from __future__ import annotations

from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings


class SimulatorAddresses:
    """Addresses and credentials, made from ``url`` and ``settings`` of the subclass."""

    url: str
    settings: SimulatorSettings

    @property
    def openai_base_url(self) -> str:
        """Base URL for OpenAI clients and the ``openai_realtime`` connection."""
        return f"{self.url}/v1"

    @property
    def twilio_base_url(self) -> str:
        """Base URL of the carrier, in place of ``https://api.twilio.com``."""
        return self.url

    @property
    def api_key(self) -> str:
        """The key that the OpenAI side takes."""
        return self.settings.api_key

    @property
    def webhook_secret(self) -> str:
        """Signs the webhooks."""
        return self.settings.webhook_secret

    @property
    def account_sid(self) -> str:
        """The carrier's one account."""
        return self.settings.account_sid

    @property
    def auth_token(self) -> str:
        """Token of that account."""
        return self.settings.auth_token

    @property
    def api_key_sid(self) -> str:
        """An API key of that account, ``SK…``."""
        return self.settings.api_key_sid

    @property
    def api_key_secret(self) -> str:
        """Secret of that key."""
        return self.settings.api_key_secret

    @property
    def project_id(self) -> str:
        """OpenAI project that SIP calls must be addressed to."""
        return self.settings.project_id

    @property
    def sip_host(self) -> str:
        """SIP host that calls must be addressed to."""
        return self.settings.sip_host

    @property
    def caller_number(self) -> str:
        """A number for the carrier to call from."""
        return self.settings.caller_number
