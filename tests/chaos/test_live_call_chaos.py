"""Live calls in two real triggerers of a real Airflow: one is killed or stopped, or a user ends a task."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from bench.live_tasks import LiveTasks
from demo.airflow_processes import wait_until
from demo.stage import Stage
from tests.chaos.scene import calls_made, calls_of
from tests.chaos.test_triggerer_chaos import TRIGGERERS, send, start_triggerer

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.simulator import PhoneScript
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.log import LogEntry
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.server_events import spoken_seconds
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, report_accepted

pytestmark = [pytest.mark.chaos, pytest.mark.system]

#: How soon Airflow takes a triggerer for dead is left as it comes: 30 seconds.
SETTINGS = {
    "AIRFLOW__TRIGGERER__CAPACITY": "200",
    "AIRFLOW__OPENAI_REALTIME__RING_SECONDS": "120",
}
CALLS = 50
LONG_SECONDS = 1200.0
#: So much of what was said may be missing when a triggerer dies, in seconds of speech.
LARGEST_GAP_SECONDS = 5.0
#: How soon the call of a task that a user has marked is hung up, in seconds.
SOON_SECONDS = 5.0
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each test puts its DAG."""
    return tmp_path_factory.mktemp("dags")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, dags: Path) -> Iterator[Stage]:
    """An Airflow for all trials; each starts its triggerers itself."""
    made = Stage(tmp_path_factory.mktemp("live"), dags, env=SETTINGS, ring_seconds=300)
    components = ("api-server", "scheduler", "dag-processor")
    start = made.airflow.start
    made.airflow.start = lambda *_: start(*components)  # type: ignore[method-assign]
    with made:
        yield made


@pytest.fixture
def triggerers(stage: Stage) -> Iterator[Sequence[str]]:
    """The first triggerer runs; the second is up to the test. None is left."""
    start_triggerer(stage, TRIGGERERS[0])
    yield TRIGGERERS
    for name in TRIGGERERS:
        if name in stage.airflow.processes.processes:
            send(stage, name, signal.SIGCONT)
            stage.airflow.processes.kill(name)


def chatting(rng: random.Random) -> PhoneScript:
    """A person who talks with the model without end and without haste."""
    moves = tuple(Move.says(words(rng), after_seconds=rng.uniform(1.5, 4.0)) for _ in range(7))
    replies = tuple(Reply(words(rng)) for _ in range(40))
    return PhoneScript.talks_for_ever(dialogue=Dialogue(replies, moves, repeats=True))


def words(rng: random.Random) -> str:
    """A few words, said in one to two seconds."""
    return " ".join(rng.choices(("yes", "no", "well", "table", "seven", "Monday"), k=rng.randint(3, 5)))


def live_calls(stage: Stage, trial: int, count: int) -> list[str]:
    """Accepted calls with people who talk."""
    rng = random.Random(trial)
    found = []
    with stage.switchboard() as switchboard, calls_of(stage.simulator) as calls:
        for number in range(count):
            caller = f"+1415{trial % 1000:03}{number:04}"
            call_id = stage.simulator.call_in(caller, "+14155550100", script=chatting(rng))
            switchboard.send(announce_accept(call_id, "chaos", LONG_SECONDS))
            calls.send(accept_call(call_id, SESSION))
            switchboard.send(report_accepted(call_id, "chaos"))
            found.append(call_id)
    return found


def held(stage: Stage, dags: Path, name: str, call_ids: list[str]) -> LiveTasks:
    """Let tasks hold these calls, all in the triggerer that runs; returns when each is heard."""
    tasks = LiveTasks(stage.airflow, name, len(call_ids))
    tasks.write(dags)
    tasks.start(call_ids[0])
    tasks.hold(call_ids)
    wait_for_holder(stage, call_ids, 1)
    return tasks


def wait_for_holder(stage: Stage, call_ids: Sequence[str], number: int) -> None:
    """Wait until a holder with this number or a later one is attached to each of the calls, and that is written."""
    missing = list(call_ids)

    def is_so() -> bool:
        with stage.switchboard() as switchboard:
            while missing and is_held(switchboard.send(get_conversation(missing[-1])), number):
                missing.pop()
        return not missing

    wait_until(is_so, f"{len(call_ids)} calls to have holder {number}", timeout_seconds=180, every_seconds=0.5)


