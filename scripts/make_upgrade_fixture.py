"""
Record what a release leaves behind, for the test that a later release takes it over: ``tests/upgrade``.

Run it once for each release, with an interpreter into which that release's wheel is installed beside Airflow and
``psycopg2``, from anywhere but a checkout of another release::

    python scripts/make_upgrade_fixture.py

It starts the release's own switchboard and simulator, drives them by operators, triggers and HTTP until the store holds
a row of every kind, and writes for the version ``V`` of the installed package:

* ``store-V.sql``: the store on SQLite, and ``store-V.postgresql.sql``: the same rows on PostgreSQL, in tables that the
  release's own migrations made;
* ``answers-V.json``: what its HTTP API answered about that store, cursors that it gave out, and which call is which;
* ``triggers-V.json``: its triggers as Airflow would have stored them, and the methods that deferred tasks resume with.

All secrets and phone numbers in them are made up. It uses public names only: those of the package's top level, the
simulator, the triggers' module paths, the switchboard's program and its routes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "upgrade"

#: A key that Airflow would seal connections with. It opens nothing else.
FERNET_KEY = "dXBncmFkZS1maXh0dXJlLWZlcm5ldC1rZXktMDAwMDE="
CONN_ID = "openai_realtime_default"
TOKENS = {"support": "token-of-the-line-support-0001", "sales": "token-of-the-line-sales-00001"}
SUPPORT_NUMBER, SALES_NUMBER = "+14155550100", "+14155550200"
SURVEY = {
    "instructions": "Ask for a score.",
    "greeting": "Hello.",
    "result_model": {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]},
}
MOST_TRIES = 50
#: For how long after the recorded moment no lease and no pause ends.
HELD_SECONDS = 0.2
WAIT_SECONDS = 60.0


@dataclass
class Task:
    """A task instance as far as operators use it."""

    task_id: str
    dag_id: str = "campaign"
    run_id: str = "scheduled__2026-11-22T08:00:00+00:00"
    map_index: int = -1
    try_number: int = 1
    xcom: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed."""
        self.xcom[key] = value

    @property
    def claimant(self) -> str:
        """The name by which the switchboard knows the task."""
        return f"{self.dag_id}/{self.run_id}/{self.task_id}/{self.map_index}"


@dataclass
class Run:
    """A DAG run as far as operators use it."""

    run_type: str = "manual"
    run_after: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    start_date: datetime | None = None


