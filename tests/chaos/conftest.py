"""How many trials each scenario has, and what they all need."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest
from tests.postgres import PostgresCluster, running_cluster
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.endpoints import endpoints_for
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.simulator import Simulator
from airflow_openai_realtime.switchboard.client import SwitchboardClient
from airflow_openai_realtime.switchboard.tokens import derived_token

TRIALS = int(os.environ.get("CHAOS_TRIALS", "10"))
_done: Counter[str] = Counter()


@pytest.fixture(params=range(TRIALS))
def trial(request: pytest.FixtureRequest) -> int:
    """Number of this trial; a scenario that asks for it is run once for each."""
    _done[request.function.__name__] += 1
    return int(request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often each scenario was tried."""
    for name, trials in sorted(_done.items()):
        terminalreporter.write_line(f"chaos: {trials} trials of {name.removeprefix('test_').replace('_', ' ')}")


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL server that scenarios may stop and start, if they start it again."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """OpenAI and phones; calls ring for a minute, so that what is lost is not lost to the ring limit."""
    with Simulator(ring_seconds=60, calls_per_second=None, webhook_first_retry_seconds=0.2) as simulator:
        yield simulator


Start = Callable[..., AbstractContextManager[Standalone]]


@pytest.fixture
def standalone(simulator: Simulator) -> Start:
    """Starts a switchboard process that talks to the simulator."""

    @contextmanager
    def start(store_url: str, *, workers: int = 1) -> Iterator[Standalone]:
        changes = {
            "OPENAI_API_KEY": simulator.api_key,
            "OPENAI_WEBHOOK_SECRET": simulator.webhook_secret,
            "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
        }
        with Standalone(store_url, workers=workers, changes=changes) as process:
            yield process

    return start


def client_of(process: Standalone, simulator: Simulator) -> SwitchboardClient:
    """A client of a switchboard process, as a task has it."""
    return SwitchboardClient(process.url, derived_token(simulator.webhook_secret))


def calls_of(simulator: Simulator) -> CallsClient:
    """A client of the simulated OpenAI."""
    settings = ApiSettings(api_key=simulator.api_key, endpoints=endpoints_for(base_url=simulator.openai_base_url))
    return CallsClient(replace(settings, timeout_seconds=5.0))
