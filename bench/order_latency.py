"""
How long a phone rings before a standing order answers: from the ring at OpenAI to the accept request there.

A standalone switchboard in a process of its own, the simulator as OpenAI in this one, real sockets between them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.client import SwitchboardClient
from airflow_openai_realtime.switchboard.tokens import derived_token

CALLS_PER_SECOND = 20
SECONDS = 8
LONGEST_ANSWER_SECONDS = 10.0
OUR_NUMBER = "+14155550100"
ANSWERED = ("openai.ringing", "openai.accepted")


def measure() -> dict[str, float]:
    """Percentiles in milliseconds of the calls of a few seconds, and how many were never answered."""
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
        return measure_with(simulator, f"sqlite:///{Path(folder) / 'calls.db'}")


def measure_with(simulator: Simulator, store_url: str) -> dict[str, float]:
    """The same for a simulator and a store that are there."""
    with _switchboard(simulator, store_url) as url:
        simulator.webhooks.add(f"{url}/webhook")
        with SwitchboardClient(url, derived_token(simulator.webhook_secret)) as client:
            client.put_order("bench", session={"instructions": "You answer the phone of a bench."})
        _call(simulator, 5)  # not counted: whatever is made for the first call
        simulator.wait_for(lambda: not _waits(simulator)[1], timeout_seconds=LONGEST_ANSWER_SECONDS)
        counted = set(_call(simulator, CALLS_PER_SECOND * SECONDS))
        simulator.wait_for(lambda: not _waits(simulator)[1], timeout_seconds=LONGEST_ANSWER_SECONDS)
        waits, unanswered = _waits(simulator, counted)
    percentiles = statistics.quantiles(waits, n=100, method="inclusive")
    return {
        "answer_order_p50_ms": percentiles[49],
        "answer_order_p99_ms": percentiles[98],
        "answer_order_unanswered": float(len(unanswered)),
    }


def _call(simulator: Simulator, amount: int) -> list[str]:
    """Calls come in evenly, as many a second as the figures are about."""
    script = PhoneScript.talks_for_ever()
    begun = time.monotonic()
    made = []
    for number in range(amount):
        time.sleep(max(0.0, begun + number / CALLS_PER_SECOND - time.monotonic()))
        made.append(simulator.call_in(f"+1415556{number:04}", OUR_NUMBER, script=script))
    return made


def _waits(simulator: Simulator, counted: set[str] | None = None) -> tuple[list[float], list[str]]:
    """How long each call rang until it was accepted, in milliseconds, and the ids of those that were not."""
    rang, accepted = (
        {
            entry.call_id: entry.at
            for entry in simulator.log.of_kind(kind)
            if counted is None or entry.call_id in counted
        }
        for kind in ANSWERED
    )
    waits = [(at - rang[call_id]).total_seconds() * 1000 for call_id, at in accepted.items()]
    return waits, [str(call_id) for call_id in rang if call_id not in accepted]


@contextmanager
def _switchboard(simulator: Simulator, store_url: str) -> Iterator[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    given = {
        "OPENAI_API_KEY": simulator.api_key,
        "OPENAI_WEBHOOK_SECRET": simulator.webhook_secret,
        "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
        "OPENAI_REALTIME_STORE_URL": store_url,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_openai_realtime.switchboard", "--port", "0"],
        env={**kept, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
