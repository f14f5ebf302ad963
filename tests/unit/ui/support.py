"""What the page's tests share: a store with calls, users with rights, and the page in this process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from tests.unit.switchboard.support import START, Clock, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import Attempt
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.ui.access import HANG_UP, READ_CALLS, READ_TRANSCRIPTS
from airflow_openai_realtime.ui.directory import CallDirectory
from airflow_openai_realtime.ui.owners import OwningTask
from airflow_openai_realtime.ui.page import CallsPage
from airflow_openai_realtime.ui.page_app import create_calls_page
from airflow_openai_realtime.ui.sources import Source, StoreSource

RUN = "scheduled__2026-11-22T08:00:00+00:00"
DIALED = "+14155550144"
ALL = (READ_CALLS, READ_TRANSCRIPTS, HANG_UP)
CSRF = {"X-OpenAI-Realtime-Calls": "1"}
PREFIX = "/openai-realtime-calls"


def owner(dag_id: str = "campaign", task_id: str = "talk", map_index: int = -1) -> str:
    return f"{dag_id}/{RUN}/{task_id}/{map_index}"


@dataclass
class User:
    """
    What a user may do.

    :param dag_rights: By DAG.
    :param connection_rights: By connection.
    """

    dag_rights: dict[str, Collection[str]] = field(default_factory=dict)
    connection_rights: dict[str, Collection[str]] = field(default_factory=dict)
    user_name: str = "ann"

    def dags(self, right: str, dag_ids: Collection[str]) -> set[str]:
        return {dag_id for dag_id in dag_ids if right in self.dag_rights.get(dag_id, ())}

    def connections(self, right: str, conn_ids: Collection[str]) -> set[str]:
        return {conn_id for conn_id in conn_ids if right in self.connection_rights.get(conn_id, ())}


@dataclass
class FakeBackend:
    """Records its calls; the real ones are tested with Airflow."""

    done: list[tuple[Any, ...]] = field(default_factory=list)
    is_gone: bool = False
    problem: Exception | None = None

    def hang_up(self, conn_id: str, call_id: str) -> bool:
        self.done.append(("hang_up", conn_id, call_id))
        if self.problem is not None:
            raise self.problem
        return self.is_gone

    def note(self, user_name: str, task: OwningTask | None, conn_id: str, call_id: str) -> None:
        self.done.append(("note", user_name, task and task.dag_id, conn_id, call_id))


@dataclass
class PageWorld:
    """A store with calls, and the page for one user at a time."""

    store: Store
    clock: Clock = field(default_factory=Clock)
    backend: FakeBackend = field(default_factory=FakeBackend)
    user: User | None = None
    others: list[Source] = field(default_factory=list)

    def __post_init__(self) -> None:
        mounted = StoreSource(self.store, self.clock)
        ticks = iter(range(0, 10**9, 10))  # every question is asked anew
        directory = CallDirectory(lambda: [mounted, *self.others], lambda: next(ticks))
        page = create_calls_page(CallsPage(directory, self.backend, self.auth, self.clock))
        airflow = FastAPI()
        airflow.mount(PREFIX, page)
        self.page = page
        self.http = TestClient(airflow, base_url="http://airflow", follow_redirects=False)

    def auth(self) -> User:
        if self.user is None:
            raise HTTPException(401, "Not authenticated")
        return self.user

    def calls(self, **params: Any) -> dict[str, Any]:
        answer = self.http.get(f"{PREFIX}/api/calls", params=params)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def ids(self) -> list[str]:
        return [call["call_id"] for call in self.calls()["calls"]]

    def call(self, number: int = 1, conn_id: str = "support", **params: Any) -> Any:
        return self.http.get(f"{PREFIX}/api/call", params={"conn_id": conn_id, "call_id": f"rtc_{number}", **params})

    def hang_up(self, number: int = 1, conn_id: str = "support", headers: dict[str, str] | None = None) -> Any:
        body = {"conn_id": conn_id, "call_id": f"rtc_{number}"}
        return self.http.post(f"{PREFIX}/api/hang-up", json=body, headers=CSRF if headers is None else headers)

    def attempt(self, attempt_id: str, conn_id: str = "support") -> Any:
        return self.http.get(f"{PREFIX}/api/attempt", params={"conn_id": conn_id, "attempt_id": attempt_id})

    def dial(self, contact: str = "ann", *, by: str | None = None, attempt: int = 1, line: str = "support") -> Attempt:
        """An attempt that the carrier has taken; the phone rings."""
        ledger, now = self.store.attempts, self.clock()
        row = ledger.reserve(line, "spring", contact, attempt, DIALED, now, by or owner())
        ledger.move(line, row.attempt_id, "reserved", "dialing", "a", {}, now)
        return ledger.move(line, row.attempt_id, "dialing", "placed", "b", {"carrier_call_id": "CA1"}, now)

    def come_in(self, number: int, attempt: Attempt, line: str = "support") -> None:
        """The placed call comes in, as its carrier sends it: from our own number to OpenAI's project."""
        headers = {"x-correlation-id": attempt.correlation_id}
        call = a_call(number, line=line, at=self.clock(), to_number=None, from_number="+14155550187", headers=headers)
        self.store.calls.add([call])

    def settle(self, attempt: Attempt, outcome: str, line: str = "support") -> None:
        """The carrier says how an attempt ended."""
        values = {"outcome": outcome}
        self.store.attempts.move(line, attempt.attempt_id, "placed", "ended", "c", values, self.clock())

    def ring(self, number: int = 1, line: str = "support", seconds_ago: float = 0) -> None:
        at = self.clock() - timedelta(seconds=seconds_ago)
        self.store.calls.add([a_call(number, line=line, webhook_id=f"{line}{number}", at=at)])

    def accept(self, number: int = 1, by: str | None = None, line: str = "support") -> None:
        now, who = self.clock(), by or owner()
        for rule in (
            partial(moves.accepting, owner=who, now=now, max_duration_seconds=600),
            partial(moves.accepted, owner=who, now=now, default_duration_seconds=600),
        ):
            self.store.calls.move(line, f"rtc_{number}", rule, now)  # type: ignore[arg-type]

    def end(self, number: int = 1, reason: str | Account = "ended", line: str = "support") -> None:
        rule = partial(moves.ended, now=self.clock(), reason=reason)
        self.store.calls.move(line, f"rtc_{number}", rule, self.clock())

    def talk(self, number: int = 1, holder: str | None = None, *texts: str, line: str = "support") -> int:
        call_id = f"rtc_{number}"
        opened = self.store.conversations.open(line, call_id, holder or owner(), self.clock())
        have = len(opened.entries)
        said = [
            TimelineEntry(f"caller:{have + place}", "caller", self.clock(), {"text": text})
            for place, text in enumerate(texts)
        ]
        self.store.conversations.append(line, call_id, opened.generation, said, self.clock())
        return opened.generation


__all__ = ["ALL", "CSRF", "DIALED", "PREFIX", "RUN", "START", "FakeBackend", "PageWorld", "User", "owner"]
