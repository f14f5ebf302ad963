"""Standing orders by real switchboard processes, with the simulator as OpenAI; some of them are killed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import MoveRefused
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.client.order_requests import get_order, list_orders, put_order
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls, take_over_call

OUR_NUMBER = "+14155550100"
TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "server_url": "https://crm.example/mcp",
    "authorization": "tok-0001",
    "require_approval": "never",
}
SESSION = {"instructions": "Ada is in Room Nine.", "tools": [TOOL]}
SECRETS = ("tok-0001", "Room Nine", "Say hello to Ada")

# No caller gives up while a slow machine starts processes and kills them.
pytestmark = pytest.mark.realtime_simulator(ring_seconds=300)


class Replicas:
    """Two switchboards with one store, both told of every call."""

    def __init__(self, simulator: Simulator, store_url: str, stack: ExitStack) -> None:
        self.simulator = simulator
        line = {
            "OPENAI_API_KEY": simulator.api_key,
            "OPENAI_WEBHOOK_SECRET": simulator.webhook_secret,
            "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
            "OPENAI_REALTIME_RING_SECONDS": "300",
        }
        self.processes = [stack.enter_context(Standalone(store_url, changes=line)) for _ in range(2)]
        for process in self.processes:
            simulator.webhooks.add(f"{process.url}/webhook")

    def client(self, number: int = 0) -> SwitchboardClient:
        """A client of one of them."""
        return SwitchboardClient(self.processes[number].url, derived_token(self.simulator.webhook_secret))

    def put_order(self, name: str, **values: Any) -> None:
        """Make an order, and wait until both know it."""
        with self.client() as client:
            client.send(put_order(name, session=SESSION, **values))
        known = f"order.known line=default order={name} "
        assert self.simulator.wait_for(lambda: all(known in process.log() for process in self.processes))

    def ring(self, amount: int = 1, *, every_seconds: float = 0.0) -> list[str]:
        """Let people call, who wait and talk without end."""
        script = PhoneScript.talks_for_ever()
        made = []
        for number in range(amount):
            made.append(self.simulator.call_in(f"+1415556{number:04}", OUR_NUMBER, script=script))
            time.sleep(every_seconds)
        return made

    def accepted(self, call_ids: list[str]) -> dict[str, int]:
        """How often OpenAI has accepted each call."""
        return {record.call_id: record.accepted for record in self.simulator.log.calls if record.call_id in call_ids}

    def wait_for_accepts(self, call_ids: list[str], *, amount: int | None = None, seconds: float = 30) -> None:
        """Wait until so many of the calls are accepted; all by default."""
        wanted = len(call_ids) if amount is None else amount
        assert self.simulator.wait_for(
            lambda: sum(map(bool, self.accepted(call_ids).values())) >= wanted, timeout_seconds=seconds
        ), f"{self.accepted(call_ids)}\n{self.told()}"

    def rows(self, state: str = "all") -> dict[str, SwitchboardCall]:
        """Calls as the store has them."""
        with self.client(1) as client:
            return {call.call_id: call for call in client.send(list_calls(state=state, limit=1000)).calls}

    def wait_for_rows(self, call_ids: list[str], state: str) -> None:
        """Wait until the store has the calls in this state."""
        assert self.simulator.wait_for(lambda: set(call_ids) <= set(self.rows(state))), self.told()

    def told(self) -> str:
        """What is known, for a test that fails."""
        return "\n".join([str(self.rows()), *(process.log()[-3000:] for process in self.processes)])


@pytest.fixture
def replicas(realtime_simulator: Simulator, store_url: str) -> Iterator[Replicas]:
    with ExitStack() as stack:
        yield Replicas(realtime_simulator, store_url, stack)


def test_each_call_is_accepted_once_and_no_order_beyond_its_uses(replicas: Replicas) -> None:
    replicas.put_order("few", priority=5, uses=15)
    replicas.put_order("some", uses=10, greeting="Say hello to Ada.")
    call_ids = replicas.ring(40, every_seconds=0.01)
    replicas.wait_for_accepts(call_ids, amount=25)
    with replicas.client(1) as client:
        assert [order.uses_left for order in client.send(list_orders())] == [0, 0]
        client.send(put_order("rest", session=SESSION))  # also for those that ring already
    replicas.wait_for_accepts(call_ids)
    replicas.wait_for_rows(call_ids, "accepted")
    assert set(replicas.accepted(call_ids).values()) == {1}
    assert len(replicas.simulator.log.of_kind("openai.accept")) == 40
    by_order = Counter(call.claimed_by for call in replicas.rows().values())
    assert by_order == {"order:few": 15, "order:some": 10, "order:rest": 15}
    greeted = replicas.simulator.log.of_kind("sideband.command")
    assert replicas.simulator.wait_for(lambda: len(replicas.simulator.log.of_kind("sideband.command")) == 10), greeted
    for process in replicas.processes:
        log = process.log()
        assert "Traceback" not in log
        assert not [secret for secret in (*SECRETS, replicas.simulator.api_key, "+1415556") if secret in log]


@pytest.mark.parametrize("carried_out", [False, True])
def test_killed_in_the_middle_of_an_accept_the_other_finishes_it(replicas: Replicas, carried_out: bool) -> None:
    replicas.put_order("day")
    simulator = replicas.simulator
    simulator.faults.time_out("accept", carried_out=carried_out)
    (call_id,) = replicas.ring()
    assert simulator.wait_for(lambda: simulator.log.of_kind("fault.time_out"))
    stored = f"call.ringing line=default call_id={call_id}"
    (busy,) = [number for number in (0, 1) if stored in replicas.processes[number].log()]
    row = replicas.rows()[call_id]
    assert (row.state, row.claimed_by) == ("claimed", "order:day")
    assert row.hangup_at is not None
    if busy == 1:
        replicas.processes.reverse()
    replicas.processes[0].kill()
    begun = time.monotonic()
    replicas.wait_for_rows([call_id], "accepted")
    assert time.monotonic() - begun < 20
    assert replicas.accepted([call_id]) == {call_id: 1}
    assert replicas.rows()[call_id].hangup_at == row.hangup_at
    assert "order.resumed" in replicas.processes[1].log()


@pytest.mark.parametrize("limited", [False, True])
def test_killed_in_the_middle_of_a_burst_no_call_is_lost_or_accepted_twice(replicas: Replicas, limited: bool) -> None:
    replicas.put_order("day", uses=1000 if limited else None)
    moment = random.uniform(0.05, 0.6)
    with ThreadPoolExecutor(1) as threads:
        ringing = threads.submit(replicas.ring, 30, every_seconds=0.02)
        time.sleep(moment)
        replicas.processes[0].kill()
        call_ids = ringing.result()
    replicas.wait_for_accepts(call_ids)
    replicas.wait_for_rows(call_ids, "accepted")
    assert set(replicas.accepted(call_ids).values()) == {1}, f"killed after {moment} s"
    with replicas.client(1) as client:
        assert client.send(get_order("day")).uses_left == (970 if limited else None)


def test_a_fallback_answers_in_time_what_nobody_claims(replicas: Replicas) -> None:
    (claimed,) = replicas.ring()
    replicas.wait_for_rows([claimed], "ringing")
    with replicas.client() as client:
        client.send(claim_call(claimed, "me"))
    replicas.put_order("fallback", unclaimed_after_seconds=1.5)
    (left,) = replicas.ring()
    replicas.wait_for_accepts([left])
    rang, accepted = (
        next(entry.at for entry in replicas.simulator.log.of_kind(kind, call_id=left))
        for kind in ("openai.ringing", "openai.accepted")
    )
    assert 1.5 <= (accepted - rang).total_seconds() < 20
    assert replicas.rows()[claimed].claimed_by == "me"
    assert replicas.accepted([claimed, left]) == {claimed: 0, left: 1}


def test_one_of_many_takes_a_call_over_and_it_goes_on(replicas: Replicas) -> None:
    replicas.put_order("day")
    (call_id,) = replicas.ring()
    replicas.wait_for_rows([call_id], "accepted")

    def take(number: int) -> str | None:
        with replicas.client(number % 2) as client:
            try:
                return client.send(take_over_call(call_id, f"task-{number}", "day")).claimed_by
            except MoveRefused:
                return None

    with ThreadPoolExecutor(8) as threads:
        winners = [name for name in threads.map(take, range(8)) if name]
    assert len(winners) == 1
    assert replicas.rows()[call_id].claimed_by == winners[0]
    assert replicas.simulator.log.call(call_id=call_id).open
