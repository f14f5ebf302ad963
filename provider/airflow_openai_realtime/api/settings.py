"""
What is needed to talk to one OpenAI project: key, hosts, time-out; and how addresses and secrets are checked.

One setting, a region or a base URL, gives the REST, WebSocket and SIP addresses that belong together.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from airflow_openai_realtime import __version__
from airflow_openai_realtime.exceptions import ConfigurationError

USER_AGENT = f"airflow-provider-openai-realtime/{__version__}"

REGIONS: tuple[str, ...] = ("global", "us", "eu", "ae", "au", "in", "jp")
"""Data residency regions. Source: ``data_residency`` of OpenAI's Python SDK 3.54."""

DEFAULT_SIP_HOST = "sip.api.openai.com"
_SIP_HOSTS = {"eu": "sip-eu.api.openai.com", "in": "sip-in.api.openai.com"}
_GLOBAL_HOST = "api.openai.com"
_SIP_HOST_SHAPE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")
_PLAIN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Endpoints:
    """
    The three addresses of one OpenAI project. They must agree: a mix of regions answers 404 to every call.

    :param rest_url: Base of the REST API, no slash at the end, for example ``https://api.openai.com/v1``.
    :param websocket_url: Address of the sideband socket, for example ``wss://api.openai.com/v1/realtime``.
    :param sip_host: Host a carrier sends calls to, for example ``sip.api.openai.com``.
    """

    rest_url: str
    websocket_url: str
    sip_host: str


def endpoints_for(*, region: str | None = None, base_url: str | None = None, sip_host: str | None = None) -> Endpoints:
    """
    Find the addresses for a region or a base URL. Nothing given means OpenAI's global hosts.

    :param region: One of :data:`REGIONS`; empty or ``None`` means ``global``.
    :param base_url: REST base, for Azure (``https://NAME.openai.azure.com/openai/v1``), a gateway or the simulator.
        Excludes ``region``.
    :param sip_host: Overrides the SIP host. For Azure it is the ``…sip.ai.azure.com`` host of the resource; without
        it a foreign base URL keeps OpenAI's default host.
    :raises ConfigurationError: Unknown region, both region and base URL, or an address that cannot be used.

    Source: https://developers.openai.com/api/docs/guides/voice-sip and
    https://developers.openai.com/api/docs/guides/data-residency
    """
    wanted = (region or "").strip().lower()
    if wanted and base_url:
        raise ConfigurationError(
            "region and base_url exclude each other: remove the region, or leave the host of the connection empty"
        )
    if wanted and wanted not in REGIONS:
        raise ConfigurationError(f"unknown region {region!r}: use one of {', '.join(REGIONS)}")
    if base_url:
        rest_url = check_base_url(base_url)
        _require_api_path(rest_url)
        wanted = _region_of(rest_url)
    else:
        rest_url = f"https://{_rest_host(wanted)}/v1"
    default_host = _SIP_HOSTS.get(wanted, DEFAULT_SIP_HOST)
    return Endpoints(
        rest_url=rest_url,
        websocket_url="ws" + rest_url.removeprefix("http") + "/realtime",
        sip_host=check_sip_host(sip_host) if sip_host else default_host,
    )


