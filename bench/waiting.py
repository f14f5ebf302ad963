"""
What calls that are waited for cost a real triggerer of Airflow: memory, processor time and connections.

100, 500 and 1,000 tasks wait (``waiting_tasks.py`` makes them wait), no call comes in, and the triggerer is measured
from outside. All of its processes count, also with what Airflow itself keeps for a waiting task. Everything is over
what the triggerer took before the first task waited, so what the first trigger loads counts, too.

Memory is the growth of the resident sets. The proportional sets (``_pss_mb``, Linux only) grow by more: Airflow forks
its processes from one, and as soon as Python collects garbage there, pages that they shared are copied. Any trigger
brings that about, and an empty triggerer gets there in time.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from demo.stage import Stage

from bench.waiting_tasks import WaitingTasks

COUNTS = (100, 500, 1000)
LOOK_SECONDS = 10.0
#: Airflow's own limit is 1,000, and there are a few more than that.
CAPACITY = {"AIRFLOW__TRIGGERER__CAPACITY": "1200"}


@dataclass(frozen=True)
class Usage:
    """
    What the triggerer takes.

    :param rss_mb: Resident memory, in megabytes.
    :param pss_mb: The same, with shared pages divided among those that share them; 0 if not reported.
    :param cpu_ms_per_s: Milliseconds of processor time in a second.
    :param connections: TCP connections to the switchboard.
    """

    rss_mb: float
    pss_mb: float
    cpu_ms_per_s: float
    connections: int


def measure() -> dict[str, float]:
    """For each number of waiting tasks what they cost."""
    numbers = [f"+1415557{number:04}" for number in range(max(COUNTS))]
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        with Stage(Path(folder), dags, env=CAPACITY) as stage:
            tasks = WaitingTasks(stage.airflow, "waiting", numbers)
            time.sleep(10)  # a triggerer goes on loading for a while
            empty = look(stage)
            print(f"waiting: {empty.rss_mb:.1f} MB, {empty.cpu_ms_per_s:.1f} ms/s with no task", flush=True)
            tasks.write(dags)
            tasks.start()
            for count in COUNTS:
                tasks.let_wait(count)
                time.sleep(5)
                usage = look(stage)
                extra_mb, cpu = usage.rss_mb - empty.rss_mb, usage.cpu_ms_per_s - empty.cpu_ms_per_s
                print(f"waiting: {count} tasks take {extra_mb:.1f} MB, {cpu:.1f} ms/s more", flush=True)
                figures |= {
                    f"waiting_{count}_extra_mb": extra_mb,
                    f"waiting_{count}_extra_pss_mb": usage.pss_mb - empty.pss_mb,
                    f"waiting_{count}_cpu_ms_per_s": cpu,
                    f"waiting_{count}_connections": usage.connections,
                }
    return figures


def look(stage: Stage) -> Usage:
    """Look at the triggerer for a while."""
    processes = triggerer_processes(stage)
    begun, before = time.monotonic(), _cpu_seconds(processes)
    time.sleep(LOOK_SECONDS)
    spent, took = _cpu_seconds(processes) - before, time.monotonic() - begun
    connections = connections_to(stage.switchboard_url, processes)
    memory = [process.memory_full_info() for process in processes]
    rss_mb, pss_mb = (sum(getattr(each, name, 0) for each in memory) / 1e6 for name in ("rss", "pss"))
    return Usage(rss_mb, pss_mb, spent * 1000 / took, connections)


def triggerer_processes(stage: Stage) -> list[psutil.Process]:
    """Both processes of the triggerer."""
    main = psutil.Process(stage.airflow.processes.processes["triggerer"].pid)
    return [main, *main.children(recursive=True)]


def connections_to(url: str, processes: list[psutil.Process]) -> int:
    """How many TCP connections to an address some processes have."""
    port = urlsplit(url).port
    return sum(
        bool(each.raddr) and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
        for process in processes
        for each in process.net_connections("tcp")
    )


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))
