"""
How many deliveries a second the switchboard takes when it is mounted in Airflow's API server with one worker, beside
``airflow-provider-inbound-webhooks`` in the same API server.

The other one verifies a signature over the body and records the delivery in Airflow's database. Where a DAG subscribes
to the event, it records an asset event as well, which is what it is for; both ways are measured. Runs alternate.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from demo.airflow_processes import LocalAirflow, wait_until

from bench import deliveries
from bench.load import LoadResult, send_all

RUNS = 3
SECONDS = 5
CONNECTIONS = 16
MOST_A_SECOND = 2000

_HEARD, _UNHEARD = "heard", "unheard"
_DAG = """\
from airflow.sdk import DAG, Asset

with DAG("subscriber", schedule=[Asset("heard/realtime.call.incoming")]):
    pass
"""


def measure() -> dict[str, float]:
    """
    Deliveries a second of both, medians.

    :raises RuntimeError: The other package is not installed, or too many deliveries failed.
    """
    if importlib.util.find_spec("airflow_inbound_webhooks") is None:
        raise RuntimeError("airflow-provider-inbound-webhooks is not installed; make bench does that, or '.[bench]'")
    with _airflow() as url:
        ways: dict[str, Callable[[int], list[bytes]]] = {
            "ours": lambda amount: deliveries.ours(f"{url}/openai-realtime/webhook", amount),
            _HEARD: lambda amount: deliveries.of_inbound_webhooks(f"{url}/webhooks/{_HEARD}", amount),
            _UNHEARD: lambda amount: deliveries.of_inbound_webhooks(f"{url}/webhooks/{_UNHEARD}", amount),
        }
        for make in ways.values():
            _run(url, make(200))  # not counted: whatever is made for the first ones
        results: dict[str, list[LoadResult]] = {way: [] for way in ways}
        for _ in range(RUNS):
            for way, make in ways.items():
                results[way].append(_run(url, make(MOST_A_SECOND * SECONDS)))
    per_second = {way: statistics.median(each.per_second for each in found) for way, found in results.items()}
    return {
        "intake_mounted_per_s": per_second["ours"],
        "intake_mounted_p99_ms": statistics.median(each.p99_ms for each in results["ours"]),
        "intake_inbound_webhooks_per_s": per_second[_HEARD],
        "intake_inbound_webhooks_no_subscriber_per_s": per_second[_UNHEARD],
        "intake_vs_inbound_webhooks": per_second["ours"] / per_second[_HEARD],
        "intake_vs_inbound_webhooks_no_subscriber": per_second["ours"] / per_second[_UNHEARD],
    }


def _run(url: str, requests: list[bytes]) -> LoadResult:
    result = send_all(url, requests, connections=CONNECTIONS, seconds=SECONDS)
    if result.failed > 0.02 * result.answered:
        raise RuntimeError(f"{result.failed} of {result.answered} deliveries failed")
    return result


@contextmanager
def _airflow() -> Iterator[str]:
    """The address of an API server with one worker, both plugins, and one DAG that subscribes."""
    peer = {
        "conn_type": "inbound_webhook",
        "password": deliveries.PEER_SECRET,
        "extra": {
            "source_type": "hmac_json",
            "signature_header": "X-Signature",
            "event_field": "type",
            "delivery_id_field": "id",
        },
    }
    us = {
        "conn_type": "openai_realtime",
        "password": "sk-bench",
        "host": "http://127.0.0.1:9/v1",
        "extra": {"webhook_secret": deliveries.SECRET},
    }
    env = {
        "AIRFLOW_CONN_OPENAI_REALTIME_DEFAULT": json.dumps(us),
        f"AIRFLOW_CONN_WEBHOOK_{_HEARD.upper()}": json.dumps(peer),
        f"AIRFLOW_CONN_WEBHOOK_{_UNHEARD.upper()}": json.dumps(peer),
        "AIRFLOW__INBOUND_WEBHOOKS__WEBHOOK_NAMES": f"{_HEARD},{_UNHEARD}",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        (dags / "subscriber.py").write_text(_DAG)
        with LocalAirflow(Path(folder) / "airflow", dags, env=env) as airflow:
            airflow.migrate()
            parse = [sys.executable, "-m", "airflow", "dags", "reserialize"]
            subprocess.run(parse, env=airflow.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            airflow.start("api-server")
            wait_until(lambda: _is_up(airflow.url), "an API server", timeout_seconds=120)
            yield airflow.url


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openai-realtime/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
