"""Configuration of a standalone switchboard: its lines and its store, from the environment and a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_openai_realtime.calls.line_settings import line_from_fields
from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard.server.switchboard_settings import CONFIGURABLE, SwitchboardSettings

STORE_URL = "OPENAI_REALTIME_STORE_URL"
CONFIG = "OPENAI_REALTIME_CONFIG"
LINE_NAME = "OPENAI_REALTIME_LINE"

DEFAULT_STORE_URL = "sqlite:///openai_realtime.db"
DEFAULT_LINE_NAME = "default"

_FIELDS = {
    "region",
    "organization",
    "project",
    "auth_style",
    "timeout_seconds",
    "webhook_secret",
    "switchboard_token",
}


def configured_lines(environment: Mapping[str, str]) -> StaticLines:
    """
    The lines: those of the file that ``OPENAI_REALTIME_CONFIG`` names, else one from the environment.

    :param environment: ``OPENAI_API_KEY, OPENAI_WEBHOOK_SECRET`` (one or two), ``OPENAI_REALTIME_TOKEN,
        OPENAI_REALTIME_BASE_URL, OPENAI_REALTIME_REGION, OPENAI_REALTIME_LINE`` (its name).
    :raises ConfigurationError: Something is missing or cannot be used; the message names it.
    """
    file = environment.get(CONFIG)
    return StaticLines(_lines_of_file(Path(file)) if file else [_line_of_environment(environment)])


def configured_store_url(environment: Mapping[str, str]) -> str:
    """
    The store's URL; by default an SQLite file in the working directory.

    :param environment: Environment variables.
    """
    return environment.get(STORE_URL) or DEFAULT_STORE_URL


def variable_of(setting: str) -> str:
    """
    The environment variable that gives a setting, for example ``OPENAI_REALTIME_RING_SECONDS``.

    :param setting: Name of the setting.
    """
    return f"OPENAI_REALTIME_{setting.upper()}"


def configured_settings(environment: Mapping[str, str]) -> SwitchboardSettings:
    """
    The settings that can be given, each by its own variable; see :data:`CONFIGURABLE`.

    :param environment: Environment variables.
    :raises ConfigurationError: One is no number, or out of range; the message names it.
    """
    given: dict[str, Any] = {}
    for setting in CONFIGURABLE:
        text = environment.get(variable_of(setting))
        if not text:
            continue
        try:
            given[setting] = float(text)
        except ValueError:
            raise ConfigurationError(f"{variable_of(setting)} must be a number, for example 45") from None
    return SwitchboardSettings(**given)


def _line_of_environment(environment: Mapping[str, str]) -> Line:
    for name in ("OPENAI_API_KEY", "OPENAI_WEBHOOK_SECRET"):
        if not environment.get(name, "").strip():
            raise ConfigurationError(f"{name} is not set; set it, or give a file with lines by --config")
    extra = {
        "webhook_secret": environment["OPENAI_WEBHOOK_SECRET"],
        "switchboard_token": environment.get("OPENAI_REALTIME_TOKEN"),
        "region": environment.get("OPENAI_REALTIME_REGION"),
    }
    name = environment.get(LINE_NAME) or DEFAULT_LINE_NAME
    return line_from_fields(name, environment["OPENAI_API_KEY"], environment.get("OPENAI_REALTIME_BASE_URL"), extra)


def _lines_of_file(path: Path) -> list[Line]:
    """
    Lines of a JSON file: ``{"lines": [{"name": …, "api_key": …, "webhook_secret": …, …}]}``.

    The other fields are those of an ``openai_realtime`` connection, and ``base_url``. The first line is the default.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from None
    entries = content.get("lines") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f'{path} must look like {{"lines": [{{"name": "support", …}}]}}')
    return [_line_of_entry(path, entry) for entry in entries]


def _line_of_entry(path: Path, entry: Mapping[str, Any]) -> Line:
    unknown = set(entry) - _FIELDS - {"name", "api_key", "base_url"}
    if unknown:
        raise ConfigurationError(f"{path}: unknown field {', '.join(sorted(unknown))}")
    return line_from_fields(str(entry.get("name") or ""), entry.get("api_key"), entry.get("base_url"), entry)
