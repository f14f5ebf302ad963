"""
What live calls cost a real triggerer of Airflow: memory, processor time, and how late its event loop gets.

50, 200 and 1,000 tasks hold a call each (``live_tasks.py`` says how they come to), in one triggerer of a real Airflow
whose API server carries the switchboard. The simulator is a process of its own; what it does is not counted, but it
takes its share of the machine's cores, as do the API server, the scheduler and the DAG processor. People and models
talk all the time: nine seconds for each exchange of 8 words and an answer of 12, with transcripts.

The triggerer is looked at from outside; both of its processes count, with what Airflow itself keeps for a task. Memory
and processor time are over what it took before the first call, so what the first call loads counts, too. How late the
loop is, a trigger beside the others tells (``loop_lag.py``).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from demo.airflow_processes import wait_until
from demo.simulator_process import SimulatorProcess
from demo.stage import Stage

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, report_accepted
from bench.figures import percentile
from bench.live_tasks import LiveTasks
from bench.loop_lag import LoopLag
from bench.waiting import LOOK_SECONDS, Usage, connections_to, look, triggerer_processes

COUNTS = (50, 200, 1000)
#: The one that ``live_call_kb`` and ``live_call_cpu_ms_per_s`` are of.
TYPICAL = 200
RING_SECONDS = 120.0
LONG_SECONDS = 1800.0
ENVIRONMENT = {
    "AIRFLOW__OPENAI_REALTIME__RING_SECONDS": str(RING_SECONDS),
    "AIRFLOW__TRIGGERER__CAPACITY": "1200",
    # The triggerer imports the trigger that looks at its loop.
    "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
}
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}
_TALK = Dialogue(
    replies=(Reply("Your table for seven is booked, and we will be glad to see you."),),
    moves=(Move.says("Could you please look that up once more?", after_seconds=2.0),),
    repeats=True,
)


def measure() -> dict[str, float]:
    """For each number of live calls what one of them costs, and how late the event loop is."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        stage = Stage(Path(folder), dags, env=ENVIRONMENT)
        stage.simulator = SimulatorProcess(ring_seconds=RING_SECONDS, calls_per_second=None)  # type: ignore[assignment]
        lag, tasks = LoopLag(stage.airflow, Path(folder) / "lag"), LiveTasks(stage.airflow, "live", max(COUNTS))
        lag.write(dags)
        tasks.write(dags)
        with stage:
            lag.start()
            empty = look(stage)
            call_ids: list[str] = []
            for count in COUNTS:
                call_ids += _calls(stage, range(len(call_ids), count))
                if not tasks.run_id:
                    tasks.start(call_ids[0])
                tasks.hold(call_ids)
                _wait_until_heard(stage, count)
                time.sleep(3)
                figures |= _figures(count, *_look(stage, lag), empty)
                figures[f"live_{count}_sentences_per_s"] = _sentences_per_s(stage)
    figures["live_call_kb"] = figures[f"live_{TYPICAL}_kb_each"]
    figures["live_call_cpu_ms_per_s"] = figures[f"live_{TYPICAL}_cpu_ms_per_s_each"]
    return figures


def _calls(stage: Stage, numbers: Iterable[int]) -> list[str]:
    """Let people call, and accept their calls."""
    simulator = stage.simulator
    api = ApiSettings(api_key=simulator.api_key, endpoints=endpoints_for(base_url=simulator.openai_base_url))
    script = PhoneScript.talks_for_ever(dialogue=_TALK)

    def call(number: int) -> str:
        call_id = simulator.call_in(f"+1415558{number:04}", "+14155550100", script=script)
        switchboard.send(announce_accept(call_id, "bench", LONG_SECONDS))
        calls.send(accept_call(call_id, SESSION))
        switchboard.send(report_accepted(call_id, "bench"))
        return call_id

    with (
        CallsClient(replace(api, timeout_seconds=30.0)) as calls,
        stage.switchboard() as switchboard,
        ThreadPoolExecutor(4) as threads,
    ):
        return list(threads.map(call, numbers))


def _wait_until_heard(stage: Stage, count: int) -> None:
    """Wait until the triggerer has the sockets of so many calls, and not merely their tasks."""

    def is_so() -> bool:
        return connections_to(stage.simulator.url, triggerer_processes(stage)) >= count

    wait_until(is_so, f"the sockets of {count} calls", timeout_seconds=120, every_seconds=1)


def _look(stage: Stage, lag: LoopLag) -> tuple[Usage, list[float]]:
    begun = time.time()
    usage = look(stage)
    ended = time.time()
    time.sleep(2)  # until what was seen is written
    return usage, lag.between(begun, ended)


def _sentences_per_s(stage: Stage) -> float:
    """How much was said meanwhile in all calls: a simulator that is too busy to keep up would make them look cheap."""
    said = stage.simulator.log.of_kind("session.said")
    last = said[-1].at - timedelta(seconds=2)
    recent = sum(last - timedelta(seconds=LOOK_SECONDS) < entry.at <= last for entry in said)
    return recent / LOOK_SECONDS


def _figures(count: int, usage: Usage, lags: Sequence[float], empty: Usage) -> dict[str, float]:
    kb, cpu = (usage.rss_mb - empty.rss_mb) * 1000, usage.cpu_ms_per_s - empty.cpu_ms_per_s
    p50, p99 = percentile(lags, 50), percentile(lags, 99)
    print(
        f"live: {count} calls take {kb / 1000:.1f} MB, {cpu:.0f} ms/s more; the loop is {p50:.1f} ms late, "
        f"p99 {p99:.1f} ({len(lags)} looks in {LOOK_SECONDS:.0f} s)",
        flush=True,
    )
    return {
        f"live_{count}_kb_each": kb / count,
        f"live_{count}_cpu_ms_per_s_each": cpu / count,
        f"live_{count}_loop_lag_p50_ms": p50,
        f"live_{count}_loop_lag_p99_ms": p99,
    }
