"""
Count how often a reader changes files on five trips through the package.

Run it with the interpreter that has the package; for another tree put its ``provider`` folder first::

    python scripts/count_trips.py
    PYTHONPATH=/path/to/another/tree/provider python scripts/count_trips.py --out build/trips-before.json

**What is counted.** A *switch* is a call of one function of the package by another that stands in another file. It
counts once for each pair of functions in a trip, however often the one calls the other: a loop is read once. Callers
are found through whatever lies between (httpx, FastAPI, SQLAlchemy, the event loop). Where a thread, a task or a
callback begins, no call is made, and nothing is counted. A coroutine counts where it is first awaited. Not counted
are the code of modules, what Python calls by itself, such as ``__str__``, and the simulator, which is only the peer.

**What is run.** Public entry points: operators, the sensor, triggers, and the webhook over HTTP, with a switchboard
on a temporary SQLite file and a simulator in this process. Each trip is made once before, so that nothing is imported
and no client is made while it is counted. What runs in the switchboard's threads counts as *server*, the rest as
*client*. The loops of the switchboard look only once, at the start, so that no sweep falls into a trip by chance.

Two runs on one tree give the same figures. They are for comparing trees: fewer switches are fewer places to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextvars
import dis
import hashlib
import hmac
import importlib
import inspect
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

RESULT = Path("build/trips.json")
CEILING = Path(__file__).with_name("trips_ceiling.json")
PACKAGE = "airflow_openai_realtime"

CLIENT, SERVER, SIMULATOR = "client", "server", "simulator"
CALLER, OUR_NUMBER, PERSON = "+14155550123", "+14155550100", "+14155550142"
WAIT_SECONDS = 60.0
#: How long a poll that has reached the switchboard may need until it waits there.
SETTLE_SECONDS = 0.5

#: Where parts that are not public were and are, the newest first.
PLACES = {
    "derived_token": ("calls.tokens", "switchboard.tokens"),
    "SwitchboardSettings": ("switchboard.server.switchboard_settings", "switchboard.settings"),
}


# -- counting ----------------------------------------------------------------------------------------------------------

_RESUME = dis.opmap.get("RESUME")
_NOT_READ = {"<module>", "__str__", "__repr__", "__format__", "__eq__", "__lt__", "__hash__", "__bool__"}
_CAN_PAUSE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


@dataclass(frozen=True)
class Function:
    """A function of the package: its file within the package, and its name."""

    file: str
    name: str


class Counter:
    """
    Notes which functions of the package call which, while it is switched on.

    :param package: Folder of the package.
    """

    def __init__(self, package: Path) -> None:
        self._package = f"{package}{os.sep}"
        self._known: dict[CodeType, Function | None] = {}
        self._groups: dict[int, str] = {}
        self._is_on = False
        self._calls: dict[str, set[tuple[Function, Function]]] = {}
        self._files: dict[str, set[str]] = {}

    def install(self) -> None:
        """Watch this thread and all that start from now on; each belongs to the group of the one that starts it."""
        counter, start = self, threading.Thread.start

        def start_in_group(thread: threading.Thread) -> None:
            group, run = counter._groups.get(threading.get_ident(), CLIENT), thread.run

            def run_in_group() -> None:
                counter._groups[threading.get_ident()] = group
                run()

            thread.run = run_in_group  # type: ignore[method-assign]
            start(thread)

        threading.Thread.start = start_in_group  # type: ignore[method-assign]
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    @contextmanager
    def starting(self, group: str) -> Iterator[None]:
        """Threads that start meanwhile belong to this group."""
        own = threading.get_ident()
        before = self._groups.get(own, CLIENT)
        self._groups[own] = group
        try:
            yield
        finally:
            self._groups[own] = before

    @contextmanager
    def counting(self) -> Iterator[Trip]:
        """Count what happens meanwhile; the trip is filled at the end."""
        trip = Trip()
        self._calls, self._files = {}, {}
        self._is_on = True
        try:
            yield trip
        finally:
            self._is_on = False
            for group in (CLIENT, SERVER):
                calls = self._calls.get(group, set())
                trip.switches[group] = sorted({(f"{a.file}:{a.name}", f"{b.file}:{b.name}") for a, b in calls})
                trip.files[group] = sorted(self._files.get(group, set()))

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if not self._is_on or event != "call":
            return
        called = self._function(frame.f_code)
        if called is None or _is_resumed(frame):
            return
        group = self._groups.get(threading.get_ident(), CLIENT)
        self._files.setdefault(group, set()).add(called.file)
        by = self._caller(frame)
        if by is not None and by.file != called.file:
            self._calls.setdefault(group, set()).add((by, called))

    def _caller(self, frame: FrameType) -> Function | None:
        above = frame.f_back
        while above is not None:
            found = self._function(above.f_code)
            if found is not None:
                return found
            above = above.f_back
        return None

    def _function(self, code: CodeType) -> Function | None:
        if code not in self._known:
            file = code.co_filename.removeprefix(self._package)
            is_ours = file != code.co_filename and not file.startswith("simulator") and code.co_name not in _NOT_READ
            name = getattr(code, "co_qualname", code.co_name)
            self._known[code] = Function(file, name) if is_ours else None
        return self._known[code]


def _is_resumed(frame: FrameType) -> bool:
    """Whether a coroutine or a generator only goes on."""
    code, at = frame.f_code, frame.f_lasti
    if not code.co_flags & _CAN_PAUSE:
        return False
    if _RESUME is None:  # Python 3.10
        return at > -1
    return at > 0 and code.co_code[at] == _RESUME and code.co_code[at + 1] & 3 != 0


@dataclass
class Trip:
    """
    One trip.

    :param switches: For each group the pairs of functions, ``file:function``.
    :param files: For each group the files in which something ran.
    """

    switches: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)


# -- the trips ---------------------------------------------------------------------------------------------------------


def part(name: str) -> Any:
    """
    Something that is not public, wherever it is in this tree.

    :param name: One of :data:`PLACES`.
    """
    for module in PLACES[name]:
        try:
            return getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"{name} is in none of {', '.join(PLACES[name])}: add its module to PLACES")


@dataclass
class Task:
    """A task instance as far as operators use it."""

    task_id: str
    dag_id: str = "trips"
    run_id: str = "manual__2026-11-30T08:00:00+00:00"
    map_index: int = -1
    try_number: int = 1

    def xcom_push(self, key: str, value: Any) -> None:
        """Take what is pushed."""


@dataclass
class Run:
    """A DAG run as far as operators use it."""

    run_type: str = "manual"
    run_after: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    start_date: datetime | None = None


def run_task(operator: Any, method: str = "execute", **kwargs: Any) -> Any:
    """Call an operator as Airflow's task runner does."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    inside = contextvars.copy_context()
    inside.run(ExecutorSafeguard.tracker.set, operator)
    return inside.run(getattr(operator, method), {"ti": Task(operator.task_id), "dag_run": Run()}, **kwargs)


