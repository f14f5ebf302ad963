from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_openai_realtime.plugin import URL_PREFIX, OpenAIRealtimePlugin


def test_the_app_is_mounted_under_its_own_prefix_and_built_once() -> None:
    plugin = OpenAIRealtimePlugin()
    (entry,) = plugin.fastapi_apps
    assert (entry["url_prefix"], entry["name"]) == ("/openai-realtime", "OpenAI Realtime switchboard")
    assert plugin.fastapi_apps[0]["app"] is entry["app"]


def test_the_prefix_collides_with_none_of_airflow_s() -> None:
    from airflow.api_fastapi.app import RESERVED_URL_PREFIXES

    assert not any(URL_PREFIX.startswith(prefix) for prefix in RESERVED_URL_PREFIXES)


def test_building_the_app_opens_nothing(airflow_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = tmp_path / "calls.db"
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{store}")
    assert OpenAIRealtimePlugin().fastapi_apps
    assert not store.exists()


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, airflow.plugins_manager; before = set(sys.modules);"
        "import airflow_openai_realtime.plugin; print(sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = {"airflow_openai_realtime", "airflow_openai_realtime.lazy", "airflow_openai_realtime.plugin"}
    assert set(ast.literal_eval(loaded.splitlines()[-1])) <= ours


def test_airflow_finds_it_by_its_entry_point() -> None:
    from airflow import plugins_manager

    plugins_manager._get_plugins.cache_clear()
    plugins, errors = plugins_manager._get_plugins()
    assert "airflow_openai_realtime.plugin" not in errors
    assert [plugin.name for plugin in plugins].count("openai_realtime") == 1
