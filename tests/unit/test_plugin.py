from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_openai_realtime.plugin import PAGE_URL_PREFIX, URL_PREFIX, OpenAIRealtimePlugin


def test_the_apps_are_mounted_under_their_own_prefixes_and_built_once() -> None:
    plugin = OpenAIRealtimePlugin()
    switchboard, page = plugin.fastapi_apps
    assert (switchboard["url_prefix"], switchboard["name"]) == ("/openai-realtime", "OpenAI Realtime switchboard")
    assert (page["url_prefix"], page["name"]) == ("/openai-realtime-calls", "OpenAI Realtime calls page")
    assert [each["app"] for each in plugin.fastapi_apps] == [switchboard["app"], page["app"]]


@pytest.mark.parametrize("prefix", [URL_PREFIX, PAGE_URL_PREFIX])
def test_the_prefixes_collide_with_none_of_airflow_s(prefix: str) -> None:
    from airflow.api_fastapi.app import RESERVED_URL_PREFIXES

    assert not any(prefix.startswith(reserved) for reserved in RESERVED_URL_PREFIXES)


@pytest.mark.parametrize(
    ("base_url", "path"),
    [("", ""), ("http://localhost:8080", ""), ("https://a.example/airflow", "/airflow"), ("https://a/x/y/", "/x/y")],
)
def test_the_page_is_in_the_navigation_under_airflow_s_own_path(
    base_url: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    plugin = OpenAIRealtimePlugin()
    (view,) = plugin.external_views
    assert plugin.external_views is plugin.external_views  # Airflow takes views with a name given twice out of the list
    read = ExternalViewResponse.model_validate(view)
    assert (read.name, read.destination, read.url_route) == ("Calls", "nav", "openai-realtime-calls")
    assert read.href == f"{path}/openai-realtime-calls/"
    assert read.icon == f"{path}/openai-realtime-calls/assets/calls.svg"


def test_building_the_app_opens_nothing(airflow_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = tmp_path / "calls.db"
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{store}")
    assert OpenAIRealtimePlugin().fastapi_apps
    assert not store.exists()


def failing(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Let the switchboard fail to be made, as after an upgrade of a library that it does not get on with."""
    if how == "imported":
        monkeypatch.setitem(sys.modules, "airflow_openai_realtime.switchboard.server.app", None)
        monkeypatch.delitem(sys.modules, "airflow_openai_realtime.switchboard.mounted", raising=False)
        monkeypatch.delattr("airflow_openai_realtime.switchboard.mounted", raising=False)
        return

    def create_app(*_: object, **__: object) -> None:
        raise RuntimeError("a library has changed")

    monkeypatch.setattr("airflow_openai_realtime.switchboard.mounted.create_app", create_app)


@pytest.mark.parametrize("how", ["imported", "built"])
def test_a_switchboard_that_cannot_be_made_does_not_keep_airflow_s_api_server_from_starting(
    how: str, airflow_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow import plugins_manager
    from airflow.api_fastapi.app import init_plugins, lifespan
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    failing(monkeypatch, how)
    monkeypatch.setattr(plugins_manager, "_get_plugins", lambda: ([OpenAIRealtimePlugin()], {}))
    plugins_manager.get_fastapi_plugins.cache_clear()
    airflow = FastAPI(lifespan=lifespan)
    try:
        init_plugins(airflow)
        with TestClient(airflow) as client:
            answers = [client.post("/openai-realtime/webhook"), client.get("/openai-realtime/v1/status")]
    finally:
        plugins_manager.get_fastapi_plugins.cache_clear()
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    (record,) = [record for record in caplog.records if "switchboard.unusable" in record.getMessage()]
    assert record.levelname == "ERROR"
    assert record.exc_info is not None


def test_a_page_that_cannot_be_made_keeps_neither_airflow_nor_the_switchboard_from_starting(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from starlette.testclient import TestClient

    # As in an Airflow whose own ways to find a user have changed.
    monkeypatch.setitem(sys.modules, "airflow_openai_realtime.ui.airflow_auth", None)
    monkeypatch.delitem(sys.modules, "airflow_openai_realtime.ui.mounted_page", raising=False)
    switchboard, page = (TestClient(entry["app"]) for entry in OpenAIRealtimePlugin().fastapi_apps)
    assert page.get("/").status_code == 503
    assert page.get("/api/calls").status_code == 503
    assert switchboard.get("/health").json() == {"status": "up"}
    assert "calls_page.unusable" in caplog.text


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, airflow.plugins_manager; before = set(sys.modules);"
        "import airflow_openai_realtime.plugin; print(sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = {"airflow_openai_realtime"} | {
        f"airflow_openai_realtime.{name}" for name in ("lazy", "plugin", "ui", "switchboard")
    }
    assert set(ast.literal_eval(loaded.splitlines()[-1])) <= ours


def test_airflow_finds_it_by_its_entry_point() -> None:
    from airflow import plugins_manager

    plugins_manager._get_plugins.cache_clear()
    plugins, errors = plugins_manager._get_plugins()
    assert "airflow_openai_realtime.plugin" not in errors
    assert [plugin.name for plugin in plugins].count("openai_realtime") == 1
