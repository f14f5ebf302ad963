"""The port to a carrier: the account, requests and answers. Each adapter is a module beside it."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, get_args

from airflow_openai_realtime.api.client import Client
from airflow_openai_realtime.api.phone_numbers import mask_number, to_e164
from airflow_openai_realtime.api.request import Request, Requests
from airflow_openai_realtime.api.settings import DEFAULT_SIP_HOST, check_server, check_sip_host
from airflow_openai_realtime.api.sip import CORRELATION_HEADER, openai_sip_uri
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput

CarrierStatus = Literal["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"]
"""How far a carrier's call is. Source: https://www.twilio.com/docs/voice/api/call-resource"""

STATUSES: tuple[str, ...] = get_args(CarrierStatus)
FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})

_HEADER_NAME = re.compile(r"X-[A-Za-z0-9-]{1,60}", re.IGNORECASE)
_SIP_ADDRESS = re.compile(r"sips?:[\x21-\x7e]+", re.IGNORECASE)
# Without user and password: they would show wherever the order is shown.
_HTTPS_URL = re.compile(r"https://[A-Za-z0-9.:\[\]-]+([/?#][\x21-\x7e]*)?", re.IGNORECASE)


#: Advice for an invalid ``refer_url``.
REFER_URL_SHAPE = "refer_url must be a public address such as https://example.com/refer, without user and password"


@dataclass(frozen=True)
class DialRequest:
    """
    Ring a person, and bridge the answered call to OpenAI.

    :param to: Number to ring, E.164.
    :param from_number: Number that the person sees, E.164; one the carrier lets the account use.
    :param sip_uri: Where the answered call goes, ``sip:proj_…@sip.api.openai.com;transport=tls``.
    :param correlation_id: Comes back in the incoming call's headers; 1 to 64 letters, digits, ``.``, ``_``, ``-``.
    :param ring_seconds: How long to let it ring, above 0; Twilio takes up to 600 and may add 5.
    :param max_duration_seconds: The carrier ends the call after this long, counted from picking up, above 0: the last
        of the layers that do.
    :param header_name: Header that carries the correlation id; must start with ``X-``.
    :param refer_url: Where the carrier asks what to do when OpenAI wants the call transferred, ``https://…``; without
        it Twilio carries out no transfer.
    :raises InvalidInput: A value cannot be used; a wrong number raises InvalidPhoneNumber.
    """

    to: str = field(repr=False)
    from_number: str = field(repr=False)
    sip_uri: str
    correlation_id: str
    ring_seconds: float = 30.0
    max_duration_seconds: float = 900.0
    header_name: str = CORRELATION_HEADER
    refer_url: str | None = None

    def __post_init__(self) -> None:
        for name in ("to", "from_number"):
            object.__setattr__(self, name, to_e164(getattr(self, name), name))
        if not _SIP_ADDRESS.fullmatch(self.sip_uri):
            raise InvalidInput("sip_uri must be like sip:proj_…@sip.api.openai.com;transport=tls", field="sip_uri")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", self.correlation_id):
            raise InvalidInput(
                "correlation_id must be 1 to 64 letters, digits, dots, underscores or hyphens", field="correlation_id"
            )
        if not _HEADER_NAME.fullmatch(self.header_name):
            raise InvalidInput(
                "header_name must be like X-Correlation-Id: carriers drop headers that do not start with X-",
                field="header_name",
            )
        if self.refer_url is not None and not is_https_url(self.refer_url):
            raise InvalidInput(REFER_URL_SHAPE, field="refer_url")
        for name in ("ring_seconds", "max_duration_seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} must be a number of seconds above 0", field=name)

    @property
    def to_masked(self) -> str:
        """The number as it may stand in a log."""
        return mask_number(self.to)


@dataclass(frozen=True)
class PlacedCall:
    """
    A call that the carrier took on; the phone rings or soon will.

    :param carrier_call_id: The carrier's id, for example Twilio's ``CA…``.
    :param status: How far it is, usually ``queued``.
    """

    carrier_call_id: str
    status: CarrierStatus


@dataclass(frozen=True)
class CarrierCall:
    """
    A call as the carrier sees it now.

    :param carrier_call_id: The carrier's id.
    :param status: How far it is.
    :param duration_seconds: Length of the ended call, or ``None`` while it is not known.
    :param answered_by: ``human``, ``machine_start``, … when the carrier listens for machines, else ``None``.
    """

    carrier_call_id: str
    status: CarrierStatus
    duration_seconds: float | None = None
    answered_by: str | None = None

    @property
    def final(self) -> bool:
        """Whether the call is over."""
        return self.status in FINAL_STATUSES


def is_https_url(text: str) -> bool:
    """
    Whether a carrier can use this address: ``https://``, a host, no user and password in front of it.

    :param text: The text to judge.
    """
    return bool(_HTTPS_URL.fullmatch(text))


class Dialer(Client, ABC):
    """
    A carrier account: a client, and what can be asked of this carrier.

    A carrier is a subclass whose methods build requests, and its settings. ``dialer.send(dialer.look(id))`` asks from
    blocking code, ``await dialer.asend(dialer.look(id))`` from a coroutine.
    """

    #: The account with which the carrier is asked.
    account: CarrierSettings

    @abstractmethod
    def place(self, request: DialRequest) -> Request[PlacedCall]:
        """
        Ring a phone. Never repeated, whatever happens.

        :param request: Whom to ring, and where the answered call goes.
        :raises InvalidInput: The carrier could not take the request.

        Sending it raises

        - ``NumberRefused``: the carrier cannot ring this number; no phone rang;
        - ``CarrierRefused``: the carrier refused for another reason; no phone rang;
        - ``CarrierUnavailable``: the carrier could not be reached; no phone rang;
        - ``PlacementUnknown``: the order left and no clear answer came: the phone may be ringing.
        """

    @abstractmethod
    def look(self, carrier_call_id: str) -> Request[CarrierCall]:
        """
        See how far a call is.

        :param carrier_call_id: From placing it.

        Sending it raises ``CarrierRefused`` (there is no such call, or the account was refused) and
        ``CarrierUnavailable`` (no answer after the last attempt).
        """

    @abstractmethod
    def end(self, carrier_call_id: str) -> Request[None]:
        """
        End a call, ringing or answered; one that is already over is no error.

        :param carrier_call_id: From placing it.

        Sending it raises the errors of :meth:`look`.
        """

    @abstractmethod
    def cancel(self, carrier_call_id: str) -> Requests[CarrierCall]:
        """
        Take back an order: a call that is queued or rings ends, one that has been answered goes on.

        :param carrier_call_id: From placing it.
        :return: The call as it is after that: ``canceled``, ``in-progress``, or over in another way.

        Sending it raises the errors of :meth:`look`.
        """

    @abstractmethod
    def check(self) -> Request[None]:
        """
        Show whether account and token work; dials nothing.

        Sending it raises ``CarrierRefused`` and ``CarrierUnavailable``.
        """


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
