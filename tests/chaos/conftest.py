"""How many trials each scenario has, their seeds, and what they all need."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest
from tests.chaos.scene import calls_made
from tests.postgres import PostgresCluster, running_cluster
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.simulator import Simulator

TRIALS = int(os.environ.get("CHAOS_TRIALS", "10"))
#: Of the first trial; the next ones count up. A trial that failed is repeated with its own seed and CHAOS_TRIALS=1.
FIRST_SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
_done: Counter[str] = Counter()
_failed: Counter[str] = Counter()


@pytest.fixture(params=range(TRIALS), ids=lambda number: f"seed{FIRST_SEED + number}")
def trial(request: pytest.FixtureRequest) -> int:
    """The seed of this trial; a scenario that asks for it is run once for each."""
    _done[request.function.__name__] += 1
    seed = FIRST_SEED + int(request.param)
    random.seed(seed)
    print(f"repeat it with CHAOS_SEED={seed} CHAOS_TRIALS=1; the timing is the same as far as the machine lets it be")
    return seed


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what failed."""
    if report.failed:
        _failed[report.nodeid.partition("::")[2].partition("[")[0]] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often each scenario was tried, and with how many calls."""
    for name, trials in sorted(_done.items()):
        scenario = name.removeprefix("test_").replace("_", " ")
        terminalreporter.write_line(
            f"chaos: {trials} trials, {_failed[name]} failed, {calls_made[name]} calls: {scenario}"
        )
    if _done:
        terminalreporter.write_line(f"chaos: {sum(_done.values())} trials in all, seeds from {FIRST_SEED} on")


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """
    A PostgreSQL server that scenarios may stop and start, if they start it again.

    It commits as one in production does: quicker settings lose what they have committed when it is stopped at once.
    """
    with running_cluster(durable=True) as cluster:
        yield cluster


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """OpenAI and phones; calls ring for two minutes, so that what is lost is not lost to the ring limit."""
    with Simulator(ring_seconds=120, calls_per_second=None, webhook_first_retry_seconds=0.2) as simulator:
        yield simulator


Start = Callable[..., AbstractContextManager[Standalone]]


@pytest.fixture
def standalone(simulator: Simulator) -> Start:
    """Starts a switchboard process that talks to the simulator."""

    @contextmanager
    def start(store_url: str, *, workers: int = 1, env: Mapping[str, str] | None = None) -> Iterator[Standalone]:
        changes = {
            "OPENAI_API_KEY": simulator.api_key,
            "OPENAI_WEBHOOK_SECRET": simulator.webhook_secret,
            "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
            "OPENAI_REALTIME_RING_SECONDS": "120",
            **(env or {}),
        }
        with Standalone(store_url, workers=workers, changes=changes) as process:
            yield process

    return start