def is_held(kept: Conversation | None, number: int) -> bool:
    """Whether a holder with this number or a later one was attached."""
    return kept is not None and any(
        entry.key.startswith("note:attached:") and int(entry.key.split(":")[2]) >= number for entry in kept.entries
    )


def wait_for_triggerer(stage: Stage, name: str) -> None:
    """Start a triggerer, and wait until it looks for triggers."""
    log = stage.airflow.logs / f"{name}.log"
    before = log.stat().st_size if log.exists() else 0
    start_triggerer(stage, name)
    wait_until(lambda: b"Starting the triggerer" in log.read_bytes()[before:], name, timeout_seconds=120)
    time.sleep(8)  # until its second process runs; Airflow does not say when


def conversations(stage: Stage, call_ids: Sequence[str]) -> dict[str, Conversation]:
    """What the switchboard has of each call."""
    with stage.switchboard() as switchboard:
        found = {call_id: switchboard.send(get_conversation(call_id)) for call_id in call_ids}
    return {call_id: kept for call_id, kept in found.items() if kept is not None}


def hung_up(stage: Stage, call_ids: Sequence[str]) -> dict[str, Conversation]:
    """Let everybody hang up, and wait for the results."""
    for record in stage.simulator.log.calls:
        if record.call_id in call_ids:
            stage.simulator.phones.hang_up(record.number)

    def is_finished() -> bool:
        return all(kept.is_finished for kept in conversations(stage, call_ids).values())

    wait_until(is_finished, "all results", timeout_seconds=120, every_seconds=1)
    return conversations(stage, call_ids)


@dataclass(frozen=True)
class Missed:
    """
    What was said in a call and is not on its timeline, in seconds of speech.

    :param unsaved: Heard by the triggerer that died, and not saved yet.
    :param unheard: Said while no process was attached: the switchboard had not noticed yet that a triggerer was dead.
    :param forgotten: Heard after that, by the switchboard or the other triggerer.
    """

    unsaved: float
    unheard: float
    forgotten: float

    @classmethod
    def of(cls, kept: Conversation, log: Sequence[LogEntry], killed_at: datetime) -> Missed:
        """In one call, by what the simulator says."""
        log = [entry for entry in log if entry.call_id == kept.call_id]
        attached = [entry.at for entry in log if entry.kind == "sideband.attached"]
        begun, resumed_at = attached[0], next(at for at in attached if at > killed_at)
        written = {str(entry.body.get("item_id")) for entry in kept.entries}
        seconds = Counter[str]()
        for entry in log:
            # What a caller says is written when it is transcribed; the last words before hanging up never are.
            is_words = entry.kind == "session.transcribed" or entry.detail.get("speaker") == "model"
            if not is_words or entry.at < begun or entry.detail["item_id"] in written:
                continue
            is_old = entry.at < resumed_at
            how = "unheard" if not entry.detail["listeners"] else "unsaved" if is_old else "forgotten"
            seconds[how] += spoken_seconds(str(entry.detail["text"]))  # type: ignore[assignment]
        return cls(seconds["unsaved"], seconds["unheard"], seconds["forgotten"])

    @property
    def total(self) -> float:
        """All of it."""
        return self.unsaved + self.unheard + self.forgotten


def seconds_until_stood_by(stage: Stage, call_id: str, killed_at: datetime) -> float:
    """How long after a triggerer was killed a process was attached to a call again."""
    attached = stage.simulator.log.of_kind("sideband.attached", call_id=call_id)
    return next((entry.at - killed_at).total_seconds() for entry in attached if entry.at > killed_at)


def ended_by(stage: Stage, call_ids: Sequence[str]) -> Counter[str | None]:
    """Count the calls by who ended them; ``None`` counts those that go on."""
    return Counter(record.ended_by for record in stage.simulator.log.calls if record.call_id in call_ids)


def wait_for_tasks(tasks: LiveTasks, count: int) -> None:
    """Let the tasks return their results."""
    tasks.let_go_on()
    wait_until(lambda: tasks.count("success") == count, "tasks with a result", timeout_seconds=400, every_seconds=1)