class Recording:
    """
    A switchboard and a simulator of the installed release, and what was seen of them.

    :param folder: Where the store and the configuration are kept.
    """

    def __init__(self, simulator: Any, folder: Path) -> None:
        import httpx

        self.simulator = simulator
        self.store = folder / "calls.db"
        self.config = folder / "lines.json"
        self.calls: dict[str, str] = {}
        self.cursors: list[dict[str, str]] = []
        self.triggers: list[dict[str, Any]] = []
        self.questions: list[dict[str, Any]] = []
        self.url = ""
        self._http = httpx.Client(timeout=30.0, trust_env=False)
        lines = [
            {
                "name": name,
                "api_key": simulator.api_key,
                "base_url": simulator.openai_base_url,
                "webhook_secret": simulator.webhook_secret,
                "switchboard_token": token,
            }
            for name, token in TOKENS.items()
        ]
        self.config.write_text(json.dumps({"lines": lines}))

    @contextmanager
    def serving(self, store_url: str | None = None, *, ring_seconds: float = 3600.0) -> Iterator[None]:
        """Run the switchboard's program; at the end it is killed, as by a crash."""
        command = [sys.executable, "-m", "airflow_openai_realtime.switchboard", "--port", "0"]
        command += ["--config", str(self.config), "--ring-seconds", str(ring_seconds)]
        env = {**os.environ, "OPENAI_REALTIME_STORE_URL": store_url or f"sqlite:///{self.store}"}
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, env=env, cwd=self.config.parent, stdout=subprocess.PIPE, text=True
        )
        try:
            self.url = next(line for line in process.stdout or () if "listening on" in line).split()[-1]
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def ask(self, method: str, path: str, body: Any = None, *, line: str = "support") -> dict[str, Any]:
        """Send a request to the switchboard's private API."""
        headers = {"Authorization": f"Bearer {TOKENS[line]}", "OpenAI-Realtime-Line": line}
        response = self._http.request(method, f"{self.url}{path}", json=body, headers=headers)
        if response.is_error:
            raise SystemExit(f"{method} {path} was answered {response.status_code}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def move(self, label: str, move: str, **body: Any) -> dict[str, Any]:
        """Report something about a call of the line *support*."""
        call: dict[str, Any] = self.ask("POST", f"/v1/calls/{self.calls[label]}/{move}", body)["call"]
        return call

    def openai(self, label: str, operation: str, **body: Any) -> None:
        """Do something with a call at OpenAI, as a task would."""
        url = f"{self.simulator.openai_base_url}/realtime/calls/{self.calls[label]}/{operation}"
        answer = self._http.post(url, json=body, headers={"Authorization": f"Bearer {self.simulator.api_key}"})
        answer.raise_for_status()

    def deliver_to(self, line: str) -> None:
        """Let webhooks go to one line from now on."""
        self.simulator.webhooks.clear()
        self.simulator.webhooks.add(f"{self.url}/webhook/{line}")

    def ring(self, label: str, number: str, *, line: str = "support", **kwargs: Any) -> str:
        """Make a person call; returns when the switchboard has the call."""
        from airflow_openai_realtime.simulator import PhoneScript

        to = SUPPORT_NUMBER if line == "support" else SALES_NUMBER
        given = {"script": PhoneScript.talks_for_ever(), **kwargs}
        call_id: str = self.simulator.call_in(number, to, **given)
        self.calls[label] = call_id
        self.until(lambda: any(call["call_id"] == call_id for call in self.all_calls(line)))
        return call_id

    def all_calls(self, line: str = "support") -> list[dict[str, Any]]:
        """All calls of a line."""
        calls: list[dict[str, Any]] = self.ask("GET", "/v1/calls?state=all&limit=1000", line=line)["calls"]
        return calls

    def state(self, label: str) -> str:
        """The state of a call of the line *support*."""
        return str(self.ask("GET", f"/v1/calls/{self.calls[label]}")["call"]["state"])

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something."""
        require(self.simulator.wait_for(condition, timeout_seconds=WAIT_SECONDS), "something happens in time")

    def note_cursor(self) -> None:
        """Keep a cursor that the switchboard gives out now, of each line."""
        for line in TOKENS:
            self.cursors.append({"line": line, "cursor": self.ask("GET", "/v1/calls?state=all", line=line)["cursor"]})

    def note_deferral(self, operator: Any, deferral: Any) -> None:
        """Keep a trigger as Airflow would store it, and how its task resumes."""
        path, kwargs = deferral.trigger.serialize()
        resumes = {
            "operator": f"{type(operator).__module__}.{type(operator).__name__}",
            "method": deferral.method_name,
            "kwargs": dict(deferral.kwargs or {}),
        }
        self.triggers.append({"trigger": path, "kwargs": json.loads(json.dumps(kwargs)), "task": resumes})


def require(holds: object, what: str) -> None:
    """End the recording when the release does not do what is expected of it."""
    if not holds:
        raise SystemExit(f"the recording expects that {what}")


def run_task(operator: Any, task: Task | None = None) -> Any:
    """Call an operator as Airflow's task runner does."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    inside = contextvars.copy_context()
    inside.run(ExecutorSafeguard.tracker.set, operator)
    return inside.run(operator.execute, {"ti": task or Task(operator.task_id), "dag_run": Run()})


def deferred(operator: Any, task: Task | None = None) -> Any:
    """Run a task until it defers."""
    from airflow.sdk.exceptions import TaskDeferred

    try:
        run_task(operator, task)
    except TaskDeferred as deferral:
        return deferral
    raise SystemExit(f"{type(operator).__name__} did not defer")


async def fired(trigger: Any) -> Any:
    """Run a trigger until it fires."""
    async for event in trigger.run():
        return event.payload
    raise SystemExit("the trigger did not fire")


# -- what happens ------------------------------------------------------------------------------------------------------


def let_one_ring_out(recording: Recording) -> None:
    """A call that is not claimed, at a switchboard that gives up on it soon."""
    recording.deliver_to("support")
    recording.ring("missed", "+14155550101")
    recording.until(lambda: recording.state("missed") == "missed")


def open_orders(recording: Recording) -> None:
    """Standing orders: that answer, that decline, with uses left, used up, expired, and a fallback."""
    from airflow_openai_realtime import OpenLineOperator

    run_task(OpenLineOperator(task_id="day", name="day", from_number="+1415555011*", greeting="Hi.", instructions="Hi"))
    run_task(OpenLineOperator(task_id="few", name="few", from_number="+14155550121", uses=3, instructions="Hi"))
    run_task(OpenLineOperator(task_id="no", name="no", from_number="+14155550131", status_code=603, priority=9))
    recording.ask(
        "PUT",
        "/v1/orders/fallback",
        {
            "match": {"to": "+14155550999", "headers": {"x-queue": "*"}},
            "session": {"instructions": "Say hello to {name}."},
            "caller_fields": {"name": "headers.x-name"},
            "max_duration_seconds": 120.0,
            "unclaimed_after_seconds": 20.0,
            "expires_in_seconds": 86400.0,
            "edition": "by-hand",
        },
    )


def end_calls(recording: Recording) -> None:
    """Calls in every final state."""
    from airflow_openai_realtime import AcceptCallOperator, HangupCallOperator, RejectCallOperator

    recording.ring("rejected", "+14155550102")
    run_task(RejectCallOperator(task_id="reject", call_id=recording.calls["rejected"], status_code=486))
    recording.ring("declined_by_order", "+14155550131")
    recording.until(lambda: recording.state("declined_by_order") == "rejected")
    for label, number in (("hung_up", "+14155550103"), ("carrier_ended", "+14155550104"), ("gone", "+14155550105")):
        recording.ring(label, number)
        run_task(AcceptCallOperator(task_id=label, call_id=recording.calls[label], instructions="Hi"))
    run_task(HangupCallOperator(task_id="hang_up", call_id=recording.calls["hung_up"]))
    recording.openai("carrier_ended", "hangup")
    recording.move("carrier_ended", "ended", reason="completed", witness="carrier", by="caller", talk_seconds=42.5)
    recording.openai("gone", "hangup")
    recording.move("gone", "ended", reason="gone", witness="found_gone")


def finish_a_conversation(recording: Recording) -> None:
    """A call that a trigger ran to its result, with a timeline."""
    from airflow_openai_realtime import AcceptCallOperator
    from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply

    replies = (
        Reply("Hi?", thinks_seconds=0.05),
        Reply.calls("record_result", {"score": 5}, thinks_seconds=0.05),
        Reply.calls("end_call", {}, text="Bye.", thinks_seconds=0.05),
    )
    dialogue = Dialogue(replies, (Move.says("Five, “très bien”!", after_seconds=0.1),))
    recording.ring("finished", "+14155550106", script=PhoneScript.talks_for_ever(dialogue=dialogue))
    talk = AcceptCallOperator(task_id="talk", call_id=recording.calls["finished"], wait_for_end=True, **SURVEY)
    deferral = deferred(talk)
    recording.note_deferral(talk, deferral)
    asyncio.run(fired(deferral.trigger))
    recording.until(lambda: recording.state("finished") == "ended")


def place_calls(recording: Recording) -> None:
    """Attempts in every state, and the call that came of one."""
    from airflow_openai_realtime import PlaceCallOperator
    from airflow_openai_realtime.simulator import PhoneScript

    def attempt(contact: str, *moves: Mapping[str, Any]) -> None:
        wanted = {"campaign": "spring", "contact": contact, "attempt": 1, "to_number": "+14155550140"}
        row = recording.ask("POST", "/v1/attempts", {**wanted, "claimant": Task("dial").claimant})["attempt"]
        for move in moves:
            recording.ask("POST", f"/v1/attempts/{row['attempt_id']}/move", {"owner": "try-1", **move})

    dialing = {"from_state": "reserved", "to_state": "dialing"}
    attempt("reserved")
    attempt("dialing", dialing)
    attempt("unknown", dialing, {"from_state": "dialing", "to_state": "unknown", "detail": "no answer of the carrier"})
    placed = {"from_state": "dialing", "to_state": "placed", "carrier_call_id": "CA" + "1" * 32}
    attempt("busy", dialing, placed, {"from_state": "placed", "to_state": "ended", "outcome": "busy"})
    attempt("refused", dialing, {"from_state": "dialing", "to_state": "ended", "outcome": "failed", "detail": "21211"})
    attempt("a very long contact " * 20, dialing)
    phones = recording.simulator.phones
    phones.add("+14155550141", PhoneScript.no_answer())
    phones.add("+14155550142", PhoneScript.talks_for_ever(after_seconds=0.1))
    spring = {"campaign": "spring", "ring_seconds": 600}
    run_task(PlaceCallOperator(task_id="place", to="+14155550141", contact="placed", **spring))
    before = {call["call_id"] for call in recording.all_calls()}
    talk = PlaceCallOperator(task_id="place_and_talk", to="+14155550142", wait_for_end=True, **spring, **SURVEY)
    recording.note_deferral(talk, deferred(talk))
    recording.until(lambda: len(recording.all_calls()) > len(before))
    (new,) = {call["call_id"] for call in recording.all_calls()} - before
    recording.calls["placed"] = new
    run = {"dag_id": "campaign", "run_id": Task("").run_id, "started_at": "2026-11-22T08:00:05+00:00"}
    recording.ask("POST", "/v1/preflight", {"run": run})


def incoming_call_trigger() -> Any:
    """The trigger of asset watchers; release 0.1.0 has it in another module."""
    import importlib

    for module in ("incoming_call_event", "incoming_call"):
        with suppress(ModuleNotFoundError):
            return importlib.import_module(f"airflow_openai_realtime.triggers.{module}").IncomingCallTrigger
    raise SystemExit("the release has no IncomingCallTrigger where it is looked for")


def wait_in_triggers(recording: Recording) -> None:
    """Triggers that wait for calls."""
    from airflow_openai_realtime import IncomingCallSensor, WatchCallOperator

    nobody = {"to": "+14155550998"}
    session = {"instructions": "You talk to {name}.", "caller_fields": {"name": "headers.x-name"}}
    for waiting in (
        IncomingCallSensor(task_id="wait", headers={"X-Queue": "vip*"}, **nobody),
        IncomingCallSensor(task_id="answer", answer=True, **session, **nobody),
        IncomingCallSensor(task_id="answer_and_talk", answer=True, wait_for_end=True, **SURVEY, **nobody),
        WatchCallOperator(task_id="take", order="day", wait_for_end=False, **nobody),
    ):
        recording.note_deferral(waiting, deferred(waiting))
    path, kwargs = incoming_call_trigger()(to="+1415555*", ring_again_seconds=20).serialize()
    recording.triggers.append({"trigger": path, "kwargs": kwargs, "task": None})


def make_live_calls(recording: Recording) -> None:
    """Calls that are live, each with another thing under way."""
    from airflow_openai_realtime import AcceptCallOperator, ReferCallOperator, WatchCallOperator

    def accept(label: str, number: str, seconds: float) -> dict[str, Any]:
        recording.ring(label, number)
        task = AcceptCallOperator(
            task_id=label, call_id=recording.calls[label], max_duration_seconds=seconds, instructions="Hi"
        )
        call: dict[str, Any] = run_task(task)
        return call

    watch = WatchCallOperator(task_id="watch", call=accept("live", "+14155550151", 300), silence_seconds=60)
    recording.note_deferral(watch, deferred(watch, Task("live")))
    accept("live_longer", "+14155550152", 600)
    accept("transferred", "+14155550153", 600)
    run_task(ReferCallOperator(task_id="refer", call_id=recording.calls["transferred"], target_uri="tel:+14155550190"))
    accept("transfer_wanted", "+14155550154", 600)
    recording.move("transfer_wanted", "refer", target_uri="tel:+14155550191")
    accept("holder_lost", "+14155550155", 600)
    recording.move("holder_lost", "end", reason="killed", by="campaign/run/talk/-1", after_seconds=400.0)
    for label, number in (("by_order", "+14155550111"), ("taken_over", "+14155550112"), ("few", "+14155550121")):
        recording.ring(label, number)
        recording.until(lambda: recording.state(label) == "accepted")  # noqa: B023 - called at once
    take = WatchCallOperator(task_id="take_over", order="day", from_number="+14155550112", wait_for_end=False)
    require(run_task(take)["call_id"] == recording.calls["taken_over"], "the order's call is taken over")


def hold_a_conversation(recording: Recording) -> None:
    """A call whose holder has said something and is silent since, so that the switchboard listens."""
    from airflow_openai_realtime import AcceptCallOperator

    call_id = recording.ring("held", "+14155550156")
    holder = Task("held")
    accept = AcceptCallOperator(task_id="held", call_id=call_id, max_duration_seconds=500, instructions="Hi")
    run_task(accept, holder)
    path = f"/v1/calls/{call_id}/conversation"
    opened = {"holder": holder.claimant, "process": "triggerer-1"}
    recording.ask("POST", f"{path}/open", opened)
    recording.ask("POST", f"{path}/open", opened)  # a second generation: the first triggerer died
    at = datetime.now(timezone.utc)
    entries = [
        {"key": "note:attached:2:1", "kind": "note", "at": at.isoformat(), "body": {"what": "attached"}},
        {"key": "caller:1", "kind": "caller", "at": at.isoformat(), "body": {"text": "Grüß Gott, 你好 👋"}},
        {"key": "tool_call:fc_1", "kind": "tool_call", "at": at.isoformat(), "body": {"name": "look", "arguments": {}}},
    ]
    progress = {"call_id": call_id, "generation": 2, "entries": entries}
    recording.ask("POST", "/v1/progress", {"process": "triggerer-1", "conversations": [progress]})
    recording.until(lambda: recording.ask("GET", path)["conversation"]["heard_until"] is not None)


def begin_what_cannot_end(recording: Recording) -> None:
    """What is under way at the moment of the update: an answer, a hang-up, a claim, an accept in doubt, a decline."""
    from airflow_openai_realtime import AcceptCallOperator, IncomingCallSensor

    faults = recording.simulator.faults
    recording.ring("overdue", "+14155550161")
    faults.status("hangup", 500, times=1000, number="+14155550161")
    overdue = {"call_id": recording.calls["overdue"], "instructions": "Hi"}
    run_task(AcceptCallOperator(task_id="overdue", max_duration_seconds=1, **overdue))
    recording.until(lambda: _tries(recording.store, recording.calls["overdue"]) >= 3)
    recording.ring("in_doubt", "+14155550162")
    by = {"claimant": Task("in_doubt").claimant}
    recording.move("in_doubt", "accepting", **by, max_duration_seconds=200.0)
    recording.openai("in_doubt", "accept", type="realtime", model="gpt-realtime-2.1")
    recording.move("in_doubt", "accept_in_doubt", **by)
    faults.time_out("accept", number="+14155550113", times=1000)
    recording.ring("being_answered", "+14155550113")
    recording.until(lambda: recording.state("being_answered") == "claimed")
    headers = [("X-Name", "Zoë “Z” O'Neil"), ("X-Queue", "vip"), ("Diversion", "<sip:+14155550191@carrier.example>")]
    recording.ring("ringing", "+14155550163", headers=headers)
    recording.ring("to_claim", "+14155550164")
    sensor = IncomingCallSensor(task_id="claim", from_number="+14155550164")
    require(run_task(sensor, Task("claim"))["call_id"] == recording.calls["to_claim"], "the sensor claims its call")
    recording.ring("declining", "+14155550165")
    recording.move("declining", "decline", by="admin", status_code=480)


def _tries(store: Path, call_id: str) -> int:
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        query = "SELECT hangup_tries FROM openai_realtime_call WHERE call_id = ?"
        return int(connection.execute(query, (call_id,)).fetchone()[0])


# -- what is kept ------------------------------------------------------------------------------------------------------


def questions(recording: Recording) -> list[dict[str, Any]]:
    """All that the switchboard can be asked about its store, without changing it."""
    asked: list[dict[str, Any]] = []

    def ask(line: str, method: str, path: str, body: Any = None) -> None:
        asked.append({"line": line, "method": method, "path": path, "body": body})

    for line in TOKENS:
        ask(line, "GET", "/v1/calls?limit=1000")
        ask(line, "GET", "/v1/recent?limit=500")
        ask(line, "GET", "/v1/orders")
        for call in recording.all_calls(line):
            ask(line, "GET", f"/v1/calls/{call['call_id']}")
        for row in recording.ask("GET", "/v1/recent?limit=500", line=line)["calls"]:
            if row["conversation"] is not None:
                ask(line, "GET", f"/v1/calls/{row['call']['call_id']}/conversation")
    for each in recording.cursors:
        ask(each["line"], "GET", f"/v1/calls?state=all&after={each['cursor']}")
    claimed_by = Task("claim").claimant.replace("+", "%2B")
    ask("support", "GET", f"/v1/calls?claimed_by={claimed_by}")
    ask("support", "POST", "/v1/attempts/find", {"campaign": "spring"})
    # A run that was started again: the first start is the one that counts.
    run = {"dag_id": "campaign", "run_id": Task("").run_id, "started_at": "2026-11-23T08:00:00+00:00"}
    ask("support", "POST", "/v1/preflight", {"run": run})
    return asked


def freeze(recording: Recording) -> tuple[str, dict[str, Any]]:
    """Dump the store with all answers about it, at a moment at which both fit; the switchboard works on meanwhile."""
    asked = questions(recording)
    for tries in range(1, MOST_TRIES + 1):
        before = [recording.ask(each["method"], each["path"], each["body"], line=each["line"]) for each in asked]
        recorded_at = datetime.now(timezone.utc)
        with sqlite3.connect(f"file:{recording.store}?mode=ro", uri=True) as connection:
            dump = "\n".join(connection.iterdump()) + "\n"
            is_held = _is_held(connection, recorded_at.timestamp())
        after = [recording.ask(each["method"], each["path"], each["body"], line=each["line"]) for each in asked]
        if before == after and is_held:
            print(f"recorded {len(asked)} answers at the try number {tries}")
            answers = [{**each, "answer": answer} for each, answer in zip(asked, after, strict=True)]
            return dump, {
                "recorded_at": recorded_at.isoformat(),
                "tokens": TOKENS,
                "calls": recording.calls,
                "cursors": recording.cursors,
                "answers": answers,
            }
    raise SystemExit("the store was never quiet for long enough to be recorded")


def _is_held(connection: sqlite3.Connection, now: float) -> bool:
    """Whether all that is under way is still a worker's own, so that a switchboard that starts now changes nothing."""
    queries = (
        "SELECT min(hangup_not_before) FROM openai_realtime_call WHERE state NOT IN ('ended', 'rejected', 'missed')",
        "SELECT min(order_lease_until) FROM openai_realtime_call WHERE state = 'claimed'",
        "SELECT min(claimed_at) + 10 FROM openai_realtime_call WHERE state = 'claimed' AND hangup_at IS NULL",
        "SELECT min(standby_until) FROM openai_realtime_conversation WHERE finished_at IS NULL",
    )
    return all(connection.execute(query).fetchone()[0] > now + HELD_SECONDS for query in queries)


def values_missing(dump: str) -> list[str]:
    """Columns without any value: of these a test of the recording would not see that they are lost."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(dump)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]
    count = "SELECT count({}) FROM {}"
    return [
        f"{table}.{column}"
        for table, column in columns
        if connection.execute(count.format(column, table)).fetchone() == (0,)
    ]


def postgresql_dump(recording: Recording, dump: str) -> str:
    """The same rows in a PostgreSQL database whose tables the release itself made."""
    import sqlalchemy as sa

    sys.path.append(str(ROOT))
    from tests.postgres import running_cluster

    source = sqlite3.connect(":memory:")
    source.executescript(dump)
    source.row_factory = sqlite3.Row
    with running_cluster() as cluster:
        url = cluster.new_database()
        with recording.serving(url):
            pass
        engine = sa.create_engine(url)
        tables = sa.MetaData()
        tables.reflect(engine)
        with engine.begin() as connection:
            for name, table in tables.tables.items():
                rows = [dict(row) for row in source.execute(f'SELECT * FROM "{name}"')]  # noqa: S608 - our own tables
                if name.endswith("alembic_version"):
                    made = [dict(row._mapping) for row in connection.execute(table.select())]
                    require(rows == made, "both databases have tables of one version")
                elif rows:
                    connection.execute(table.insert(), rows)
                    for column in table.primary_key.columns:
                        if column.name == "seq":
                            _count_on(connection, name, max(row["seq"] for row in rows))
        engine.dispose()
        return cluster.dump(url)


def _count_on(connection: Any, table: str, last: int) -> None:
    import sqlalchemy as sa

    query = sa.text("SELECT setval(pg_get_serial_sequence(:table, 'seq'), :last)")
    connection.execute(query, {"table": table, "last": last})


def connections(simulator: Any, url: str) -> dict[str, str]:
    """The connections that tasks find, as environment variables."""
    realtime = {
        "conn_type": "openai_realtime",
        "password": simulator.api_key,
        "host": simulator.openai_base_url,
        "extra": {
            "webhook_secret": simulator.webhook_secret,
            "switchboard_url": url,
            "switchboard_token": TOKENS["support"],
            "line": "support",
            "timeout_seconds": 30,
        },
    }
    carrier = {
        "conn_type": "telephony_carrier",
        "login": simulator.account_sid,
        "password": simulator.auth_token,
        "host": simulator.twilio_base_url,
        "extra": {
            "caller_number": simulator.caller_number,
            "openai_project_id": simulator.project_id,
            "refer_url": "https://example.com/refer",
        },
    }
    return {
        f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(realtime),
        "AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT": json.dumps(carrier),
    }


def record(simulator: Any, folder: Path) -> Iterator[tuple[str, str]]:
    """
    Let everything happen.

    :returns: File names, without the version, and contents.
    """
    recording = Recording(simulator, folder)
    with recording.serving(ring_seconds=1.0):
        os.environ.update(connections(simulator, recording.url))
        let_one_ring_out(recording)
        recording.note_cursor()
    with recording.serving():
        os.environ.update(connections(simulator, recording.url))
        recording.deliver_to("sales")
        recording.ring("sales_ringing", "+14155550171", line="sales")
        recording.deliver_to("support")
        open_orders(recording)
        end_calls(recording)
        finish_a_conversation(recording)
        place_calls(recording)
        recording.note_cursor()
        wait_in_triggers(recording)
        make_live_calls(recording)
        hold_a_conversation(recording)
        begin_what_cannot_end(recording)
        recording.note_cursor()
        dump, answers = freeze(recording)
    missing = values_missing(dump)
    require(not missing, f"every column has a value; none has {', '.join(missing)}")
    yield "store-{}.sql", dump
    yield "store-{}.postgresql.sql", postgresql_dump(recording, dump)
    yield "answers-{}.json", as_text(answers)
    sealed_with = {"fernet_key": FERNET_KEY, "api_key": simulator.api_key, "conn_id": CONN_ID}
    triggers = {**sealed_with, "triggers": recording.triggers}
    yield "triggers-{}.json", as_text(triggers)


def as_text(values: Mapping[str, Any]) -> str:
    """JSON that a reader can compare: a line for each value, and for each element of a list."""

    def lines(value: Any) -> str:
        if isinstance(value, list):
            return "[\n  " + ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in value) + "\n ]"
        return json.dumps(value, ensure_ascii=False)

    return "{\n " + ",\n ".join(f"{json.dumps(name)}: {lines(value)}" for name, value in values.items()) + "\n}\n"


def main() -> int:
    """Record, and write the files."""
    parser = argparse.ArgumentParser(prog="python scripts/make_upgrade_fixture.py")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the four files (%(default)s)")
    out = parser.parse_args().out
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="upgrade-fixture-") as name:
        folder = Path(name)
        os.environ.update(
            {
                "AIRFLOW_HOME": str(folder),
                "AIRFLOW__CORE__FERNET_KEY": FERNET_KEY,
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
            }
        )
        import airflow_openai_realtime
        from airflow_openai_realtime.simulator import Simulator

        version = airflow_openai_realtime.__version__
        print(f"recording {version} of {Path(airflow_openai_realtime.__file__).parent}")
        with Simulator(ring_seconds=3600, refer_seconds=3600, calls_per_second=None) as simulator:
            for file, text in record(simulator, folder):
                path = out / file.format(version)
                path.write_text(text)
                print(f"{path}: {len(text):,} characters")
    print(f"{time.monotonic() - started:.0f} s; live calls of the recording end with this process")
    return 0


if __name__ == "__main__":
    sys.exit(main())
