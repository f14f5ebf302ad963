"""The doctor for the switchboard that is mounted in Airflow's API server."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_world import ServedApp
from fastapi import FastAPI
from tests.unit.switchboard.standalone import PROGRAM

from airflow_openai_realtime.simulator import Simulator
from airflow_openai_realtime.switchboard.mounted import create_mounted_app

pytestmark = pytest.mark.filterwarnings("default")  # Airflow's own


class MountedAirflow:
    """An application with the mounted switchboard, and connections in the environment."""

    def __init__(self, url: str, simulator: Simulator, patch: pytest.MonkeyPatch) -> None:
        self.url, self.simulator, self.patch = url, simulator, patch

    def connect(self, conn_id: str, **extra: Any) -> None:
        fields = {"webhook_secret": self.simulator.webhook_secret, "switchboard_url": self.url, **extra}
        value = {
            "conn_type": "openai_realtime",
            "password": self.simulator.api_key,
            "host": self.simulator.openai_base_url,
            "extra": fields,
        }
        self.patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


@pytest.fixture
def mounted(
    realtime_simulator: Simulator, airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MountedAirflow]:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{tmp_path}/calls.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = MountedAirflow(f"http://127.0.0.1:{port}/openai-realtime", realtime_simulator, monkeypatch)
    made.connect("openai_realtime_default")
    app = create_mounted_app()
    airflow = FastAPI(lifespan=lambda _: app.router.lifespan_context(app))
    airflow.mount("/openai-realtime", app)
    with ServedApp(airflow, port):
        yield made


def examined(*arguments: str) -> dict[str, tuple[bool, str]]:
    """What the doctor finds, as a program that others read."""
    command = [*PROGRAM, "doctor", "--airflow", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["ok"] else 1)
    return {finding["check"]: (finding["ok"], finding["detail"]) for finding in told["findings"]}


def test_a_mounted_switchboard_and_its_connections_are_examined(mounted: MountedAirflow) -> None:
    mounted.connect("sales")
    mounted.connect("elsewhere", switchboard_url="http://sb:8090")
    found = examined()
    assert {check: detail for check, (is_ok, detail) in found.items() if not is_ok} == {}
    assert found["settings"][1] == "2 connection(s): openai_realtime_default, sales"
    for name in ("openai_realtime_default", "sales"):
        assert found[f"signed delivery ({name})"][1].startswith(f"taken at {mounted.url}/webhook/{name}")
    assert {"store", "switchboard", "token (sales)", "API key (sales)", "forged delivery (sales)"} <= found.keys()


@pytest.mark.parametrize(
    ("extra", "check", "said"),
    [
        ({"webhook_secret": "my-secret"}, "webhook secret (sales)", "whsec_ and base64"),
        ({"webhook_secret": ""}, "connection (sales)", "webhook_secret is missing"),
        ({"switchboard_token": "short"}, "token (sales)", "fewer than 16 characters"),
        ({"switchboard_url": "http://127.0.0.1:1/openai-realtime"}, "switchboard", "no answer from"),
        ({"switchboard_url": "nonsense"}, "connection (sales)", "switchboard_url must start with"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(
    mounted: MountedAirflow, extra: dict[str, str], check: str, said: str
) -> None:
    mounted.connect("sales", **extra)
    found = examined("--conn-id", "sales")
    assert not found[check][0]
    assert said in found[check][1]


def test_a_connection_that_is_not_there_is_said(mounted: MountedAirflow) -> None:
    found = examined("--conn-id", "nowhere")
    assert found["connection (nowhere)"] == (False, "there is no connection nowhere of type openai_realtime")
