"""Hosts: one setting (a region, or a base URL) gives the REST, WebSocket and SIP addresses that belong together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_openai_realtime.exceptions import ConfigurationError

REGIONS: tuple[str, ...] = ("global", "us", "eu", "ae", "au", "in", "jp")
"""Data residency regions. Source: ``data_residency`` of OpenAI's Python SDK 3.54."""

DEFAULT_SIP_HOST = "sip.api.openai.com"
_SIP_HOSTS = {"eu": "sip-eu.api.openai.com", "in": "sip-in.api.openai.com"}
_GLOBAL_HOST = "api.openai.com"
_SIP_HOST_SHAPE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")


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


def check_base_url(url: str, field: str = "base_url") -> str:
    """
    Return ``url`` without slashes at its end.

    :param url: ``http://`` or ``https://``, a host, perhaps a port and a path; nothing else.
    :param field: What the message calls it.
    :raises ConfigurationError: It has another shape. The message does not repeat the URL, which may hold a password.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", url):
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