def deferred(operator: Any) -> Any:
    """Run a task until it defers."""
    from airflow.sdk.exceptions import TaskDeferred

    try:
        run_task(operator)
    except TaskDeferred as deferral:
        return deferral
    raise SystemExit(f"{type(operator).__name__} did not defer")


async def fired(deferral: Any) -> dict[str, Any]:
    """Run the trigger of a deferral until it fires."""
    async for event in deferral.trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise SystemExit("the trigger did not fire")


class Watched:
    """
    An application that says when a long poll has reached it.

    :param app: The switchboard.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.polled = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/v1/calls" and b"after=" in scope["query_string"]:
            self.polled.set()
        await self._app(scope, receive, send)


class Trips:
    """
    The five trips, each a method that can be called again and again.

    :param simulator: OpenAI, the carrier and phones.
    :param url: Where the switchboard answers.
    :param watched: The switchboard's application.
    """

    def __init__(self, simulator: Any, url: str, watched: Watched, counter: Counter) -> None:
        import httpx

        self._simulator = simulator
        self._url = url
        self._watched = watched
        self._counter = counter
        self._token = part("derived_token")(simulator.webhook_secret)
        self._http = httpx.Client(trust_env=False, timeout=30)
        self._number = 0

    def webhook_to_sensor(self) -> Trip:
        """A webhook's body → the result of a sensor that waits for the call in its trigger."""
        from airflow_openai_realtime import IncomingCallSensor

        self._number += 1
        number = f"+1415555{1000 + self._number}"
        sensor = IncomingCallSensor(task_id=f"wait_{self._number}", from_number=number, timeout=WAIT_SECONDS)

        async def wait_and_ring() -> dict[str, Any]:
            waiting = asyncio.ensure_future(fired(deferral))
            # Not until it waits: then the call is found by the feed and not by the first look.
            self._require(await asyncio.to_thread(self._watched.polled.wait, WAIT_SECONDS))
            await asyncio.sleep(SETTLE_SECONDS)
            await asyncio.to_thread(self._deliver, number)
            return await waiting

        self._watched.polled.clear()
        with self._counter.counting() as trip:
            deferral = deferred(sensor)
            result = run_task(sensor, deferral.method_name, event=asyncio.run(wait_and_ring()))
        self._require(result["from_number"] == number)
        return trip

    def hang_up(self) -> Trip:
        """The id of a call → the request that ends it."""
        from airflow_openai_realtime import AcceptCallOperator, HangupCallOperator

        call_id = self._ring()
        run_task(AcceptCallOperator(task_id="accept", call_id=call_id, instructions="Hi"))
        operator = HangupCallOperator(task_id="hang_up", call_id=call_id)
        with self._counter.counting() as trip:
            run_task(operator)
        self._require(self._simulator.log.call(call_id=call_id).ended_by == "api_hangup")
        return trip

    def instructions_to_accept(self) -> Trip:
        """Instructions in a DAG → the body that a call is accepted with."""
        from airflow_openai_realtime import AcceptCallOperator

        call_id = self._ring()
        with self._counter.counting() as trip:
            run_task(AcceptCallOperator(task_id="accept", call_id=call_id, instructions="Be kind."))
        self._require(self._simulator.log.call(call_id=call_id).accepted == 1)
        self._simulator.phones.hang_up(CALLER)
        return trip

    def number_to_carrier(self) -> Trip:
        """A phone number → the request to the carrier, and its answer as the task's result."""
        from airflow_openai_realtime import PlaceCallOperator
        from airflow_openai_realtime.simulator import PhoneScript

        self._number += 1
        self._simulator.phones.add(PERSON, PhoneScript.no_answer())
        with self._counter.counting() as trip:
            operator = PlaceCallOperator(task_id="place", to=PERSON, campaign="trips", contact=f"c{self._number}")
            result = run_task(operator)
        self._require(result["status"] == "placed")
        return trip

    def event_to_xcom(self) -> Trip:
        """The events of a call's sideband → what the task returns."""
        from airflow_openai_realtime import AcceptCallOperator
        from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply

        replies = (
            Reply("Hi?", thinks_seconds=0.05),
            Reply.calls("record_result", {"score": 5}, thinks_seconds=0.05),
            Reply.calls("end_call", {}, text="Bye.", thinks_seconds=0.05),
        )
        dialogue = Dialogue(replies, (Move.says("Five!", after_seconds=0.1),))
        schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
        call_id = self._ring(PhoneScript.talks_for_ever(dialogue=dialogue))
        talk = AcceptCallOperator(
            task_id=f"talk_{call_id}",
            call_id=call_id,
            wait_for_end=True,
            instructions="Ask for a score.",
            greeting="Hello.",
            result_model=schema,
        )
        deferral = deferred(talk)
        with self._counter.counting() as trip:
            result = run_task(talk, deferral.method_name, event=asyncio.run(fired(deferral)))
        self._require(result["result"] == {"score": 5})
        return trip

    def _ring(self, script: Any = None) -> str:
        from airflow_openai_realtime.simulator import PhoneScript

        call_id: str = self._simulator.call_in(CALLER, OUR_NUMBER, script=script or PhoneScript.talks_for_ever())
        self._until(lambda: call_id in {call["call_id"] for call in self._ask("/v1/calls?limit=1000")["calls"]})
        return call_id

    def _deliver(self, number: str) -> None:
        """Deliver a webhook as OpenAI would."""
        own = f"trip_{number.removeprefix('+')}"
        now = int(time.time())
        headers = [{"name": "From", "value": f"sip:{number}@carrier.example"}]
        event = {"object": "event", "id": own, "type": "realtime.call.incoming", "created_at": now}
        body = json.dumps({**event, "data": {"call_id": f"rtc_{own}", "sip_headers": headers}}).encode()
        key = base64.b64decode(self._simulator.webhook_secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{own}.{now}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(mac).decode()}"
        signed = {"webhook-id": own, "webhook-timestamp": str(now), "webhook-signature": signature}
        self._http.post(f"{self._url}/webhook", content=body, headers=signed).raise_for_status()

    def _ask(self, path: str) -> dict[str, Any]:
        answer = self._http.get(f"{self._url}{path}", headers={"Authorization": f"Bearer {self._token}"})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _until(self, condition: Callable[[], object]) -> None:
        self._require(self._simulator.wait_for(condition, timeout_seconds=WAIT_SECONDS))

    def _require(self, holds: object) -> None:
        if not holds:
            raise SystemExit("a trip did not go as expected, so its figures mean nothing")


