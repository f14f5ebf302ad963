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
from tests.chaos.conftest import Start, calls_of, client_of
from tests.postgres import PostgresCluster
from tests.unit.switchboard.standalone import Standalone
from tests.unit.switchboard.test_storms import storm

from airflow_openai_realtime.simulator import PhoneScript, Simulator
from airflow_openai_realtime.switchboard.records import CALL_STATES
from airflow_openai_realtime.switchboard.service import utc_now
from airflow_openai_realtime.switchboard.store import CallFilter, Store
from airflow_openai_realtime.switchboard.tokens import derived_token

pytestmark = pytest.mark.chaos

ALL_STATES = ",".join(CALL_STATES)
#: How long after ``hangup_at`` a call may last while one switchboard lives, in seconds.
LATE_SECONDS = 5.0


def ring(simulator: Simulator, count: int) -> list[str]:
    """Let people call who never hang up by themselves."""
    return [
        simulator.call_in(f"+1415555{1000 + number}", "+14155550100", script=PhoneScript.talks_for_ever())
        for number in range(count)
    ]


def stored(store_url: str) -> set[str]:
    """Ids of the calls in a store."""
    store = Store(store_url)
    store.prepare()
    try:
        return {call.call_id for call in store.calls.select("default", CallFilter(), 1_000_000, utc_now())}
    finally:
        store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_kill_9_in_a_storm_loses_no_acknowledged_call(
    trial: int, kind: str, tmp_path: Path, cluster: PostgresCluster
) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}" if kind == "sqlite" else cluster.new_database()
    with Standalone(url, workers=random.choice((1, 2))) as process:
        acknowledged = await storm(process, 0, random.uniform(0.05, 1.5))
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
        delivered = simulator.wait_for(lambda: set(called) <= stored(url), timeout_seconds=30)
        assert delivered, f"never stored: {set(called) - stored(url)}"
        acknowledged = {entry.call_id for entry in simulator.log.of_kind("webhook.delivered")}
    assert acknowledged == stored(url) == set(called)


def test_webhooks_doubled_late_and_forged_make_one_call_each(
    trial: int, tmp_path: Path, simulator: Simulator, standalone: Start
) -> None:
    with standalone(f"sqlite:///{tmp_path / 's.db'}", workers=2) as process, client_of(process, simulator) as client:
        simulator.webhooks.add(f"{process.url}/webhook")
        for _ in range(10):
            simulator.faults.duplicate_webhook(random.randint(1, 5))
            simulator.faults.late_webhook(random.uniform(0, 1.5))
            simulator.faults.forged_webhook()
        called = ring(simulator, 40)
        for call_id in random.sample(called, 10):
            simulator.webhooks.redeliver(call_id, times=random.randint(1, 20))
        simulator.wait_for(lambda: len(client.calls(state=ALL_STATES, limit=1000).calls) >= 40, timeout_seconds=15)
        time.sleep(0.5)
        found = [call.call_id for call in client.calls(state=ALL_STATES, limit=1000).calls]
    assert len(found) == len(set(found))
    assert set(found) <= set(called)
    forged = {entry.call_id for entry in simulator.log.of_kind("webhook.") if "401" in str(entry.detail)}
    assert set(called) - set(found) <= forged


def test_no_call_outlives_its_time_while_one_of_two_switchboards_lives(
    trial: int, cluster: PostgresCluster, simulator: Simulator, standalone: Start
) -> None:
    url = cluster.new_database()
    with ExitStack() as stack:
        processes = [stack.enter_context(standalone(url)) for _ in range(2)]
        calls = stack.enter_context(calls_of(simulator))
        deadlines = {}
        for number, call_id in enumerate(ring(simulator, 6)):
            with client_of(processes[number % 2], simulator) as client:
                row = client.accepting(call_id, f"task{number}", random.uniform(0.5, 3.0))
                calls.accept(call_id, {"type": "realtime"})
                client.accepted(call_id, f"task{number}")
            assert row.hangup_at is not None
            deadlines[call_id] = row.hangup_at.timestamp()
        time.sleep(random.uniform(0, 2.5))
        processes[trial % 2].kill()
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
        simulator.wait_for(lambda: len(simulator.log.accepted()) >= 13, timeout_seconds=10)
        over = simulator.wait_for(lambda: not simulator.log.open_calls(), timeout_seconds=2.0 + LATE_SECONDS + 3)
        for answerer in answerers:
            answerer.kill()
            answerer.communicate()
    assert over, simulator.log.open_calls()
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
