"""What is needed to talk to one OpenAI project: key, hosts, time-out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from airflow_openai_realtime import __version__
from airflow_openai_realtime.api.endpoints import Endpoints
from airflow_openai_realtime.api.request import OPENAI, Service
from airflow_openai_realtime.exceptions import ConfigurationError

USER_AGENT = f"airflow-provider-openai-realtime/{__version__}"

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class ApiSettings:
    """
    One OpenAI project as a client sees it.

    :param api_key: Key of the project that receives the calls; another project's key answers 404 to every call.
    :param endpoints: Addresses, from :func:`~airflow_openai_realtime.api.endpoints.endpoints_for`.
    :param organization: Sent as ``OpenAI-Organization``.
    :param project: Sent as ``OpenAI-Project``.
    :param auth_style: ``bearer`` (OpenAI, Entra token) or ``api-key`` (Azure).
    :param timeout_seconds: Limit for one whole exchange, from connecting to the last byte of the answer; above 0.
    :raises ConfigurationError: A value is missing or cannot be sent in a header. Never shows the key.
    """

    api_key: str = field(repr=False)
    endpoints: Endpoints
    organization: str | None = None
    project: str | None = None
    auth_style: Literal["bearer", "api-key"] = "bearer"
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not self.api_key:
            raise ConfigurationError("the API key is missing: set the password of the connection")
        check_header_value(self.api_key, "the API key")
        if self.organization:
            check_header_value(self.organization, "organization")
        if self.project:
            check_header_value(self.project, "project")
        if self.auth_style not in ("bearer", "api-key"):
            raise ConfigurationError("auth_style must be 'bearer' (OpenAI) or 'api-key' (Azure)")
        if not (0 < self.timeout_seconds < math.inf):
            raise ConfigurationError("timeout_seconds must be a number above 0, for example 10")


def check_header_value(value: str, name: str) -> None:
    """
    Refuse what cannot stand in an HTTP header, before a library quotes it in an error.

    :param value: The text to judge.
    :param name: Name of the field, for the error.
    :raises ConfigurationError: Spaces, line ends or non-ASCII characters. Never shows the value.
    """
    if not _HEADER_SAFE.fullmatch(value):
        raise ConfigurationError(f"{name} has spaces, line ends or non-ASCII characters: paste it again")


def headers(settings: ApiSettings) -> dict[str, str]:
    """
    Headers of every request, with the key: never log them.

    ``Accept-Encoding: identity`` keeps answers short and plain, so that reading one cannot fail on its packing.

    :param settings: Where OpenAI is, and the key.
    """
    result = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
    if settings.auth_style == "api-key":
        result["api-key"] = settings.api_key
    else:
        result["Authorization"] = f"Bearer {settings.api_key}"
    if settings.organization:
        result["OpenAI-Organization"] = settings.organization
    if settings.project:
        result["OpenAI-Project"] = settings.project
    return result


def openai_service(settings: ApiSettings) -> Service:
    """
    Return where requests about calls of a project are sent, and how they are signed.

    :param settings: Key, addresses and time-out.
    """
    return Service(
        OPENAI,
        settings.endpoints.rest_url,
        headers(settings),
        (settings.api_key,),
        settings.timeout_seconds,
        websocket_url=settings.endpoints.websocket_url,
    )
