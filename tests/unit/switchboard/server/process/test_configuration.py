"""What a standalone switchboard runs with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard.server.process.configuration import (
    configured_lines,
    configured_settings,
    configured_store_url,
)

ENVIRONMENT = {"OPENAI_API_KEY": "sk-1", "OPENAI_WEBHOOK_SECRET": SECRET}


def test_one_line_from_the_environment() -> None:
    line = configured_lines(ENVIRONMENT).find(None)
    assert line is not None
    assert (line.name, line.api.api_key, line.webhook_secrets) == ("default", "sk-1", (SECRET,))
    assert line.token == derived_token(SECRET)


def test_everything_the_environment_can_say() -> None:
    line = configured_lines(
        {
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_WEBHOOK_SECRET": f"{SECRET},{OTHER_SECRET}",
            "OPENAI_REALTIME_TOKEN": "own",
            "OPENAI_REALTIME_REGION": "eu",
            "OPENAI_REALTIME_LINE": "support",
        }
    ).find("whatever")
    assert line is not None
    assert (line.name, line.token, line.webhook_secrets) == ("support", "own", (SECRET, OTHER_SECRET))
    assert line.api.endpoints.rest_url == "https://eu.api.openai.com/v1"


@pytest.mark.parametrize("missing", list(ENVIRONMENT))
def test_what_is_not_set_is_named(missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        configured_lines({**ENVIRONMENT, missing: " "})


def test_several_lines_from_a_file(tmp_path: Path) -> None:
    entries = [
        {"name": "support", "api_key": "sk-1", "webhook_secret": SECRET},
        {"name": "sales", "api_key": "sk-2", "webhook_secret": OTHER_SECRET, "base_url": "http://127.0.0.1:1/v1"},
    ]
    lines = configured_lines(file_with({"lines": entries}, tmp_path))
    sales, default = lines.find("sales"), lines.find(None)
    assert sales is not None
    assert default is not None
    assert (default.name, sales.api.api_key, sales.api.endpoints.rest_url) == (
        "support",
        "sk-2",
        "http://127.0.0.1:1/v1",
    )
    assert lines.find("other") is None


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([], "lines"),
        ({"lines": []}, "no line"),
        ({"lines": ["support"]}, "lines"),
        ({"lines": [{"api_key": "sk-1", "webhook_secret": SECRET}]}, "line name"),
        ({"lines": [{"name": "a", "webhook_secret": SECRET}]}, "line a: .*API key"),
        ({"lines": [{"name": "a", "api_key": "sk-1", "webhook_sekret": "x"}]}, "webhook_sekret"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(content: Any, named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=named) as refused:
        configured_lines(file_with(content, tmp_path))
    assert "sk-1" not in str(refused.value)


def test_a_file_that_is_missing_or_no_json_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        configured_lines({"OPENAI_REALTIME_CONFIG": str(tmp_path / "nothing.json")})
    (tmp_path / "lines.json").write_text("{")
    with pytest.raises(ConfigurationError, match="is not JSON"):
        configured_lines({"OPENAI_REALTIME_CONFIG": str(tmp_path / "lines.json")})


def test_the_store_and_the_ringing_time_can_be_set() -> None:
    assert configured_store_url({}) == "sqlite:///openai_realtime.db"
    assert configured_store_url({"OPENAI_REALTIME_STORE_URL": "sqlite:////x"}) == "sqlite:////x"
    assert configured_settings({}).ring_seconds == 60
    assert configured_settings({"OPENAI_REALTIME_RING_SECONDS": "45"}).ring_seconds == 45


def test_how_long_rows_are_kept_can_be_set() -> None:
    settings = configured_settings(
        {"OPENAI_REALTIME_RETENTION_DAYS": "0", "OPENAI_REALTIME_LEDGER_RETENTION_DAYS": "365"}
    )
    assert (settings.retention_days, settings.ledger_retention_days) == (0, 365)
    assert (configured_settings({}).retention_days, configured_settings({}).ledger_retention_days) == (30, 0)


@pytest.mark.parametrize("given", ["a month", "0.5", "-1", "nan"])
def test_a_retention_that_cannot_be_used_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)retention_days"):
        configured_settings({"OPENAI_REALTIME_RETENTION_DAYS": given})


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan"])
def test_a_ringing_time_that_cannot_be_used_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)ring_seconds"):
        configured_settings({"OPENAI_REALTIME_RING_SECONDS": given})


def test_when_the_standby_begins_can_be_set_and_it_can_be_switched_off() -> None:
    name = "OPENAI_REALTIME_STANDBY_AFTER_SECONDS"
    assert configured_settings({}).standby_after_seconds == 2
    assert [configured_settings({name: text}).standby_after_seconds for text in ("0", "5")] == [0, 5]
    for text in ("0.5", "-1", "nan", "3601", "never"):
        with pytest.raises(ConfigurationError, match=r"(?i)standby_after_seconds"):
            configured_settings({name: text})


def file_with(content: Any, folder: Path) -> dict[str, str]:
    path = folder / "lines.json"
    path.write_text(json.dumps(content))
    return {"OPENAI_REALTIME_CONFIG": str(path)}
