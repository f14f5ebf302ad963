"""Tasks with live calls in a real Airflow that are killed or cleared, while hang-ups are slow, fail or are lost."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from statistics import median
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from demo.airflow_processes import wait_until
from demo.stage import Stage
from tests.chaos.scene import calls_made, calls_of
from tests.chaos.test_live_call_chaos import LONG_SECONDS, SESSION, chatting, is_held
from tests.chaos.test_triggerer_chaos import send, start_triggerer

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.exceptions import SwitchboardUnreachable, UnknownCall
from airflow_openai_realtime.simulator import PhoneScript
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.states import AttemptState
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    get_call,
    list_attempts,
    move_attempt,
    report_accepted,
    reserve_attempt,
)

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.system,
    pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="Airflow tells triggers of a kill since 3.3"),
]

DAG_ID = "hold_calls"
TRIGGERER = "triggerer@a"
MAPPED, PLAIN = 30, 4
#: Task and map index of all tasks.
TASKS = [*(("mapped", index) for index in range(MAPPED)), *((f"plain_{index}", -1) for index in range(PLAIN))]
CLEARED = 10
#: How soon a call is over once the switchboard was asked to end it, in seconds: a hang-up of three, or one that failed.
#: Airflow itself takes up to some three seconds more until it cancels the trigger.
SOON_SECONDS = 5.0
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "100",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__TRIGGERER__CAPACITY": "200",
    "AIRFLOW__OPENAI_REALTIME__RING_SECONDS": "120",
}
_DAG = """\
from airflow.sdk import DAG

from airflow_openai_realtime.operators import WatchCallOperator

CALL = "{{ dag_run.conf['call_ids'][%d] }}"

with DAG("hold_calls", schedule=None, max_active_tasks=100, is_paused_upon_creation=False):
    WatchCallOperator.partial(task_id="mapped").expand(call_id=[CALL % number for number in range(MAPPED)])
    for number in range(PLAIN):
        WatchCallOperator(task_id=f"plain_{number}", call_id=CALL % (MAPPED + number))
""".replace("PLAIN", str(PLAIN)).replace("MAPPED", str(MAPPED))
SHORT_DAG_ID = "short_run"
SHORT_SECONDS = 45
_SHORT_DAG = f"""\
from datetime import timedelta

from airflow.sdk import DAG

from airflow_openai_realtime.operators import WatchCallOperator

limit = timedelta(seconds={SHORT_SECONDS})
with DAG({SHORT_DAG_ID!r}, schedule=None, dagrun_timeout=limit, is_paused_upon_creation=False):
    WatchCallOperator(task_id="plain_0", call_id="{{{{ dag_run.conf['call_ids'][0] }}}}")
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An Airflow with one triggerer, fresh, for all trials."""
    dags = tmp_path_factory.mktemp("dags")
    (dags / f"{DAG_ID}.py").write_text(_DAG, encoding="utf-8")
    (dags / f"{SHORT_DAG_ID}.py").write_text(_SHORT_DAG, encoding="utf-8")
    made = Stage(tmp_path_factory.mktemp("kills"), dags, env=SETTINGS, ring_seconds=300)
    start = made.airflow.start
    made.airflow.start = lambda *_: start("api-server", "scheduler", "dag-processor")  # type: ignore[method-assign]
    with made:
        start_triggerer(made, TRIGGERER)
        for dag_id in (DAG_ID, SHORT_DAG_ID):
            made.airflow.wait_for_dag(dag_id)
        yield made
        send(made, TRIGGERER, signal.SIGCONT)


@dataclass(frozen=True)
class Held:
    """
    A call that a task has.

    :param call_id: The call, with a person who talks.
    :param number: The phone's.
    :param task_id: The task that holds it.
    :param map_index: Which instance of it.
    """

    call_id: str
    number: str
    task_id: str
    map_index: int


def placed_calls(stage: Stage, trial: int, tasks: Sequence[tuple[str, int]] = TASKS) -> list[Held]:
    """Accepted calls of a campaign: the ledger's rows say that they were placed."""
    rng = random.Random(trial)
    found = []
    with stage.switchboard() as switchboard, calls_of(stage.simulator) as calls:
        for index, task in enumerate(tasks):
            number = f"+1415{200 + trial % 800:03}{2000 + index:04}"
            row = switchboard.send(reserve_attempt(campaign_of(trial), number, 1, number))
            switchboard.send(move_attempt(row.attempt_id, AttemptState.RESERVED, AttemptState.DIALING))
            switchboard.send(
                move_attempt(
                    row.attempt_id, AttemptState.DIALING, AttemptState.PLACED, carrier_call_id=f"CA{trial}x{index}"
                )
            )
            headers = {"X-Correlation-Id": row.correlation_id}
            # Some talk with the model all the time, the others listen.
            script = chatting(rng) if index % 3 == 0 else PhoneScript.talks_for_ever()
            call_id = stage.simulator.call_in(number, "+14155550100", headers, script)
            # What is accepted before its webhook is there has no headers, and so is not the ledger's.
            wait_until(partial(is_known, switchboard, call_id), "the webhook", timeout_seconds=60)
            switchboard.send(announce_accept(call_id, "chaos", LONG_SECONDS))
            calls.send(accept_call(call_id, SESSION))
            switchboard.send(report_accepted(call_id, "chaos"))
            found.append(Held(call_id, number, *task))
    calls_made[_test_name()] += len(found)
    return found