def test_a_triggerer_killed_with_50_live_calls_costs_no_call_and_seconds_of_transcript(
    trial: int, stage: Stage, dags: Path, triggerers: Sequence[str]
) -> None:
    call_ids = live_calls(stage, trial, CALLS)
    calls_made["test_a_triggerer_killed_with_50_live_calls_costs_no_call_and_seconds_of_transcript"] += CALLS
    tasks = held(stage, dags, f"killed_{trial}", call_ids)
    wait_for_triggerer(stage, triggerers[1])
    time.sleep(5 + random.uniform(0, 4))
    killed_at = datetime.now(timezone.utc)
    stage.airflow.processes.kill(triggerers[0])
    wait_for_holder(stage, call_ids, 2)
    taken_over = (datetime.now(timezone.utc) - killed_at).total_seconds()
    assert ended_by(stage, call_ids) == {None: CALLS}
    time.sleep(random.uniform(4, 8))
    finished = hung_up(stage, call_ids)
    log = stage.simulator.log.entries
    missed = [Missed.of(kept, log, killed_at) for kept in finished.values()]
    results = [dict(kept.result or {}) for kept in finished.values()]
    gaps = [result["gap_seconds"] for result in results]
    most = {name: max(getattr(each, name) for each in missed) for name in ("unsaved", "unheard", "forgotten", "total")}
    stood_by = [seconds_until_stood_by(stage, call_id, killed_at) for call_id in call_ids]
    print(f"the switchboard listened {min(stood_by):.1f} to {max(stood_by):.1f} s after the kill")
    print(f"all taken over {taken_over:.1f} s after the kill; the results say {min(gaps):.1f} to {max(gaps):.1f} s")
    print(
        f"speech missed, in seconds of the worst call: {most}; total of all: {sum(each.total for each in missed):.0f}"
    )
    assert ended_by(stage, call_ids) == {"caller": CALLS}
    assert len(finished) == CALLS
    assert {(result["outcome"], result["resumed"]) for result in results} == {("caller_hung_up", True)}
    assert min(gaps) > 0
    assert most["forgotten"] == 0
    assert most["unsaved"] <= LARGEST_GAP_SECONDS
    assert most["total"] <= LARGEST_GAP_SECONDS
    wait_for_tasks(tasks, CALLS)


def test_a_trigger_that_merely_moves_hangs_up_nothing(
    trial: int, stage: Stage, dags: Path, triggerers: Sequence[str]
) -> None:
    count = 10
    call_ids = live_calls(stage, trial, count)
    tasks = held(stage, dags, f"moved_{trial}", call_ids)
    wait_for_triggerer(stage, triggerers[1])
    send(stage, triggerers[0], signal.SIGSTOP)
    wait_for_holder(stage, call_ids, 2)
    time.sleep(random.uniform(0, 2))
    send(stage, triggerers[0], signal.SIGCONT)
    # The first triggerer finds that its triggers are not its own any more, and drops them.
    time.sleep(6)
    assert ended_by(stage, call_ids) == {None: count}
    finished = hung_up(stage, call_ids)
    assert ended_by(stage, call_ids) == {"caller": count}
    assert {(kept.outcome, dict(kept.result or {})["resumed"]) for kept in finished.values()} == {
        ("caller_hung_up", True)
    }
    wait_for_tasks(tasks, count)


@pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="Airflow tells triggers since 3.3")
def test_the_call_of_a_task_that_is_marked_failed_is_hung_up_soon(
    trial: int, stage: Stage, dags: Path, triggerers: Sequence[str]
) -> None:
    count = 5
    call_ids = live_calls(stage, trial, count)
    tasks = held(stage, dags, f"marked_{trial}", call_ids)
    log: Any = stage.simulator.log
    for map_index, state in enumerate(("failed", "success")):
        marked_at = datetime.now(timezone.utc)
        tasks.mark(map_index, state)
        call_id = call_ids[map_index]
        wait_until(lambda call_id=call_id: not log.call(call_id=call_id).open, "hang-up", timeout_seconds=60)  # type: ignore[misc]
        (ended,) = log.of_kind("openai.ended", call_id=call_id)
        took = (ended.at - marked_at).total_seconds()
        print(f"hung up {took:.1f} s after it was marked as {state}")
        assert ended.detail["ended_by"] == "api_hangup"
        assert took <= SOON_SECONDS
    assert ended_by(stage, call_ids) == {"api_hangup": 2, None: count - 2}
    finished = hung_up(stage, call_ids)
    assert Counter(kept.outcome for kept in finished.values()) == {"killed": 2, "caller_hung_up": count - 2}


def test_of_all_these_calls_none_is_left_open(stage: Stage) -> None:
    assert stage.simulator.log.open_calls() == []
