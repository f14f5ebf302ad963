"""One carrier account."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from airflow_openai_realtime.api.phone_numbers import to_e164
from airflow_openai_realtime.api.settings import DEFAULT_SIP_HOST, check_server, check_sip_host
from airflow_openai_realtime.api.sip import openai_sip_uri
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput
from airflow_openai_realtime.outbound.carriers.port import REFER_URL_SHAPE, is_https_url

CARRIERS: tuple[str, ...] = ("twilio",)


@dataclass(frozen=True, kw_only=True)
class CarrierSettings:
    """
    One carrier account.

    :param account: Account id; Twilio's ``AC…``.
    :param token: The account's auth token; or the secret of ``api_key``.
    :param api_key: Id of an API key of the account, Twilio's ``SK…``, that signs in with ``token``; ``None``: the
        account itself does.
    :param carrier: One of :data:`CARRIERS`.
    :param base_url: The carrier's API, or the simulator.
    :param caller_number: Number that people see, E.164; checked when it is used.
    :param openai_project_id: ``proj_…`` of the OpenAI project that takes the calls.
    :param sip_host: OpenAI's SIP host; ``sip-eu.api.openai.com`` for a project in the EU.
    :param refer_url: Where the carrier asks what to do with a transfer, ``https://…``; Twilio's ``referUrl``.
    :param timeout_seconds: Limit for one whole exchange, from connecting to the last byte of the answer; above 0.
    :raises ConfigurationError: A value is missing or cannot be used. Never shows the token.
    """

    account: str
    token: str = field(repr=False)
    api_key: str | None = None
    carrier: str = "twilio"
    base_url: str = "https://api.twilio.com"
    caller_number: str | None = None
    openai_project_id: str | None = None
    sip_host: str = DEFAULT_SIP_HOST
    refer_url: str | None = None
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.carrier not in CARRIERS:
            raise ConfigurationError(f"unknown carrier {self.carrier!r}: use one of {', '.join(CARRIERS)}")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.account):
            raise ConfigurationError("the carrier's account id is missing or no id: set the login of the connection")
        if self.carrier == "twilio" and self.account.startswith("SK"):
            raise ConfigurationError(
                "the login is an API key (SK…): set the login to the account SID (AC…), and the key's id as api_key in "
                "the extra; the key's secret stays the password"
            )
        if self.api_key is not None and not re.fullmatch(r"SK[A-Za-z0-9]+", self.api_key):
            raise ConfigurationError("api_key must be the id of an API key, SK…; leave it out to use the auth token")
        if not self.token:
            raise ConfigurationError("the carrier's token is missing: set the password of the connection")
        object.__setattr__(self, "base_url", check_server(self.base_url, self.token, key_field="the carrier's token"))
        check_sip_host(self.sip_host, "openai_sip_host")
        if self.openai_project_id and not re.fullmatch(r"proj_[A-Za-z0-9_-]+", self.openai_project_id):
            raise ConfigurationError("openai_project_id must be like proj_abc: copy it from OpenAI's project settings")
        if self.refer_url is not None and not is_https_url(self.refer_url):
            raise ConfigurationError(REFER_URL_SHAPE)
        if not 0 < self.timeout_seconds < math.inf:
            raise ConfigurationError("timeout_seconds must be a number above 0, for example 10")

    def check_can_place(self) -> None:
        """
        See whether everything that placing a call needs is there and has the right form.

        :raises ConfigurationError: A field is missing or wrong; the message names it.
        """
        if not self.caller_number:
            raise ConfigurationError(
                "caller_number is missing: set it in the extra of the carrier's connection, a number of yours like "
                "+14155550100"
            )
        try:
            to_e164(self.caller_number, "caller_number")
        except InvalidInput as error:
            raise ConfigurationError(str(error)) from error
        _ = self.sip_uri

    @property
    def sip_uri(self) -> str:
        """
        Where the carrier sends an answered call.

        :raises ConfigurationError: ``openai_project_id`` is missing.
        """
        if not self.openai_project_id:
            raise ConfigurationError(
                "openai_project_id is missing: set it in the extra of the carrier's connection (proj_…)"
            )
        return openai_sip_uri(self.openai_project_id, self.sip_host)
