"""A store of an earlier release, and a switchboard of this one that has taken it over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.postgres import PostgresCluster, running_cluster
from tests.unit.switchboard.support import Clock, Switchboard, event_body, running, signed
from tests.upgrade.recordings import VERSIONS, Recording

from airflow_openai_realtime.calls.line_settings import line_from_fields
from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.simulator import PhoneScript, Simulator
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

#: As the release was recorded with; the reaper looks more often, since tests wait for it.
SETTINGS = SwitchboardSettings(ring_seconds=3600.0, reaper_interval_seconds=0.05)
OUR_NUMBER = "+14155550100"


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL server of this test run."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(params=VERSIONS)
def recording(request: pytest.FixtureRequest) -> Recording:
    """What a release left behind; the test runs once for each."""
    return Recording.of(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, recording: Recording, tmp_path: Path) -> str:
    """A database with the release's tables and rows; the test runs once for each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'calls.db'}"
    else:
        cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
        url = cluster.new_database()
    recording.restore(url)
    return url


@dataclass
class TakenOver:
    """
    A switchboard of this release on the store of an earlier one.

    :param recording: What the earlier one left behind.
    :param simulator: Where the calls can be live.
    :param switchboard: The switchboard; its clock stands at the recorded moment until it is moved.
    """

    recording: Recording
    simulator: Simulator
    switchboard: Switchboard

    async def ask(
        self, method: str, path: str, body: Any = None, *, line: str = "support", status: int = 200
    ) -> dict[str, Any]:
        """Send a request to the private API, and see that it is answered with this status."""
        headers = {"Authorization": f"Bearer {self.recording.tokens[line]}", "OpenAI-Realtime-Line": line}
        response = await self.switchboard.http.request(method, path, json=body, headers=headers)
        assert response.status_code == status, (path, response.text)
        answer: dict[str, Any] = response.json()
        return answer

    async def call(self, label: str) -> dict[str, Any]:
        """A call as it is now."""
        found: dict[str, Any] = (await self.ask("GET", f"/v1/calls/{self.recording.calls[label]}"))["call"]
        return found

    async def conversation(self, label: str) -> dict[str, Any]:
        """A conversation as it is now."""
        path = f"/v1/calls/{self.recording.calls[label]}/conversation"
        found: dict[str, Any] = (await self.ask("GET", path))["conversation"]
        return found

    async def move(self, label: str, move: str, *, status: int = 200, **body: Any) -> dict[str, Any]:
        """Report something about a call."""
        return await self.ask("POST", f"/v1/calls/{self.recording.calls[label]}/{move}", body, status=status)

    async def accept_at_openai(self, label: str) -> None:
        """Accept a call that rings at OpenAI, as a task does."""
        url = f"{self.simulator.openai_base_url}/realtime/calls/{self.recording.calls[label]}/accept"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            headers = {"Authorization": f"Bearer {self.simulator.api_key}"}
            body = {"type": "realtime", "model": "gpt-realtime-2.1"}
            (await client.post(url, json=body, headers=headers)).raise_for_status()

    async def announce(self, label: str, number: str) -> None:
        """Deliver the webhook of a call as OpenAI would, now."""
        headers = [{"name": "From", "value": f"sip:{number}@carrier.example"}]
        data = {"call_id": self.recording.calls[label], "sip_headers": headers}
        now = self.switchboard.clock().timestamp()
        body = event_body(label, created_at=now, data=data)
        signature = signed(body, label, at=now, secret=self.simulator.webhook_secret)
        answer = await self.switchboard.http.post("/webhook/support", content=body, headers=signature)
        assert answer.status_code == 200

    def record(self, label: str) -> Any:
        """The call in the simulator's table."""
        return self.simulator.log.call(call_id=self.recording.calls[label])

    def set_clock(self, at: datetime, *, later_seconds: float = 0.0) -> None:
        """Let time pass for the switchboard."""
        self.switchboard.clock.at = at + timedelta(seconds=later_seconds)


@pytest.fixture
def lines(recording: Recording, realtime_simulator: Simulator) -> StaticLines:
    """The lines that the release had, at this test's simulator."""
    secret = {"webhook_secret": realtime_simulator.webhook_secret}
    return StaticLines(
        line_from_fields(
            name, realtime_simulator.api_key, realtime_simulator.openai_base_url, {**secret, "switchboard_token": token}
        )
        for name, token in recording.tokens.items()
    )


def ring_again(recording: Recording, simulator: Simulator, *labels: str) -> None:
    """Let calls of the recording ring at OpenAI; no webhook tells of them."""
    for label in labels:
        script = PhoneScript.talks_for_ever()
        number = recording.call(label)["from_number"]
        simulator.call_in(number, OUR_NUMBER, script=script, call_id=recording.calls[label])


@pytest.fixture
def taken_over(
    recording: Recording, store_url: str, lines: StaticLines, realtime_simulator: Simulator
) -> AbstractAsyncContextManager[TakenOver]:
    """What gives the switchboard, once the test has put the calls that it wants to OpenAI."""
    realtime_simulator.reset(ring_seconds=3600, refer_seconds=3600)
    return _taken_over(recording, store_url, lines, realtime_simulator)


@asynccontextmanager
async def _taken_over(
    recording: Recording, store_url: str, lines: StaticLines, simulator: Simulator
) -> AsyncIterator[TakenOver]:
    async with running(Store(store_url), lines, Clock(recording.at), settings=SETTINGS) as switchboard:
        yield TakenOver(recording, simulator, switchboard)
