"""
How many deliveries a second a standalone switchboard takes, beside the least that any web service could do.

Both are uvicorn with one process and the same settings, on the same database with the same durability: a delivery is
answered after its commit, and a commit waits for the disk. The least is in ``intake_floor.py``. Runs alternate, each on
a new database; the figures are medians. How many rows there are afterwards is compared with how many were answered.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import create_engine, text
from tests.postgres import running_cluster

from bench import deliveries
from bench.load import LoadResult, send_all
from bench.processes import SWITCHBOARD, serving, switchboard_environment

RUNS = 5
SECONDS = 3
CONNECTIONS = 32
MOST_A_SECOND = 4000

FLOOR = ("bench.intake_floor",)
TABLES = {SWITCHBOARD: "openai_realtime_call", FLOOR: "delivery"}


def measure_sqlite() -> dict[str, float]:
    """Deliveries a second and the 99th percentile of the time to the answer, on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        files = (f"sqlite:///{Path(folder) / f'{number}.db'}" for number in range(1_000))
        return _figures("sqlite", lambda: next(files))


def measure_postgres() -> dict[str, float]:
    """The same on PostgreSQL: a server of our own, with its usual durability."""
    with running_cluster(durable=True) as cluster:
        return _figures("postgres", cluster.new_database)


def _figures(kind: str, new_store_url: Callable[[], str]) -> dict[str, float]:
    ours: list[LoadResult] = []
    floor: list[LoadResult] = []
    for _ in range(RUNS):
        floor.append(_run(FLOOR, new_store_url()))
        ours.append(_run(SWITCHBOARD, new_store_url()))
        print(f"intake: {ours[-1].per_second:,.0f} a second on {kind}, floor {floor[-1].per_second:,.0f}", flush=True)
    shares = [one.per_second / least.per_second for one, least in zip(ours, floor, strict=True)]
    return {
        f"intake_per_s_{kind}": statistics.median(result.per_second for result in ours),
        f"intake_floor_per_s_{kind}": statistics.median(result.per_second for result in floor),
        f"intake_share_of_floor_{kind}": statistics.median(shares),
        f"intake_p99_ms_{kind}": statistics.median(result.p99_ms for result in ours),
        f"intake_floor_p99_ms_{kind}": statistics.median(result.p99_ms for result in floor),
    }


def _run(program: Sequence[str], store_url: str) -> LoadResult:
    env = switchboard_environment(
        api_key="sk-bench", webhook_secret=deliveries.SECRET, base_url="http://127.0.0.1:9/v1", store_url=store_url
    )
    with serving(program, env) as url:
        requests = deliveries.ours(f"{url}/webhook", MOST_A_SECOND * SECONDS)
        result = send_all(url, requests, connections=CONNECTIONS, seconds=SECONDS)
    if result.failed:
        raise RuntimeError(f"{program[0]}: {result.failed} deliveries failed")
    stored = _rows(store_url, TABLES[tuple(program)])
    if stored < result.answered:
        raise RuntimeError(f"{program[0]}: {result.answered} deliveries were answered, {stored} are stored")
    return result


def _rows(store_url: str, table: str) -> int:
    engine = create_engine(store_url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() or 0)
    finally:
        engine.dispose()