@dataclass(frozen=True)
class ApiSettings:
    """
    One OpenAI project as a client sees it.

    :param api_key: Key of the project that receives the calls; another project's key answers 404 to every call.
    :param endpoints: Addresses, from :func:`endpoints_for`.
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


def settings_for(
    api_key: str,
    *,
    region: str | None = None,
    base_url: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    auth_style: str | None = None,
    timeout_seconds: float = 10.0,
) -> ApiSettings:
    """
    Make the settings of a project from what a connection says; what is not given is OpenAI's default.

    :param api_key: Key of the project that receives the calls.
    :param region: As for :func:`endpoints_for`.
    :param base_url: As for :func:`endpoints_for`.
    :param organization: Sent as ``OpenAI-Organization``.
    :param project: Sent as ``OpenAI-Project``.
    :param auth_style: ``bearer`` or ``api-key``.
    :param timeout_seconds: Limit for one whole exchange, above 0.
    :raises ConfigurationError: A value is missing or cannot be used. Never shows the key.
    """
    return ApiSettings(
        api_key=api_key,
        endpoints=endpoints_for(region=region, base_url=base_url),
        organization=organization,
        project=project,
        auth_style=auth_style or "bearer",  # type: ignore[arg-type]  # checked by ApiSettings
        timeout_seconds=timeout_seconds,
    )


def check_server(url: str, key: str, *, url_field: str = "base_url", key_field: str) -> str:
    """
    Check where a server is, and the key or token that requests to it carry.

    :param url: As for :func:`check_base_url`.
    :param key: Stands in a header of each request.
    :param url_field: What the message calls the address.
    :param key_field: What the message calls the key.
    :returns: The address without slashes at its end.
    :raises ConfigurationError: One of them cannot be used. Shows neither.
    """
    check_header_value(key, key_field)
    return check_base_url(url, url_field)


def check_header_value(value: str, name: str) -> None:
    """
    Refuse what cannot stand in an HTTP header, before a library quotes it in an error.

    :param value: The text to judge.
    :param name: Name of the field, for the error.
    :raises ConfigurationError: Spaces, line ends or non-ASCII characters. Never shows the value.
    """
    if not _PLAIN.fullmatch(value):
        raise ConfigurationError(f"{name} has spaces, line ends or non-ASCII characters: paste it again")


def check_base_url(url: str, field: str = "base_url") -> str:
    """
    Return ``url`` without slashes at its end.

    :param url: ``http://`` or ``https://``, a host, perhaps a port and a path; nothing else.
    :param field: What the message calls it.
    :raises ConfigurationError: It has another shape. The message does not repeat the URL, which may hold a password.
    """
    if not _PLAIN.fullmatch(url):
        raise ConfigurationError(f"{field} has spaces, line ends or non-ASCII characters: write a plain URL")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{field} is not a URL: check its host and port") from None
    if parts.scheme.lower() not in ("http", "https") or not host:
        raise ConfigurationError(f"{field} must start with https:// (or http://) and name a host")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{field} must not hold a user or password: use the password of the connection")
    if "?" in url or "#" in url:
        raise ConfigurationError(f"{field} must not have a query or fragment: remove what follows ? or #")
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path.rstrip('/')}"


def check_sip_host(host: str, field: str = "sip_host") -> str:
    """
    Return ``host`` when it is a host name, perhaps with a port; IPv6 goes in brackets.

    :param host: A host name, or an address with IPv6 in brackets; perhaps with ``:port``.
    :param field: Name of the setting, for the error.
    :raises ConfigurationError: It has another shape, for example a ``sip:`` in front.
    """
    port = re.search(r":([0-9]+)$", host)
    if not _SIP_HOST_SHAPE.fullmatch(host) or (port and not 0 < int(port[1][:9]) < 65536):
        raise ConfigurationError(f"{field} must be a bare host such as {DEFAULT_SIP_HOST}: no sip:, no user, no path")
    return host


def _rest_host(region: str) -> str:
    return _GLOBAL_HOST if region in ("", "global") else f"{region}.{_GLOBAL_HOST}"


def _region_of(rest_url: str) -> str:
    host = urlsplit(rest_url).hostname or ""
    return next((region for region in REGIONS if _rest_host(region) == host), "")


def _require_api_path(rest_url: str) -> None:
    """Refuse a base that would answer 404 to everything, which looks as if every call were gone."""
    parts = urlsplit(rest_url)
    host = parts.hostname or ""
    expected = ""
    if host == _GLOBAL_HOST or host.endswith("." + _GLOBAL_HOST):
        expected = "/v1"
    elif host.endswith((".openai.azure.com", ".services.ai.azure.com")):
        expected = "/openai/v1"
    if expected and parts.path != expected:
        raise ConfigurationError(f"base_url for {host} must end in {expected}: https://{host}{expected}")