def _test_name() -> str:
    return os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition("[")[0]


def is_known(switchboard: SwitchboardClient, call_id: str) -> bool:
    """Whether the webhook of a call has arrived."""
    with suppress(UnknownCall, SwitchboardUnreachable):
        return switchboard.send(get_call(call_id)).from_number is not None
    return False


def campaign_of(trial: int) -> str:
    """The campaign of a trial of this test."""
    return f"{_test_name()}-{trial}"


def run_with(stage: Stage, held: Sequence[Held], dag_id: str = DAG_ID) -> str:
    """Let tasks hold these calls; returns the run when each is heard."""
    run_id = stage.airflow.trigger(dag_id, {"call_ids": [each.call_id for each in held]})
    wait_for_holder(stage, held, 1)
    return run_id


def wait_for_holder(stage: Stage, held: Sequence[Held], generation: int) -> None:
    """Wait until a holder with this number or a later one is attached to each call, or the call is over."""
    missing = list(held)

    def is_so() -> bool:
        # A busy API server may take longer than the client waits; then this looks again.
        with suppress(SwitchboardUnreachable), stage.switchboard() as switchboard:
            while missing and (
                is_held(switchboard.send(get_conversation(missing[-1].call_id)), generation)
                or switchboard.send(get_call(missing[-1].call_id)).is_over
            ):
                missing.pop()
        return not missing

    wait_until(is_so, f"{len(held)} calls to have holder {generation}", timeout_seconds=300, every_seconds=0.5)


def disturb(stage: Stage, held: Held, rng: random.Random) -> str:
    """Let the next hang-up of a call be slow, fail once, or lose its answer."""
    faults: Mapping[str, Fault | None] = {
        "nothing": None,
        "slow": Fault("hangup", "slow", seconds=rng.uniform(0.5, 3.0), number=held.number),
        "refused once": Fault("hangup", "status", status=503, number=held.number),
        "lost": Fault("hangup", "reset", carried_out=True, number=held.number),
    }
    name = rng.choice(list(faults))
    fault = faults[name]
    if fault is not None:
        stage.simulator.faults.add(fault)
    return name


def mark(stage: Stage, run_id: str, held: Held, state: str) -> None:
    """Mark a task, as a user does in the UI."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{held.task_id}"
    path = path if held.map_index < 0 else f"{path}/{held.map_index}"
    stage.airflow.request("PATCH", path, json={"new_state": state}, timeout=120)


def fail_run(stage: Stage, run_id: str) -> None:
    """Mark the run as failed."""
    stage.airflow.request("PATCH", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}", json={"state": "failed"}, timeout=120)


def xcom_of(stage: Stage, run_id: str, held: Held) -> dict[str, Any] | None:
    """What stands in XCom as the task's result."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{held.task_id}/xcomEntries/return_value"
    try:
        answer = stage.airflow.request("GET", path, params={"map_index": held.map_index}, timeout=120)
    except RuntimeError:
        return None
    value: dict[str, Any] = answer.json()["value"]
    return value


def outcomes(stage: Stage, trial: int, run_id: str, held: Sequence[Held]) -> Counter[tuple[Any, ...]]:
    """Of each call: why it ended by its row, by its result, by the ledger, and by XCom."""
    told: Counter[tuple[Any, ...]] = Counter()
    with suppress(SwitchboardUnreachable), stage.switchboard() as switchboard:
        ledger = {row.contact: row.outcome for row in switchboard.send(list_attempts(campaign_of(trial)))}
        for each in held:
            kept = switchboard.send(get_conversation(each.call_id))
            xcom = xcom_of(stage, run_id, each)
            row = switchboard.send(get_call(each.call_id)).end_reason
            told[(row, kept and kept.outcome, ledger.get(each.number), xcom and xcom["outcome"])] += 1
    return told


