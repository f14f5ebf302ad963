"""The page as the plugin mounts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from airflow_openai_realtime.ui.mounted_page import create_mounted_page


def test_making_the_page_opens_nothing(airflow_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{tmp_path / 'calls.db'}")
    assert create_mounted_page().state.calls_page
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_used_is_answered_503_and_logged_without_its_password(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", "oracle://user:pass-word@db/calls")
    with TestClient(create_mounted_page()) as client:
        assert client.get("/").status_code == 503
        assert client.get("/api/calls").status_code == 503
    assert "calls_page.unusable" in caplog.text
    assert "pass-word" not in caplog.text
