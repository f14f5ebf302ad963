"""Networks that are cut, clocks that are wrong, deliveries out of order, replicas replaced: nothing lost or twice."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.chaos.conftest import Start
from tests.chaos.network import Network
from tests.chaos.scene import accepted_once, calls_of, client_of, over_in_time, ring, rows_of, stored, waiting_side
from tests.chaos.waiting_side import NUMBER
from tests.postgres import PostgresCluster
from tests.unit.switchboard.standalone import Standalone
from tests.unit.switchboard.support import event_body, signed

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.simulator import Simulator
from airflow_openai_realtime.switchboard.client.order_requests import put_order
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, report_accepted

pytestmark = pytest.mark.chaos

ORDER_NUMBER = "+14155550111"


def test_a_network_that_fails_between_those_who_wait_and_the_switchboard_costs_no_call(
    trial: int, tmp_path: Path, simulator: Simulator, standalone: Start
) -> None:
    with (
        standalone(f"sqlite:///{tmp_path / 's.db'}") as process,
        Network(process.url) as network,
        waiting_side(network.url, simulator, max_duration_seconds=3.0) as waiting,
    ):
        simulator.webhooks.add(f"{process.url}/webhook")
        failing = threading.Thread(target=network.trouble, kwargs={"times": 6, "longest_seconds": 1.5})
        failing.start()
        called = []
        while failing.is_alive():
            called += ring(simulator)
            time.sleep(random.uniform(0, 0.4))
        failing.join()
        accepted_once(simulator, called)
        late = over_in_time(simulator, rows_of(process, simulator))
        answered = waiting.answered()
    assert len(answered) == len(set(answered)), waiting
    assert min(late.values()) > -0.5, "ended before its time"


def test_a_switchboard_whose_clock_is_wrong_loses_no_call_and_ends_each_in_time(
    trial: int, tmp_path: Path, simulator: Simulator, standalone: Start
) -> None:
    ahead = random.choice((-1, 1)) * random.choice((random.uniform(1, 10), random.uniform(30, 240)))
    folder = str(Path(__file__).with_name("clock"))
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    clock = {"PYTHONPATH": path, "CLOCK_AHEAD_SECONDS": str(ahead)}
    with ExitStack() as stack:
        process = stack.enter_context(standalone(f"sqlite:///{tmp_path / 's.db'}", env=clock))
        waiting = stack.enter_context(waiting_side(process.url, simulator, max_duration_seconds=2.0))
        simulator.webhooks.add(f"{process.url}/webhook")
        with client_of(process.url, simulator) as client:
            client.send(put_order("day", match=CallMatch(to=ORDER_NUMBER), session={}, max_duration_seconds=2.0))
        called = []
        for _ in range(12):
            called += ring(simulator, to=random.choice((NUMBER, ORDER_NUMBER)))
            time.sleep(random.uniform(0, 0.2))
        accepted_once(simulator, called)
        rows = rows_of(process, simulator)
        measured = (rows[called[0]].received_at - simulator.log.calls[0].created_at).total_seconds()
        assert measured == pytest.approx(ahead, abs=20), "its clock is not wrong"
        late = over_in_time(simulator, rows, clock_ahead_seconds=ahead)
        answered = waiting.answered()
    assert len(answered) == len(set(answered))
    assert min(late.values()) > -0.5, "ended before its time"


def test_webhooks_out_of_order_and_repeated_change_nothing_that_was_decided(
    trial: int, cluster: PostgresCluster, simulator: Simulator, standalone: Start
) -> None:
    """Some come after the call was accepted by its id, some after the caller has gone, some many times."""
    url = cluster.new_database()
    with ExitStack() as stack:
        processes = [stack.enter_context(standalone(url)) for _ in range(2)]
        stack.enter_context(waiting_side(processes[0].url, simulator, name="a", max_duration_seconds=3.0))
        stack.enter_context(waiting_side(processes[1].url, simulator, name="b", max_duration_seconds=3.0))
        called = ring(simulator, 30)
        early, gone = called[:5], called[25:]
        deliveries = [call_id for call_id in called for _ in range(random.randint(1, 4))]
        random.shuffle(deliveries)
        calls = stack.enter_context(calls_of(simulator))
        client = stack.enter_context(client_of(processes[0].url, simulator))
        threads = stack.enter_context(ThreadPoolExecutor(6))

        def deliver(call_ids: list[str]) -> list[Future[int]]:
            return [threads.submit(_deliver, random.choice(processes), simulator, call_id) for call_id in call_ids]

        sending = deliver(deliveries[:40])
        for call_id in early:
            _accept_by_id(client, calls, call_id)
        for number in range(25, 30):
            simulator.phones.hang_up(f"+1415555{1000 + number}")
        sending += deliver(deliveries[40:])
        assert {each.result() for each in sending} == {200}
        accepted_once(simulator, set(called) - set(gone))
        again = random.sample(called, 10)
        assert {_deliver(random.choice(processes), simulator, call_id) for call_id in again} == {200}
        over_in_time(simulator, rows_of(processes[0], simulator))
        rows = rows_of(processes[1], simulator)
    assert set(rows) == set(called)
    assert not {rows[call_id].state for call_id in set(called) - set(gone)} - {"ended"}
    assert max(record.accepted for record in simulator.log.calls) == 1


def _accept_by_id(client, calls, call_id: str) -> None:
    """Accept as a task does that got the id from another system, perhaps before the webhook came."""

    try:
        client.send(announce_accept(call_id, "early", 3.0))
        calls.send(accept_call(call_id, {"type": "realtime"}))
        client.send(report_accepted(call_id, "early"))
    except OpenAIRealtimeError:
        return


def _deliver(process: Standalone, simulator: Simulator, call_id: str) -> int:
    to = {"name": "To", "value": f"sip:{NUMBER}@sip.api.openai.com"}
    body = event_body(call_id, created_at=time.time(), data={"call_id": call_id, "sip_headers": [to]})
    headers = signed(body, call_id, at=time.time(), secret=simulator.webhook_secret)
    return httpx.post(f"{process.url}/webhook", content=body, headers=headers, timeout=30).status_code


def test_switchboards_replaced_one_after_the_other_under_load_lose_no_call(
    trial: int, cluster: PostgresCluster, simulator: Simulator, standalone: Start
) -> None:
    url = cluster.new_database()
    with ExitStack() as stack:
        processes = [stack.enter_context(standalone(url)) for _ in range(2)]
        network = stack.enter_context(Network(*(process.url for process in processes)))
        waiting = stack.enter_context(waiting_side(network.url, simulator, max_duration_seconds=3.0))
        simulator.webhooks.add(f"{network.url}/webhook")
        with client_of(network.url, simulator) as client:
            client.send(put_order("day", match=CallMatch(to=ORDER_NUMBER), session={}, max_duration_seconds=3.0))
        over, called = threading.Event(), []

        def load() -> None:
            while not over.is_set():
                called.extend(ring(simulator, to=random.choice((NUMBER, ORDER_NUMBER))))
                time.sleep(random.uniform(0, 0.15))

        loading = threading.Thread(target=load)
        loading.start()
        try:
            for number in random.sample((0, 1), 2):
                time.sleep(random.uniform(0.1, 1.0))
                processes[number].process.send_signal(signal.SIGTERM)
                assert processes[number].process.wait(60) in (0, -signal.SIGTERM)
                processes[number] = stack.enter_context(standalone(url))
                network.urls[number] = processes[number].url
        finally:
            over.set()
            loading.join()
        accepted_once(simulator, called)
        over_in_time(simulator, rows_of(processes[0], simulator))
        answered = waiting.answered()
    delivered = {entry.call_id for entry in simulator.log.of_kind("webhook.delivered")}
    assert delivered <= stored(url)
    assert len(answered) == len(set(answered))
