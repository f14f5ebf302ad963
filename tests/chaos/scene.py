"""What scenarios share: calls that come in, those who wait for them, and what must hold in the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.chaos.waiting_side import NUMBER
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.simulator import PhoneScript, Simulator
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls
from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store

ALL_STATES = ",".join(CallState)
#: How long after ``hangup_at`` a call may last while one switchboard lives, in seconds.
LATE_SECONDS = 5.0

#: Calls of each scenario in this run.
calls_made: Counter[str] = Counter()


def ring(simulator: Simulator, count: int = 1, to: str = NUMBER) -> list[str]:
    """Let people call who never hang up by themselves."""
    calls_made[os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition("[")[0]] += count
    return [
        simulator.call_in(f"+1415555{1000 + number}", to, script=PhoneScript.talks_for_ever())
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


def client_of(url: str, simulator: Simulator) -> SwitchboardClient:
    """A client of a switchboard, as a task has it."""
    return SwitchboardClient(url, derived_token(simulator.webhook_secret))


def calls_of(simulator: Simulator) -> CallsClient:
    """A client of the simulated OpenAI."""
    settings = ApiSettings(api_key=simulator.api_key, endpoints=endpoints_for(base_url=simulator.openai_base_url))
    return CallsClient(replace(settings, timeout_seconds=30.0))


def rows_of(process: Standalone, simulator: Simulator) -> dict[str, SwitchboardCall]:
    """Calls as a switchboard has them."""
    with client_of(process.url, simulator) as client:
        found = client.send(list_calls(state=ALL_STATES, limit=1000)).calls
    assert len(found) == len({call.call_id for call in found})
    return {call.call_id: call for call in found}


class WaitingSide:
    """A process in which some wait for calls; see ``waiting_side``."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def answered(self) -> list[str]:
        """Ids of the calls that it says it has, one for each time it said so."""
        return [line.split()[1] for line in self.log().splitlines() if line.startswith("answered ")]


@contextmanager
def waiting_side(
    switchboard_url: str, simulator: Simulator, *, name: str = "waiter", amount: int = 4, max_duration_seconds: float
) -> Iterator[WaitingSide]:
    """Some who wait for calls at a switchboard, until this is left."""
    env = {**os.environ, "OPENAI_API_KEY": simulator.api_key, "TOKEN": derived_token(simulator.webhook_secret)}
    program = str(Path(__file__).with_name("waiting_side.py"))
    arguments = [switchboard_url, simulator.openai_base_url, name, str(amount), str(max_duration_seconds)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, program, *arguments], env=env, stdout=output, stderr=output)
        waiting = WaitingSide(process, log)
        try:
            assert simulator.wait_for(lambda: "ready" in waiting.log(), timeout_seconds=60), waiting.log()
            yield waiting
        finally:
            process.kill()
            process.wait()


def accepted_once(simulator: Simulator, called: Iterable[str], *, timeout_seconds: float = 60.0) -> None:
    """
    Each of the calls gets accepted, and OpenAI was asked to accept none that it had accepted before.

    :raises AssertionError: One was lost, or accepted twice.
    """
    wanted = set(called)

    def accepted() -> set[str]:
        return {record.call_id for record in simulator.log.accepted() if record.call_id is not None}

    simulator.wait_for(lambda: wanted <= accepted(), timeout_seconds=timeout_seconds)
    assert wanted <= accepted(), f"never accepted: {wanted - accepted()}"
    assert max(record.accepted for record in simulator.log.calls) == 1


def over_in_time(
    simulator: Simulator, rows: dict[str, SwitchboardCall], *, clock_ahead_seconds: float = 0.0
) -> dict[str, float]:
    """
    Seconds between each accepted call's ``hangup_at`` and its end.

    :param rows: Calls as the switchboard has them.
    :param clock_ahead_seconds: By how much its clock is wrong.
    :raises AssertionError: A call lasts on, or lasted longer than it may.
    """
    accepted = {record.call_id for record in simulator.log.accepted()}
    due = {key: row.hangup_at.timestamp() - clock_ahead_seconds for key, row in rows.items() if row.hangup_at}
    assert accepted <= due.keys(), f"accepted, and no process would end them: {accepted - due.keys()}"
    last = max((due[key] for key in accepted if key is not None), default=0.0)
    simulator.wait_for(
        lambda: not simulator.log.open_calls(),
        timeout_seconds=max(0.0, last - utc_now().timestamp()) + LATE_SECONDS + 10,
    )
    ended = {entry.call_id: entry.at.timestamp() for entry in simulator.log.of_kind("openai.ended")}
    late = {key: ended.get(key, float("inf")) - due[key] for key in accepted if key is not None}
    assert max(late.values(), default=0.0) <= LATE_SECONDS, late
    return late
