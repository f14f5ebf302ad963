"""
Read the fields of an ``openai_realtime`` connection, or of a line in the standalone switchboard's file.

Pure, so that the hook and both kinds of switchboard, mounted and standalone, read the fields in the same way. Empty
text counts as not set, since Airflow's form sends it for untouched fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_openai_realtime.api.settings import ApiSettings, check_header_value, check_server, settings_for
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConfigurationError

_LINE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,200}")


@dataclass(frozen=True)
class SwitchboardAddress:
    """
    Where to reach the switchboard of a line: the first three arguments of a switchboard client.

    :param url: Base URL without a trailing slash.
    :param token: Bearer token of the private API.
    :param line: Name of the line.
    """

    url: str
    token: str = field(repr=False)
    line: str


@dataclass(frozen=True)
class ConnectionSettings:
    """
    What an ``openai_realtime`` connection says. A part that cannot be used is the error that says why.

    So a task that only hangs up needs nothing of the switchboard, and every secret is known before an error shows.

    :param secrets: Texts that must never appear in a log.
    :param api: How to reach OpenAI.
    :param switchboard: Where the switchboard is, the token for it, and the line's name there.
    """

    secrets: tuple[str, ...] = field(repr=False)
    api: ApiSettings | ConfigurationError
    switchboard: SwitchboardAddress | ConfigurationError


def read_connection(name: str, password: str | None, host: str | None, extra: Mapping[str, Any]) -> ConnectionSettings:
    """
    Read all of a connection at once.

    :param name: The connection id; it is the line's name unless ``line`` sets another.
    :param password: The API key.
    :param host: Base URL; empty for OpenAI itself.
    :param extra: As for :func:`api_settings_from_fields` and :func:`switchboard_address_from_fields`.
    """
    api: ApiSettings | ConfigurationError
    switchboard: SwitchboardAddress | ConfigurationError
    try:
        api = api_settings_from_fields(password=password, host=host, extra=extra)
    except ConfigurationError as error:
        api = error
    try:
        switchboard = switchboard_address_from_fields(name, extra)
    except ConfigurationError as error:
        switchboard = error
    return ConnectionSettings(secrets_from_fields(password, extra), api, switchboard)


def is_line_name(name: str) -> bool:
    """
    Tell whether a text is a valid line name.

    :param name: Valid: 1 to 200 letters, digits, ``_ . -``; not ``.`` or ``..``.
    """
    return bool(_LINE_NAME.fullmatch(name)) and name not in (".", "..")


def api_settings_from_fields(*, password: str | None, host: str | None, extra: Mapping[str, Any]) -> ApiSettings:
    """
    Read how to reach OpenAI.

    :param password: The API key.
    :param host: Base URL; empty for OpenAI itself.
    :param extra: ``region, organization, project, auth_style, timeout_seconds``; other keys are ignored.
    :raises ConfigurationError: A field is missing or invalid; the message names it.
    """
    timeout = _text(extra, "timeout_seconds")
    try:
        timeout_seconds = float(timeout) if timeout else 10.0
    except ValueError:
        raise ConfigurationError("timeout_seconds must be a number above 0, for example 10") from None
    return settings_for(
        (password or "").strip(),
        region=_text(extra, "region"),
        base_url=(host or "").strip() or None,
        organization=_text(extra, "organization"),
        project=_text(extra, "project"),
        auth_style=_text(extra, "auth_style"),
        timeout_seconds=timeout_seconds,
    )


def webhook_secrets_from_fields(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Read the webhook secrets.

    :param extra: ``webhook_secret``: empty, one secret, or several separated by blanks or commas while one is replaced.
    """
    return tuple(secret for secret in re.split(r"[\s,]+", _text(extra, "webhook_secret") or "") if secret)


def secrets_from_fields(password: str | None, extra: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Return every text that must never appear in a log: the key, each webhook secret, and the token, set or derived.

    :param password: The API key.
    :param extra: ``webhook_secret`` and ``switchboard_token``.
    """
    secrets = webhook_secrets_from_fields(extra)
    given = ((password or "").strip(), _text(extra, "switchboard_token"))
    return (*filter(None, given), *secrets, *_derived(secrets))


def switchboard_address_from_fields(name: str, extra: Mapping[str, Any]) -> SwitchboardAddress:
    """
    Read URL and token of the switchboard of a connection.

    :param name: The connection id; it is the line's name unless ``line`` sets another.
    :param extra: ``switchboard_url, switchboard_token, line, webhook_secret``.
    :raises ConfigurationError: URL or token is missing or invalid; the message names the field.
    """
    secrets = webhook_secrets_from_fields(extra)
    token = _text(extra, "switchboard_token") or next(iter(_derived(secrets)), "")
    url = check_address(_text(extra, "switchboard_url"), token)
    line = _text(extra, "line") or name
    if not is_line_name(line):
        raise ConfigurationError(f"line {line!r} must be letters, digits, '_', '.' or '-', at most 200")
    return SwitchboardAddress(url=url, token=token, line=line)


def check_address(url: str | None, token: str | None) -> str:
    """
    Check URL and token of a switchboard.

    :param url: Base URL, http or https.
    :param token: Bearer token of the private API.
    :returns: The URL without a trailing slash.
    :raises ConfigurationError: One is missing or invalid; the message names the connection's field.
    """
    if not url or not url.strip():
        raise ConfigurationError(
            "switchboard_url is missing: set it in the openai_realtime connection, for example "
            "http://airflow-api-server:8080/openai-realtime"
        )
    if not token:
        raise ConfigurationError(
            "switchboard_token is missing: set it in the openai_realtime connection, or set webhook_secret; the token "
            "is then derived from it"
        )
    return check_server(url.strip(), token, url_field="switchboard_url", key_field="switchboard_token")


def line_from_fields(name: str, password: str | None, host: str | None, extra: Mapping[str, Any]) -> Line:
    """
    Read a line of the switchboard.

    :param name: The connection id, or the line's name in the standalone switchboard's file.
    :param password: The API key.
    :param host: Base URL; empty for OpenAI itself.
    :param extra: As for :func:`api_settings_from_fields`, plus ``webhook_secret`` (one or two) and
        ``switchboard_token`` (derived from the webhook secret when empty).
    :raises ConfigurationError: A field is missing or invalid; the message names the line and the field.
    """
    if not is_line_name(name):
        raise ConfigurationError(f"the line name {name!r} must be letters, digits, '_', '.' or '-', at most 200")
    secrets = webhook_secrets_from_fields(extra)
    if not secrets:
        raise ConfigurationError(
            f"line {name}: webhook_secret is missing; copy the signing secret (whsec_…) that OpenAI "
            "shows when you create a webhook endpoint"
        )
    given = _text(extra, "switchboard_token")
    try:
        api = api_settings_from_fields(password=password, host=host, extra=extra)
        if given:
            check_header_value(given, "switchboard_token")
    except ConfigurationError as error:
        raise ConfigurationError(f"line {name}: {error}") from error
    tokens = (given,) if given else _derived(secrets)
    return Line(name=name, api=api, webhook_secrets=secrets, token=tokens[0], other_tokens=tokens[1:])


def _derived(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tokens that client and switchboard derive from webhook secrets, in their order."""
    return tuple(map(derived_token, secrets))


def _text(extra: Mapping[str, Any], key: str) -> str | None:
    value = extra.get(key)
    if value is None or isinstance(value, bool):
        return None
    return str(value).strip() or None
