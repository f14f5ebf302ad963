"""
How long a phone rings in a real Airflow until it is answered: by a standing order, by a trigger, by a task.

One Airflow with its four processes, whose API server carries the switchboard; the simulator is OpenAI and the callers,
in this process. 500 tasks wait for other numbers all the while. A ring begins when OpenAI sends the webhook, and ends
when the accept request is there. Each way is tried with one call at a time, when nothing else runs, and with a burst of
20 calls in two seconds.

- The order: made once, at the switchboard in the API server.
- The trigger: tasks of ``IncomingCallSensor(answer=True)`` that wait in the triggerer
  (``waiting_tasks.py`` says how they come to).
  Those that have got their call go on in workers, while others are still being answered.
- The task: ``example_dags/example_run_per_call.py``. A notifier starts a DAG run for each call, whose first task is
  ``AcceptCallOperator``. The simulated phones and OpenAI are more patient than real ones would be.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from demo.airflow_processes import wait_until
from demo.stage import EXAMPLE_DAGS, Stage

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.switchboard.client.order_requests import put_order
from bench.figures import medians, percentile
from bench.rings import Waits, ring
from bench.waiting_tasks import WaitingTasks

#: Tasks that wait for calls that do not come.
OTHERS = 500
BURST_CALLS, BURST_SECONDS = 20, 2.0
BURSTS = 3
SINGLE_CALLS = 12
#: From one single call to the next: until the task of the one before is over.
SINGLE_EVERY_SECONDS = {"order": 0.5, "trigger": 3.0}
SINGLE_TASKS = 3
#: A call that is not answered by then is not answered.
LIMIT_SECONDS = {"order": 20.0, "trigger": 20.0, "task": 100.0}
#: How long the simulated OpenAI and the switchboard let a phone ring.
PATIENCE_SECONDS = 120.0

ORDER_NUMBER = "+14155550121"
TRIGGER_NUMBER = "+14155550122"
#: The number of the example.
TASK_NUMBER = "+14155550103"
TASK_DAGS = ("example_run_per_call_doorbell", "example_run_per_call")

ENVIRONMENT = {
    "AIRFLOW__OPENAI_REALTIME__RING_SECONDS": str(PATIENCE_SECONDS),
    "AIRFLOW__TRIGGERER__CAPACITY": "1200",
}


def measure() -> dict[str, float]:
    """Percentiles in milliseconds, how many were not answered, and how much quicker than a task the others are."""
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        shutil.copy(EXAMPLE_DAGS / "example_run_per_call.py", dags)
        with Stage(Path(folder), dags, env=ENVIRONMENT, ring_seconds=PATIENCE_SECONDS) as stage:
            _let_all_wait(stage, dags)
            figures = {
                **_measure_quick(stage, "order", ORDER_NUMBER),
                **_measure_quick(stage, "trigger", TRIGGER_NUMBER),
            }
            figures |= _measure_task(stage)
    task = figures["answer_task_p50_ms"]
    return {
        **figures,
        "answer_trigger_speedup": task / figures["answer_trigger_burst_p50_ms"],
        "answer_order_speedup": task / figures["answer_order_mounted_burst_p50_ms"],
    }


def _let_all_wait(stage: Stage, dags: Path) -> None:
    others = WaitingTasks(stage.airflow, "others", [f"+1415557{number:04}" for number in range(OTHERS)])
    answering = WaitingTasks(stage.airflow, "answering", [TRIGGER_NUMBER] * (1 + SINGLE_CALLS + BURSTS * BURST_CALLS))
    for tasks in (others, answering):
        tasks.write(dags)
    for dag_id in TASK_DAGS:
        stage.airflow.wait_for_dag(dag_id)
        stage.airflow.unpause(dag_id)
    with stage.switchboard() as switchboard:
        session = {"instructions": "You answer the phone of a bench."}
        switchboard.send(put_order("bench", match=CallMatch(to=ORDER_NUMBER), session=session))
    others.start()
    others.let_wait(OTHERS)
    answering.start()
    answering.let_wait(answering.count)
    answering.let_go_on()
    _wait_for_quiet(stage)


def _measure_quick(stage: Stage, way: str, number: str) -> dict[str, float]:
    """A way that answers within moments, with calls one by one and in bursts."""
    _ring(stage, way, number, 1, 0.0)  # not counted: whatever is made for the first call
    idle = _figures(_ring(stage, way, number, SINGLE_CALLS, SINGLE_EVERY_SECONDS[way]))
    bursts = []
    for _ in range(BURSTS):
        _wait_for_quiet(stage)
        bursts.append(_figures(_ring(stage, way, number, BURST_CALLS, BURST_SECONDS / BURST_CALLS)))
        print(f"{way}: {bursts[-1]}", flush=True)
    _wait_for_quiet(stage)
    burst = medians(bursts)
    name = {"order": "answer_order_mounted"}.get(way, f"answer_{way}")
    return {
        f"{name}_idle_p50_ms": idle["p50_ms"],
        f"{name}_idle_p99_ms": idle["p99_ms"],
        f"{name}_burst_p50_ms": burst["p50_ms"],
        f"{name}_burst_p99_ms": burst["p99_ms"],
        f"{name}_p50_ms": max(idle["p50_ms"], burst["p50_ms"]),
        f"{name}_p99_ms": max(idle["p99_ms"], burst["p99_ms"]),
        f"{name}_unanswered": idle["unanswered"] + sum(each["unanswered"] for each in bursts),
    }


def _measure_task(stage: Stage) -> dict[str, float]:
    """The task of a DAG run, with calls one by one and in one burst."""
    waits = [_ring(stage, "task", TASK_NUMBER, 1, 0.0) for _ in range(1 + SINGLE_TASKS)][1:]
    alone = Waits([ms for each in waits for ms in each.ms], [call for each in waits for call in each.unanswered])
    _wait_for_quiet(stage)
    idle = _figures(alone)
    burst = _figures(_ring(stage, "task", TASK_NUMBER, BURST_CALLS, BURST_SECONDS / BURST_CALLS))
    print(f"task: {idle} {burst}", flush=True)
    return {
        "answer_task_idle_p50_ms": idle["p50_ms"],
        "answer_task_idle_p99_ms": idle["p99_ms"],
        "answer_task_p50_ms": burst["p50_ms"],
        "answer_task_p99_ms": burst["p99_ms"],
        "answer_task_unanswered": idle["unanswered"] + burst["unanswered"],
    }


def _ring(stage: Stage, way: str, number: str, calls: int, every_seconds: float) -> Waits:
    """Let people call, and see what becomes of it."""
    rung = ring(stage.simulator, calls, every_seconds, number)
    return Waits.when_answered(stage.simulator, rung, LIMIT_SECONDS[way])


def _figures(waits: Waits) -> dict[str, float]:
    found: Sequence[float] = waits.ms
    return {
        "p50_ms": percentile(found, 50),
        "p99_ms": percentile(found, 99),
        "unanswered": float(len(waits.unanswered)),
    }


def _wait_for_quiet(stage: Stage) -> None:
    """Wait until no task runs or is about to."""
    path = "/api/v2/dags/~/dagRuns/~/taskInstances"
    busy = {"state": ["scheduled", "queued", "running", "up_for_retry"], "limit": 1}
    wait_until(
        lambda: stage.airflow.request("GET", path, params=busy).json()["total_entries"] == 0,
        "all tasks to be over or to wait",
        timeout_seconds=180,
        every_seconds=1,
    )
    time.sleep(1)