#: Names in the table and the result: a trip, and the group whose switches count.
FIGURES = {
    "webhook_to_sensor_server": ("webhook_to_sensor", SERVER),
    "webhook_to_sensor_client": ("webhook_to_sensor", CLIENT),
    "hang_up": ("hang_up", CLIENT),
    "instructions_to_accept": ("instructions_to_accept", CLIENT),
    "number_to_carrier": ("number_to_carrier", CLIENT),
    "event_to_xcom": ("event_to_xcom", CLIENT),
}


def make_trips(folder: Path) -> dict[str, Trip]:
    """
    Make all trips, each once before it is counted.

    :param folder: For the switchboard's store.
    """
    package = importlib.import_module(PACKAGE)
    counter = Counter(Path(str(package.__file__)).parent)
    counter.install()
    from airflow_openai_realtime.simulator import Simulator
    from airflow_openai_realtime.testing.local_airflow import connections, switchboard_app
    from airflow_openai_realtime.testing.served_app import ServedApp

    never = 3600.0
    settings = part("SwitchboardSettings")(
        ring_seconds=never,
        reaper_interval_seconds=never,
        order_sweep_seconds=never,
        feed_poll_seconds=never,
        standby_after_seconds=0.0,
    )
    with ExitStack() as open_ones:
        with counter.starting(SIMULATOR):
            simulator = open_ones.enter_context(Simulator(ring_seconds=never, calls_per_second=None))
        watched = Watched(switchboard_app(simulator, folder, settings))
        with counter.starting(SERVER):
            served = open_ones.enter_context(ServedApp(watched))
        simulator.webhooks.add(f"{served.url}/webhook")
        os.environ.update(connections(simulator, served.url))
        trips = Trips(simulator, served.url, watched, counter)
        made = {}
        for name in dict.fromkeys(trip for trip, _ in FIGURES.values()):
            getattr(trips, name)()
            made[name] = getattr(trips, name)()
        return made


