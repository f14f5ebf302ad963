"""A whole small world for tests of what runs in Airflow: a simulator, a switchboard in a thread, and connections."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_openai_realtime.api.client import CallsClient, Client
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call
from airflow_openai_realtime.testing.local_airflow import CONN_ID, connection_values, switchboard_app
from airflow_openai_realtime.testing.served_app import ServedApp

CALLER = "+14155550123"
OUR_NUMBER = "+14155550100"
#: How long a caller lets it ring, in simulated seconds: on a slow machine, and in a simulation that runs quicker.
RING_SECONDS = 3600


@dataclass
class FakeTask:
    """The task instance as far as operators use it."""

    dag_id: str = "campaign"
    run_id: str = "scheduled__2026-11-22T08:00:00+00:00"
    task_id: str = "wait"
    map_index: int = -1
    try_number: int = 1
    xcom: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed."""
        self.xcom[key] = value


@dataclass
class Clock:
    """The time, or later."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(timezone.utc) + self.ahead


@dataclass
class FakeRun:
    """The DAG run as far as operators use it."""

    run_type: str = "manual"
    run_after: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    start_date: datetime | None = None


def context(task: FakeTask | None = None, run: FakeRun | None = None) -> dict[str, Any]:
    """What Airflow hands to ``execute``."""
    return {"ti": task or FakeTask(), "dag_run": run or FakeRun()}


def run_task(operator: Any, given: dict[str, Any] | None = None, method: str = "execute", **kwargs: Any) -> Any:
    """Call an operator as Airflow's task runner does."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    inside = contextvars.copy_context()
    inside.run(ExecutorSafeguard.tracker.set, operator)
    return inside.run(getattr(operator, method), given or context(), **kwargs)


