"""
Many tasks that hold a live call in the triggerer, without the minutes that it takes to start so many.

One task instance of a mapped ``WatchCallOperator`` runs for real, in a worker, and defers. The others are written into
Airflow's database as deferred (``deferring.py``), each with the call that it holds.

The end of this module runs in Airflow's environment, in a process of its own, with Airflow's models at hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.airflow_processes import LocalAirflow, wait_until

from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call
from bench.deferring import DEFERRED, defer_others, run_in_airflow, wait_until_taken

TASK_ID = "hold"
_DAG = """\
from airflow.sdk import DAG

from airflow_openai_realtime.operators import WatchCallOperator

with DAG({dag_id!r}, schedule=None, max_active_tasks=1000, is_paused_upon_creation=False):
    # The one that runs holds the call that the run is started with; the others never run.
    WatchCallOperator.partial(task_id={task_id!r}, pool={dag_id!r}).expand(call_id={call_ids!r})
"""


class LiveTasks:
    """
    The tasks of one DAG run, one for each of some accepted calls.

    :param airflow: Where they are.
    :param dag_id: The DAG to make; its pool gets the same name.
    :param most: How many tasks there are.
    """

    def __init__(self, airflow: LocalAirflow, dag_id: str, most: int) -> None:
        self.dag_id = dag_id
        self.run_id = ""
        self._airflow = airflow
        self._most = most

    def write(self, folder: Path) -> None:
        """
        Write the DAG's file.

        :param folder: Airflow's DAGs folder.
        """
        call_ids = ["{{ dag_run.conf['call_id'] }}"] * self._most
        (folder / f"{self.dag_id}.py").write_text(
            _DAG.format(dag_id=self.dag_id, task_id=TASK_ID, call_ids=call_ids), encoding="utf-8"
        )

    def start(self, call_id: str) -> None:
        """
        Start the run, and wait until the first task holds its call.

        :param call_id: That call.
        """
        pool = {"name": self.dag_id, "slots": 1, "include_deferred": True}
        self._airflow.request("POST", "/api/v2/pools", json=pool)
        self._airflow.wait_for_dag(self.dag_id)
        self.run_id = self._airflow.trigger(self.dag_id, {"call_id": call_id})
        wait_until(lambda: self.count(DEFERRED) >= 1, f"a task of {self.dag_id} to defer", timeout_seconds=180)
        wait_until(lambda: self.count("scheduled") >= self._most - 1, "the other tasks", timeout_seconds=180)

    def hold(self, call_ids: Sequence[str]) -> None:
        """
        Let tasks hold these calls, and wait until a triggerer has taken them.

        :param call_ids: The call of each task; the first one has its own already.
        """
        arguments = {"dag_id": self.dag_id, "run_id": self.run_id, "call_ids": list(call_ids)}
        run_in_airflow(self._airflow, "bench.live_tasks", arguments)

    def let_go_on(self) -> None:
        """Give the tasks whose call is over all the slots that they want."""
        pool = {"name": self.dag_id, "slots": 1000, "include_deferred": True}
        self._airflow.request("PATCH", f"/api/v2/pools/{self.dag_id}", json=pool)

    def count(self, state: str) -> int:
        """How many tasks are in a state."""
        path = f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances"
        answer = self._airflow.request("GET", path, params={"state": state, "limit": 1}, timeout=120)
        return int(answer.json()["total_entries"])

    def mark(self, map_index: int, state: str) -> None:
        """
        Mark a task, as a user does in the UI.

        :param map_index: Which one.
        :param state: ``failed`` or ``success``.
        """
        path = f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{TASK_ID}/{map_index}"
        self._airflow.request("PATCH", path, json={"new_state": state})


def _hold(dag_id: str, run_id: str, call_ids: Sequence[str]) -> None:
    """Write task instances of a run as deferred, one for each call; in Airflow's environment."""
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.hooks.realtime import RealtimeHook

    hook = RealtimeHook()
    api_key = hook.api().api_key
    with hook.switchboard() as switchboard:

        def own(map_index: int, first: Mapping[str, Any]) -> dict[str, Any]:
            wanted = WantedConversation.unseal(first["conversation"], api_key)
            call = switchboard.send(get_call(call_ids[map_index]))
            holder = f"{dag_id}/{run_id}/{TASK_ID}/{map_index}"
            return {"call_id": call.call_id, "holder": holder, "conversation": wanted.of(call).seal(api_key)}

        defer_others(dag_id, run_id, len(call_ids), own)
    wait_until_taken(dag_id, run_id, len(call_ids))


if __name__ == "__main__":
    _hold(**json.loads(sys.stdin.read()))