def test_killed_tasks_calls_end_soon_and_are_told_as_killed(trial: int, stage: Stage) -> None:
    rng = random.Random(trial)
    held = placed_calls(stage, trial)
    run_id = run_with(stage, held)
    mapped, plain = held[:MAPPED], held[MAPPED:]
    third = MAPPED // 3
    sorts = {
        "failed": [*mapped[:third], *plain[:1]],
        "success": [*mapped[third : 2 * third], *plain[1:2]],
        "run failed": [*mapped[2 * third :], *plain[2:]],
    }
    killed_at: dict[str, datetime] = {}
    how = {each.call_id: disturb(stage, each, rng) for each in held}
    for state in ("failed", "success"):
        for each in sorts[state]:
            mark(stage, run_id, each, state)
            killed_at[each.call_id] = datetime.now(timezone.utc)
    fail_run(stage, run_id)
    killed_at |= dict.fromkeys((each.call_id for each in sorts["run failed"]), datetime.now(timezone.utc))
    log: Any = stage.simulator.log
    wait_until(
        lambda: not ({each.call_id for each in held} & {record.call_id for record in log.open_calls()}),
        "all calls to end",
        timeout_seconds=120,
    )
    ended = {entry.call_id: entry for entry in log.of_kind("openai.ended")}
    took = {call_id: (ended[call_id].at - at).total_seconds() for call_id, at in killed_at.items()}
    for name, calls in sorts.items():
        seconds = sorted(took[each.call_id] for each in calls)
        print(f"{name}: {len(calls)} calls, ended after {seconds[0]:.1f} to {seconds[-1]:.1f} s")
    with stage.switchboard() as switchboard:
        wanted = {call_id: switchboard.send(get_call(call_id)).end_wanted_at or at for call_id, at in killed_at.items()}
    asked = sorted((wanted[call_id] - at).total_seconds() for call_id, at in killed_at.items())
    print(f"the switchboard was asked after {asked[0]:.1f} to {asked[-1]:.1f} s, median {median(asked):.1f} s")
    for name in sorted(set(how.values())):
        print(f"hang-up {name}: {max(took[call] for call, fault in how.items() if fault == name):.1f} s at most")
    everywhere = ("killed", "killed", "killed", "killed")
    wait_until(
        lambda: outcomes(stage, trial, run_id, held) == {everywhere: len(held)},
        "page, result, ledger and XCom",
        timeout_seconds=120,
        every_seconds=3,
    )
    assert {ended[call_id].detail["ended_by"] for call_id in took} == {"api_hangup"}
    print(f"{sum(seconds <= SOON_SECONDS for seconds in took.values())} of {len(took)} calls ended within 5 s")
    late = {each: took[each] for each in took if (ended[each].at - wanted[each]).total_seconds() > SOON_SECONDS}
    assert not late, late


def test_cleared_tasks_calls_are_kept_by_the_next_try_or_end(trial: int, stage: Stage) -> None:
    held = placed_calls(stage, trial)
    run_id = run_with(stage, held)
    cleared = [*held[: CLEARED - 2], *held[-2:]]
    others = [each for each in held if each not in cleared]
    ids = [[each.task_id, each.map_index] if each.map_index >= 0 else each.task_id for each in cleared]
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ids, "only_failed": False, "reset_dag_runs": True}
    stage.airflow.request("POST", f"/api/v2/dags/{DAG_ID}/clearTaskInstances", json=body, timeout=120)
    wait_for_holder(stage, cleared, 2)
    time.sleep(65)  # the minute after which a call without a next try ends
    open_now = {record.call_id for record in stage.simulator.log.open_calls()}
    kept = [each for each in cleared if each.call_id in open_now]
    with stage.switchboard() as switchboard:
        rows = {each.call_id: switchboard.send(get_call(each.call_id)) for each in cleared}
        conversations = {each.call_id: switchboard.send(get_conversation(each.call_id)) for each in kept}
    print(f"{len(kept)} of {len(cleared)} cleared calls are kept by the next try")
    assert all(rows[each.call_id].end_reason == "killed" for each in cleared if each not in kept)
    assert all(rows[each.call_id].end_wanted is None for each in kept)
    assert all(kept is not None and kept.generation >= 2 for kept in conversations.values())
    assert {listeners(stage, each.call_id) for each in kept} <= {1}
    assert all(each.call_id in open_now for each in others)
    fail_run(stage, run_id)
    wait_until(
        lambda: not ({each.call_id for each in held} & {record.call_id for record in stage.simulator.log.open_calls()}),
        "all calls to end",
        timeout_seconds=120,
    )


def test_the_call_of_a_run_whose_time_is_over_ends(stage: Stage) -> None:
    trial = random.randrange(1_000_000)
    (held,) = placed_calls(stage, trial, TASKS[-PLAIN:][:1])
    run_id = run_with(stage, [held], SHORT_DAG_ID)
    wait_until(lambda: stage.airflow.run_state(SHORT_DAG_ID, run_id) == "failed", "the limit", timeout_seconds=180)
    failed_at = datetime.now(timezone.utc)
    log: Any = stage.simulator.log
    wait_until(lambda: not log.call(call_id=held.call_id).open, "the call to end", timeout_seconds=60)
    (ended,) = log.of_kind("openai.ended", call_id=held.call_id)
    print(f"the call of a run whose time was over ended after {(ended.at - failed_at).total_seconds():.1f} s")
    with stage.switchboard() as switchboard:
        wait_until(
            lambda: switchboard.send(get_call(held.call_id)).end_reason == "killed", "its row", timeout_seconds=30
        )


def listeners(stage: Stage, call_id: str) -> int:
    """How many are attached to a call now."""
    log: Any = stage.simulator.log
    attached, left = (len(log.of_kind(f"sideband.{what}", call_id=call_id)) for what in ("attached", "detached"))
    return attached - left


def test_of_all_these_calls_none_is_left_open(stage: Stage) -> None:
    assert stage.simulator.log.open_calls() == []