def figures_of(trips: dict[str, Trip]) -> dict[str, dict[str, int]]:
    """Switches and files, by the name of the figure."""
    return {
        name: {"switches": len(trips[trip].switches[group]), "files": len(trips[trip].files[group])}
        for name, (trip, group) in FIGURES.items()
    }


def show(figures: dict[str, dict[str, int]], ceiling: dict[str, dict[str, int]]) -> None:
    """Print a table, with the ceilings beside the figures."""
    print(f"{'trip':28}{'switches':>10}{'at most':>9}{'files':>8}{'at most':>9}")
    for name, found in figures.items():
        most = ceiling.get(name, {})
        cells = (found["switches"], most.get("switches", "-"), found["files"], most.get("files", "-"))
        print(f"{name:28}{cells[0]:>10}{cells[1]:>9}{cells[2]:>8}{cells[3]:>9}")


def lowered(ceiling: dict[str, dict[str, int]], figures: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The ceilings, none higher than before and none higher than what was found."""
    return {
        name: {what: min(most, figures[name][what]) for what, most in figure.items()}
        for name, figure in ceiling.items()
    }


def as_text(ceiling: dict[str, dict[str, int]]) -> str:
    """The ceilings as JSON, a line for each trip."""
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(most)}" for name, most in ceiling.items()) + "\n}\n"


def main() -> int:
    """Make the trips, print the figures and write them."""
    parser = argparse.ArgumentParser(prog="python scripts/count_trips.py", description=__doc__.splitlines()[1])
    parser.add_argument("--out", type=Path, default=RESULT, help="JSON file for figures and switches (%(default)s)")
    parser.add_argument("--lower", action="store_true", help=f"lower the ceilings in {CEILING.name} to what is found")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trips-") as name:
        os.environ.setdefault("AIRFLOW_HOME", name)
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        trips = make_trips(Path(name))
    figures = figures_of(trips)
    ceiling = json.loads(CEILING.read_text())
    show(figures, ceiling)
    if chosen.lower:
        CEILING.write_text(as_text(lowered(ceiling, figures)))
    details = {name: {"switches": trip.switches, "files": trip.files} for name, trip in trips.items()}
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps({"figures": figures, "trips": details}, indent=1) + "\n")
    print(f"written to {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
