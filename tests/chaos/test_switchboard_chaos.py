"""Switchboards killed, stores stopped and webhooks gone wrong, with random timing: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.chaos.conftest import Start
from tests.chaos.scene import (
    ALL_STATES,
    LATE_SECONDS,
    calls_made,
    calls_of,
    client_of,
    over_in_time,
    ring,
    rows_of,
    stored,
)
from tests.postgres import PostgresCluster
from tests.unit.switchboard.server.test_storms import storm
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.simulator import Simulator
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, list_calls, report_accepted

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_kill_9_in_a_storm_loses_no_acknowledged_call(
    trial: int, kind: str, tmp_path: Path, cluster: PostgresCluster
) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}" if kind == "sqlite" else cluster.new_database()
    with Standalone(url, workers=random.choice((1, 2))) as process:
        acknowledged = await storm(process, 0, random.uniform(0.0, 1.5))
    calls_made["test_kill_9_in_a_storm_loses_no_acknowledged_call"] += len(acknowledged)
    assert acknowledged <= stored(url)


def test_a_store_that_stops_and_starts_loses_no_acknowledged_call(
    trial: int, cluster: PostgresCluster, simulator: Simulator, standalone: Start
) -> None:
    url = cluster.new_database()
    with standalone(url) as process:
        simulator.webhooks.add(f"{process.url}/webhook")
        called = ring(simulator, 10)
        time.sleep(random.uniform(0, 0.3))
        cluster.stop(random.choice(("fast", "immediate")))
        called += ring(simulator, 10)
        time.sleep(random.uniform(0, 1.0))
        cluster.start()
        called += ring(simulator, 10)
        delivered = simulator.wait_for(lambda: set(called) <= stored(url), timeout_seconds=60)
        assert delivered, f"never stored: {set(called) - stored(url)}"
        assert simulator.wait_for(lambda: set(called) == acknowledged(simulator)), "stored, and never said so"
    assert stored(url) == set(called)


def acknowledged(simulator: Simulator) -> set[str | None]:
    """Ids of the calls of which the switchboard said that it has them."""
    return {entry.call_id for entry in simulator.log.of_kind("webhook.delivered")}


def test_webhooks_doubled_late_and_forged_make_one_call_each(
    trial: int, tmp_path: Path, simulator: Simulator, standalone: Start
) -> None:
    with (
        standalone(f"sqlite:///{tmp_path / 's.db'}", workers=2) as process,
        client_of(process.url, simulator) as client,
    ):
        simulator.webhooks.add(f"{process.url}/webhook")
        for _ in range(10):
            simulator.faults.duplicate_webhook(random.randint(1, 5))
            simulator.faults.late_webhook(random.uniform(0, 1.5))
            simulator.faults.forged_webhook()
        called = ring(simulator, 40)
        for call_id in random.sample(called, 10):
            simulator.webhooks.redeliver(call_id, times=random.randint(1, 20))

        def found() -> list[str]:
            return [call.call_id for call in client.send(list_calls(state=ALL_STATES, limit=1000)).calls]

        arrived = simulator.wait_for(lambda: set(called) - forged(simulator) <= set(found()), timeout_seconds=60)
        assert arrived, f"neither stored nor refused: {set(called) - forged(simulator) - set(found())}"
        time.sleep(0.5)  # for what is delivered once more
        rows = found()
    assert len(rows) == len(set(rows))
    assert set(called) - forged(simulator) <= set(rows) <= set(called)
    assert forged(simulator), "no forged delivery was refused"


def forged(simulator: Simulator) -> set[str | None]:
    """Ids of the calls of which a delivery was refused for its signature."""
    return {entry.call_id for entry in simulator.log.of_kind("webhook.") if "401" in str(entry.detail)}


def test_no_call_outlives_its_time_while_one_of_two_switchboards_lives(
    trial: int, cluster: PostgresCluster, simulator: Simulator, standalone: Start
) -> None:
    url = cluster.new_database()
    with ExitStack() as stack:
        processes = [stack.enter_context(standalone(url)) for _ in range(2)]
        calls = stack.enter_context(calls_of(simulator))
        deadlines = {}
        for number, call_id in enumerate(ring(simulator, 6)):
            with client_of(processes[number % 2].url, simulator) as client:
                row = client.send(announce_accept(call_id, f"task{number}", random.uniform(0.5, 3.0))).call
                calls.send(accept_call(call_id, {"type": "realtime"}))
                client.send(report_accepted(call_id, f"task{number}"))
            assert row.hangup_at is not None
            deadlines[call_id] = row.hangup_at.timestamp()
        time.sleep(random.uniform(0, 2.5))
        random.choice(processes).kill()
        simulator.wait_for(lambda: not simulator.log.open_calls(), timeout_seconds=20)
    ended = {entry.call_id: entry.at.timestamp() for entry in simulator.log.of_kind("openai.ended")}
    late = {call_id: ended.get(call_id, float("inf")) - at for call_id, at in deadlines.items()}
    assert max(late.values()) <= LATE_SECONDS, late


def test_answerers_killed_at_any_moment_leave_no_call_open_and_none_accepted_twice(
    trial: int, tmp_path: Path, simulator: Simulator, standalone: Start
) -> None:
    with standalone(f"sqlite:///{tmp_path / 's.db'}") as process:
        simulator.webhooks.add(f"{process.url}/webhook")
        answerers = [_answerer(process, simulator, f"worker{number}") for number in range(3)]
        killer = threading.Thread(target=_kill_in_turn, args=(answerers[:2],))
        killer.start()
        called = []
        for _ in range(15):
            called += ring(simulator, 1)
            time.sleep(random.uniform(0, 0.1))
        killer.join()
        simulator.wait_for(
            lambda: {row.state for row in rows_of(process, simulator).values()}.isdisjoint({"ringing"}),
            timeout_seconds=60,
        )
        time.sleep(0.5)  # for the last accept
        for answerer in answerers:
            answerer.kill()
            answerer.communicate()
        over_in_time(simulator, rows_of(process, simulator))
    assert max(row.accepted for row in simulator.log.calls) == 1
    # A worker killed between its claim and the accept takes that call along; each of the two can do so once.
    assert len(simulator.log.accepted()) >= len(called) - 2


def _answerer(process: Standalone, simulator: Simulator, name: str) -> subprocess.Popen[str]:
    env = {**os.environ, "OPENAI_API_KEY": simulator.api_key, "TOKEN": derived_token(simulator.webhook_secret)}
    program = Path(__file__).with_name("answerer.py")
    answerer = subprocess.Popen(
        [sys.executable, str(program), process.url, simulator.openai_base_url, name],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert answerer.stdout is not None
    assert answerer.stdout.readline() == "ready\n"
    return answerer


def _kill_in_turn(answerers: list[subprocess.Popen[str]]) -> None:
    for answerer in answerers:
        time.sleep(random.uniform(0.1, 0.8))
        answerer.kill()