class World:
    """
    A simulator and a switchboard that know each other, and connections to both in the environment.

    :param simulator: Where calls come from.
    :param served: The switchboard.
    :param new_app: Makes a switchboard with the same store.
    :param clock: The switchboard's clock.
    """

    def __init__(
        self,
        simulator: Any,
        served: ServedApp,
        new_app: Callable[[], Any],
        set_env: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        from airflow_openai_realtime.calls.tokens import derived_token

        self.simulator = simulator
        self.url = served.url
        self._served = served
        self._new_app = new_app
        self.token = derived_token(simulator.webhook_secret)
        #: What a switchboard in Airflow's API server says about any task; ``None``: it runs elsewhere.
        self.task_state: Any = None
        #: What such a switchboard has left in XCom.
        self.left: list[dict[str, Any]] = []
        self._set_env = set_env
        self._clock = clock
        self.connect()

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the switchboard alone."""
        self._clock.ahead += timedelta(seconds=seconds)

    @contextlib.contextmanager
    def switchboard_away(self) -> Iterator[None]:
        """The switchboard is stopped; afterwards another one serves the same store at the same address."""
        port = int(self.url.rpartition(":")[2])
        self._served.__exit__()
        try:
            yield
        finally:
            # The fixture stops whichever serves last.
            self._served.__init__(self._new_app(), port)  # type: ignore[misc]
            self._served.__enter__()

    @property
    def secrets(self) -> list[str]:
        """Texts that must appear nowhere."""
        return [
            self.simulator.api_key,
            self.simulator.webhook_secret,
            self.simulator.auth_token,
            self.simulator.api_key_secret,
            self.token,
        ]

    def connect(self, conn_id: str = CONN_ID, *, host: str | None = None, **extra: Any) -> None:
        """Set the connection to OpenAI and the switchboard; ``extra`` replaces single fields."""
        values = connection_values(self.simulator, self.url)
        realtime = values.pop(CONN_ID)
        realtime["host"] = host or realtime["host"]
        realtime["extra"] |= {"timeout_seconds": 30, **extra}
        for each, value in {conn_id: realtime, **values}.items():
            self._set_env(f"AIRFLOW_CONN_{each.upper()}", json.dumps(value))

    def client(self) -> Any:
        """A client of the switchboard."""
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        return SwitchboardClient(self.url, self.token, line=CONN_ID)

    def row(self, call_id: str) -> Any:
        """The call as the switchboard has it."""
        with self.client() as client:
            return client.send(get_call(call_id))

    def ring(self, from_number: str = CALLER, to: str = OUR_NUMBER, **kwargs: Any) -> str:
        """Let a person call; returns when the switchboard has the call."""
        from airflow_openai_realtime.exceptions import UnknownCall

        call_id: str = self.simulator.call_in(from_number, to, **kwargs)

        def arrived() -> bool:
            with contextlib.suppress(UnknownCall):
                return self.row(call_id) is not None
            return False

        assert self.simulator.wait_for(arrived)
        return call_id

    def is_open(self, call_id: str) -> bool:
        """Whether an accepted call goes on."""
        return self.record(call_id).open

    def record(self, call_id: str) -> Any:
        """The call in the simulator's table."""
        return next(record for record in self.simulator.log.calls if record.call_id == call_id)

    def attachments(self) -> int:
        """How often a holder attached to a call and had that written; then the session has been heard of."""
        with self.client() as client:
            ids = [record.call_id for record in self.simulator.log.calls if record.call_id]
            kept = [
                conversation
                for conversation in (client.send(get_conversation(call_id)) for call_id in ids)
                if conversation is not None
            ]
        return sum(entry.body.get("what") == "attached" for each in kept for entry in each.entries)

    def count(self, kind: str) -> int:
        """How often something happened in the simulator."""
        return sum(entry.kind == kind for entry in self.simulator.log.entries)


async def until(world: World, condition: Callable[[], object]) -> None:
    """Wait for something in the world."""
    assert await asyncio.to_thread(world.simulator.wait_for, condition)


@pytest.fixture
def world(
    request: pytest.FixtureRequest, realtime_simulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A simulator and a switchboard, connected, with the connections in the environment."""

    from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

    marker = request.node.get_closest_marker("realtime_simulator")
    realtime_simulator.reset(**{"ring_seconds": RING_SECONDS, **(marker.kwargs if marker else {})})
    clock = Clock()
    settings = SwitchboardSettings(reaper_interval_seconds=0.1, ring_seconds=RING_SECONDS)

    made: list[World] = []

    def task_states(task: Any) -> Any:
        return made[0].task_state if made else None

    def new_app() -> Any:
        return switchboard_app(
            realtime_simulator,
            tmp_path,
            settings,
            now=clock,
            task_states=task_states,
            leave_result=lambda _, result: made[0].left.append(dict(result)),
        )

    with ServedApp(new_app()) as served:
        realtime_simulator.webhooks.add(f"{served.url}/webhook")
        made.append(World(realtime_simulator, served, new_app, monkeypatch.setenv, clock))
        yield made[0]


def dying_at(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """Let the process die when it sends this request to OpenAI."""
    send = CallsClient.send

    def dies(self: CallsClient, what: Any) -> Any:
        if isinstance(what, Request) and what.operation == operation:
            raise KeyboardInterrupt
        return send(self, what)

    monkeypatch.setattr(CallsClient, "send", dies)


def instead_of_sending(client: Client, operation: str, do: Callable[[Callable[[Any], Any], Any], Any]) -> None:
    """
    Let a function stand in for sending requests that do one thing from blocking code.

    :param do: Called with what sends and the request.
    """
    send = client.send

    def either(what: Any) -> Any:
        return do(send, what) if isinstance(what, Request) and what.operation == operation else send(what)

    client.send = either  # type: ignore[method-assign]


def instead_of_asending(client: Client, operation: str, do: Callable[[Callable[[Any], Any], Any], Any]) -> None:
    """As :func:`instead_of_sending`, from coroutines."""
    asend = client.asend

    async def either(what: Any) -> Any:
        is_it = isinstance(what, Request) and what.operation == operation
        return await (do(asend, what) if is_it else asend(what))

    client.asend = either  # type: ignore[method-assign]
