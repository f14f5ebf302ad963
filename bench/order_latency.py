"""
How long a phone rings before a standing order answers: from the ring at OpenAI to the accept request there.

A standalone switchboard in a process of its own, the simulator as OpenAI in this one, real sockets between them.
Several runs, each with a new switchboard and store; the figures are medians of the runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.client.order_requests import put_order
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from bench.figures import medians, percentile, worst
from bench.processes import SWITCHBOARD, serving, switchboard_environment
from bench.rings import Waits, ring

RUNS = 3
CALLS_PER_SECOND = 20
SECONDS = 8
LONGEST_ANSWER_SECONDS = 10.0
OUR_NUMBER = "+14155550100"


def measure() -> dict[str, float]:
    """Percentiles in milliseconds of the calls of a few seconds, and how many were never answered."""
    runs = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
            runs.append(_measure_once(simulator, f"sqlite:///{Path(folder) / 'calls.db'}"))
        print("order: " + ", ".join(f"{name} {value:.1f}" for name, value in runs[-1].items()), flush=True)
    return {**medians(runs), **worst(runs, "answer_order_unanswered")}


def _measure_once(simulator: Simulator, store_url: str) -> dict[str, float]:
    env = switchboard_environment(
        api_key=simulator.api_key,
        webhook_secret=simulator.webhook_secret,
        base_url=simulator.openai_base_url,
        store_url=store_url,
    )
    with serving(SWITCHBOARD, env) as url:
        simulator.webhooks.add(f"{url}/webhook")
        with SwitchboardClient(url, derived_token(simulator.webhook_secret)) as client:
            client.send(put_order("bench", session={"instructions": "You answer the phone of a bench."}))
        ring(simulator, 5, 1 / CALLS_PER_SECOND, OUR_NUMBER)  # not counted: whatever is made for the first call
        counted = ring(simulator, CALLS_PER_SECOND * SECONDS, 1 / CALLS_PER_SECOND, OUR_NUMBER)
        waits = Waits.when_answered(simulator, counted, LONGEST_ANSWER_SECONDS)
    return {
        "answer_order_p50_ms": percentile(waits.ms, 50),
        "answer_order_p99_ms": percentile(waits.ms, 99),
        "answer_order_unanswered": float(len(waits.unanswered)),
    }
