"""A worker process of a standalone switchboard: what it is made from, and its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.switchboard.support import SECRET

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard.server.process.worker import (
    LOG_LEVEL,
    app_from_environment,
    configure_logging,
)
from airflow_openai_realtime.switchboard.server.service import Service


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def configure_as_in_a_new_process() -> None:
    """Configure logging without pytest's own handlers, which are added anew for each test."""
    logging.getLogger().handlers = []
    configure_logging()


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("OPENAI_REALTIME_STORE_URL", f"sqlite:///{tmp_path / 'calls.db'}")
    monkeypatch.setenv("OPENAI_REALTIME_RING_SECONDS", "33")


@pytest.mark.usefixtures("_environment")
async def test_the_application_is_made_from_the_environment() -> None:
    app = app_from_environment()
    service: Service = app.state.switchboard
    assert service.settings.ring_seconds == 33
    line = await service.lines.find(None)
    assert line is not None
    assert (line.name, line.api.api_key) == ("default", "sk-test")


@pytest.mark.usefixtures("_environment")
def test_a_setting_that_cannot_be_used_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_REALTIME_RING_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="RING_SECONDS"):
        app_from_environment()


def test_the_log_has_the_level_that_is_asked_for_and_no_details_of_libraries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(LOG_LEVEL, "debug")
    configure_as_in_a_new_process()
    logging.getLogger("airflow_openai_realtime.test").debug("call.ringing line=support")
    logging.getLogger("httpx").info("Authorization: sk-test")
    told = capsys.readouterr()
    assert "DEBUG airflow_openai_realtime.test call.ringing line=support" in told.err
    assert "sk-test" not in told.err
    assert told.out == ""


def test_an_exception_in_the_log_has_its_numbers_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure_as_in_a_new_process()
    try:
        raise ValueError("no row for +14155550123")
    except ValueError:
        logging.getLogger("airflow_openai_realtime.test").exception("intake.failed")
    told = capsys.readouterr().err
    assert "intake.failed" in told
    assert "ValueError: no row for" in told
    assert "4155550123" not in told
