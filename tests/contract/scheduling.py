"""
What Airflow makes of asset events and of run ids, without its processes: prints what it saw, as JSON.

A program of its own, since it needs Airflow's database, which tests must not have open.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

DAGS = """
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Asset, CronTriggerTimetable, task

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.operators.dag_runs import check_not_paused, start_run
from airflow_openai_realtime.schedules import call_events_schedule

for dag_id, schedule in {
    "as_airflow_likes": [Asset("calls")],
    "of_all_events": call_events_schedule(Asset("calls")),
    "of_two_lines": call_events_schedule(Asset("calls"), Asset("calls_of_another_line")),
}.items():
    with DAG(dag_id, schedule=schedule):
        @task
        def look(): ...
        look()

a_while_ago = datetime.now(timezone.utc) - timedelta(minutes=40)
daily = CronTriggerTimetable(f"{a_while_ago.minute} {a_while_ago.hour} * * *", timezone="UTC", run_immediately=False)
for dag_id, more in {"missed": {"start_date": datetime(2026, 1, 1, tzinfo=timezone.utc)}, "missed_undated": {}}.items():
    with DAG(dag_id, schedule=daily, catchup=False, **more):
        @task
        def call(): ...
        call()

with DAG("of_a_call", schedule=None):
    @task
    def talk(): ...
    talk()

with DAG("paused", schedule=None):
    @task
    def never(): ...
    never()

with DAG("notifier", schedule=None):
    @task
    def start():
        check_not_paused("of_a_call")
        refused = []
        for attempt in (lambda: check_not_paused("paused"), lambda: start_run("no_such_dag", "call__rtc_1", {})):
            try:
                attempt()
            except ConfigurationError as error:
                refused.append(str(error))
        twice = [start_run("of_a_call", "call__rtc_1", {"call_id": "rtc_1"}) for _ in range(2)]
        return {"started": [*twice, start_run("of_a_call", "call__rtc_2", {"call_id": "rtc_2"})], "refused": refused}
    start()
"""


def load(folder: Path) -> Any:
    """Store the DAGs as the DAG processor does; all but one unpaused."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    (folder / "scheduling_dags.py").write_text(DAGS)
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(folder)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id != "paused").values(is_paused=False))
    return bag


def events_of_runs() -> dict[str, list[int]]:
    """Tell Airflow of two calls before its scheduler looks, twice; how many events each run took, by DAG."""
    from airflow.assets.manager import asset_manager
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.asset import AssetModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import prohibit_commit
    from sqlalchemy import select

    def tell(call_id: str) -> None:
        with create_session() as session:
            asset = session.scalar(select(AssetModel).where(AssetModel.name == "calls"))
            asset_manager.register_asset_change(asset=asset, extra={"call_id": call_id}, session=session)

    def schedule() -> None:
        with create_session() as session, prohibit_commit(session) as guard:
            SchedulerJobRunner(Job())._create_dagruns_for_dags(guard, session)

    tell("rtc_1")
    tell("rtc_2")
    schedule()
    schedule()
    with create_session() as session:
        runs = session.scalars(select(DagRun).order_by(DagRun.run_after)).all()
        return {
            dag_id: [len(run.consumed_asset_events) for run in runs if run.dag_id == dag_id]
            for dag_id in ("as_airflow_likes", "of_all_events", "of_two_lines")
        }


def minutes_late() -> dict[str, list[int]]:
    """How late the runs are that the scheduler starts of DAGs unpaused after their time; the events' look made them."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    now = datetime.now(timezone.utc)
    with create_session() as session:
        runs = session.scalars(select(DagRun).where(DagRun.run_type == "scheduled")).all()
        return {
            dag_id: [round((now - run.run_after).total_seconds() / 60) for run in runs if run.dag_id == dag_id]
            for dag_id in ("missed", "missed_undated")
        }


def states_of_a_task() -> dict[str, Any]:
    """What the mounted switchboard says about a task that defers and is cleared, and whose next try is marked."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_openai_realtime.calls.task_states import TaskReference, reference_to
    from airflow_openai_realtime.switchboard.mounted import leave_result, task_state

    def change(how: Callable[[Any, Any], object]) -> TaskReference:
        """Change the task; returns its try. Airflow's sessions are one for each thread, so each change has its own."""
        with create_session() as session:
            query = select(TaskInstance).where(TaskInstance.run_id == "call__rtc_1", TaskInstance.task_id == "talk")
            instance = session.scalars(query).one()
            how(instance, session)
            session.flush()
            reference = reference_to(instance)
            assert reference is not None
            return reference

    first = change(lambda instance, _: setattr(instance, "state", "deferred"))
    seen = {"deferred": task_state(first)}
    change(lambda instance, session: clear_task_instances([instance], session))
    seen["cleared"] = task_state(first)
    change(lambda instance, _: setattr(instance, "state", "deferred"))
    seen["next try deferred"] = task_state(first)
    second = change(lambda instance, _: setattr(instance, "state", "failed"))
    seen |= {"next try failed": task_state(first), "failed": task_state(second)}
    for result in ({"outcome": "killed", "tools": [{"name": "x"}]}, {"outcome": "another"}):
        leave_result(second, result)
    query = XComModel.get_many(run_id=second.run_id, dag_ids=second.dag_id, task_ids=second.task_id, key="return_value")
    with create_session() as session:
        left = [XComModel.deserialize_value(row) for row in session.scalars(query)]
    change(lambda instance, session: session.delete(instance))
    seen["deleted"] = task_state(first)
    states = {name: [state.is_ended, state.is_moved, state.is_cared_for] for name, state in seen.items()}
    return {"states": states, "left": left}


def runs_of_calls(bag: Any) -> dict[str, Any]:
    """Run the task that starts runs, against Airflow's own Execution API in this process."""
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    bag.dags["notifier"].test()
    with create_session() as session:
        answer = session.scalar(select(XComModel.value).where(XComModel.dag_id == "notifier"))
        runs = session.scalars(select(DagRun).where(DagRun.dag_id == "of_a_call").order_by(DagRun.run_id))
        told = json.loads(answer) if isinstance(answer, str) else answer
        return {**told, "runs": [(run.run_id, run.conf, run.logical_date) for run in runs]}


if __name__ == "__main__":
    loaded = load(Path(sys.argv[1]))
    seen = {
        "events_of_runs": events_of_runs(),
        "minutes_late": minutes_late(),
        **runs_of_calls(loaded),
        **states_of_a_task(),
    }
    print("\n" + json.dumps(seen, default=str))
