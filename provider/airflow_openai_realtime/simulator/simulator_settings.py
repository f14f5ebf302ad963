"""What one simulator is set to: identities, secrets (made up), limits and habits of the imitated services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput

# These open nothing: they are what the simulator itself expects. Fixed, so that a connection set up once keeps working.
_API_KEY = "sk-simulator-0123456789abcdef"
_WEBHOOK_SECRET = "whsec_c2ltdWxhdG9yLXdlYmhvb2stc2VjcmV0LTAwMDE="  # noqa: S105
_API_KEY_SECRET = "simulator-api-key-secret-0123456789"  # noqa: S105
_AUTH_TOKEN = "simulator-auth-token-0123456789"  # noqa: S105


@dataclass(frozen=True)
class SimulatorSettings:
    """
    Settings of a simulator. Durations are seconds on the simulator's own clock.

    :param api_key: The one key that the OpenAI side takes; any other gets 401.
    :param webhook_secret: Signs the webhooks; ``whsec_`` and base64, or raw text.
    :param account_sid: The one account that the carrier knows.
    :param auth_token: Token of that account.
    :param api_key_sid: An API key of that account, Twilio's ``SK…``: may do all but see the account.
    :param api_key_secret: Secret of that key.
    :param project_id: OpenAI project that SIP calls must be addressed to.
    :param sip_host: SIP host that calls must be addressed to.
    :param caller_number: Number that the carrier lets calls come from. Others are taken too; this one is printed.
    :param ring_seconds: How long OpenAI lets a call ring before it refuses it with SIP 400. The real limit is not
        published.
    :param gone_delay_seconds: Time until *accept* says that a call is gone. The real API was seen to take 5.3.
    :param refer_seconds: Time between *refer* and the moment the caller is handed over.
    :param sideband_ready_seconds: Time after *accept* until the sideband can be attached; 404 before that.
    :param session_limit_seconds: Longest session; the real limit is 60 minutes.
    :param clean_sideband_close: Whether the sideband says goodbye with a close frame. The real one often does not.
    :param transfers_need_refer_url: Whether a transfer of a call that came over ``<Dial>`` goes through only when the
        verb has a ``referUrl``, as Twilio does (its error 13802). Off: every transfer goes through.
    :param calls_per_second: How many calls the carrier starts per second; the rest waits in its queue. None: no limit.
    :param media_security: ``srtp`` or ``rtp``, as the webhook tells it; None leaves it out.
    :param webhook_timeout_seconds: How long one delivery may take before it counts as failed.
    :param webhook_first_retry_seconds: Wait before the second attempt; doubled for each one that follows.
    :param webhook_longest_wait_seconds: Upper limit of that wait.
    :param webhook_give_up_seconds: After this time no further attempt is made; the real limit is 72 hours.
    :param speed: How many simulated seconds pass in a real one. 0: time stands still but for ``clock.advance``.
    :param settle_seconds: How long ``clock.advance`` waits (in real seconds) for deliveries that are on their way.
    """

    api_key: str = field(default=_API_KEY, repr=False)
    webhook_secret: str = field(default=_WEBHOOK_SECRET, repr=False)
    account_sid: str = "AC00000000000000000000000000000001"
    auth_token: str = field(default=_AUTH_TOKEN, repr=False)
    api_key_sid: str = "SK00000000000000000000000000000001"
    api_key_secret: str = field(default=_API_KEY_SECRET, repr=False)
    project_id: str = "proj_simulator"
    sip_host: str = "sip.api.openai.com"
    caller_number: str = "+14155550100"
    ring_seconds: float = 20.0
    gone_delay_seconds: float = 0.0
    refer_seconds: float = 0.5
    sideband_ready_seconds: float = 0.0
    session_limit_seconds: float = 3600.0
    clean_sideband_close: bool = False
    transfers_need_refer_url: bool = True
    calls_per_second: float | None = 1.0
    media_security: str | None = "srtp"
    webhook_timeout_seconds: float = 5.0
    webhook_first_retry_seconds: float = 1.0
    webhook_longest_wait_seconds: float = 3600.0
    webhook_give_up_seconds: float = 72 * 3600.0
    speed: float = 1.0
    settle_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in NEVER_EMPTY:
            if not getattr(self, name):
                raise InvalidInput(f"{name} must not be empty; leave it out to use the default", field=name)
        for name in _DURATIONS:
            if getattr(self, name) < 0:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give 0 or more", field=name)
        if self.calls_per_second is not None and self.calls_per_second <= 0:
            raise InvalidInput(
                f"calls_per_second is {self.calls_per_second}; give more than 0, or None for no limit",
                field="calls_per_second",
            )

    def changed(self, changes: Mapping[str, Any]) -> SimulatorSettings:
        """
        The same settings with some of them changed.

        :param changes: New values by name.
        :raises InvalidInput: A name is unknown or a value out of range.
        """
        known = {each.name for each in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise InvalidInput(
                f"unknown simulator setting {unknown[0]}; known are {', '.join(sorted(known))}", field=unknown[0]
            )
        return replace(self, **changes)


#: Settings without which nothing works: credentials and names.
NEVER_EMPTY = (
    "api_key",
    "webhook_secret",
    "account_sid",
    "auth_token",
    "api_key_sid",
    "api_key_secret",
    "project_id",
    "sip_host",
)
_DURATIONS = (
    "ring_seconds",
    "gone_delay_seconds",
    "refer_seconds",
    "sideband_ready_seconds",
    "session_limit_seconds",
    "webhook_timeout_seconds",
    "webhook_first_retry_seconds",
    "webhook_longest_wait_seconds",
    "webhook_give_up_seconds",
    "speed",
    "settle_seconds",
)
