"""Running DAGs in the test's own process, with simulated phones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_openai_realtime.calls.task_states import AskTaskState, LeaveResult
    from airflow_openai_realtime.simulator.server import Simulator
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
    from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

CONN_ID = "openai_realtime_default"
CARRIER_CONN_ID = "telephony_carrier_default"


@dataclass(frozen=True)
class TestedRun:
    """
    A DAG run that is over.

    :param state: ``success`` or ``failed``.
    :param states: State of each task, by its id; of a mapped one that of its last instance.
    :param results: What each task returned, by its id; of a mapped one what its first instance did.
    """

    __test__ = False

    state: str
    states: Mapping[str, str]
    results: Mapping[str, Any]


class RealtimeAirflow:
    """
    What the fixture ``realtime_airflow`` gives: simulated phones, a switchboard, and DAGs that reach both.

    :param simulator: OpenAI, the carrier and the phones; ask its log what really happened.
    :param switchboard_url: Where the switchboard answers.
    :param dags_folder: Where DAGs are looked for by their id; Airflow's DAGs folder when left out.
    """

    def __init__(self, simulator: Simulator, switchboard_url: str, dags_folder: Path | None = None) -> None:
        self.simulator = simulator
        self.switchboard_url = switchboard_url
        self.dags_folder = dags_folder

    def switchboard(self) -> SwitchboardClient:
        """Make a client of the switchboard, as tasks have one."""
        from airflow_openai_realtime.calls.tokens import derived_token
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        return SwitchboardClient(self.switchboard_url, derived_token(self.simulator.webhook_secret), line=CONN_ID)

    def dag(self, dag_id: str) -> DAG:
        """
        Load a DAG.

        :param dag_id: Its id.
        :raises LookupError: There is no such DAG, or its file has an error; the message says which.
        """
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(self.dags_folder) if self.dags_folder is not None else DagBag()
        if dag_id not in bag.dags:
            raise LookupError(f"there is no DAG {dag_id}; there are {sorted(bag.dags)}, errors: {bag.import_errors}")
        dag: DAG = bag.dags[dag_id]
        return dag

    def run(self, dag: DAG | str, **conf: Any) -> TestedRun:
        """
        Run a DAG with ``dag.test()``: each task in turn in this process, and what it defers to as well.

        :param dag: The DAG, or its id. One that is made in the test, in no DAGs folder, is written into Airflow's
            database first.
        :param conf: What the run is started with: the DAG's params by name.
        """
        if isinstance(dag, str):
            dag = self.dag(dag)
        else:
            make_known(dag)
        run = dag.test(run_conf=conf)
        states = {task.task_id: str(getattr(task.state, "value", task.state)) for task in run.get_task_instances()}
        results = {task_id: _result_of(run, task_id) for task_id in states}
        return TestedRun(str(getattr(run.state, "value", run.state)), states, results)


def make_known(dag: DAG) -> None:
    """
    Write a DAG into Airflow's metadata database, as the DAG processor does with one in a file.

    ``dag.test()`` looks for the DAG in the folders of DAGs, and starts no run of one that it does not find.

    :param dag: The DAG.

    Source: ``airflow.sdk.DAG.test`` and ``airflow.dag_processing.dagbag`` of Airflow 3.2.2 and 3.3.2, read 2026-11-30.
    """
    import os

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dag_version import DagVersion

    if DagVersion.get_version(dag.dag_id) is not None:
        return
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    bag = DagBag(os.devnull, collect_dags=False)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, next(iter(manager.get_all_dag_bundles())).name, None)


def connections(simulator: Simulator, switchboard_url: str) -> dict[str, str]:
    """
    Return the two connections, by the environment variable that each goes into.

    :param simulator: What they lead to.
    :param switchboard_url: Where the switchboard answers.
    """
    values = connection_values(simulator, switchboard_url)
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(value) for conn_id, value in values.items()}


def connection_values(simulator: Simulator, switchboard_url: str) -> dict[str, dict[str, Any]]:
    """
    Return the two connections by their ids, each as Airflow reads it from JSON.

    :param simulator: What they lead to.
    :param switchboard_url: Where the switchboard answers.
    """
    realtime = {
        "conn_type": "openai_realtime",
        "password": simulator.api_key,
        "host": simulator.openai_base_url,
        "extra": {"webhook_secret": simulator.webhook_secret, "switchboard_url": switchboard_url},
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
    return {CONN_ID: realtime, CARRIER_CONN_ID: carrier}


def switchboard_app(
    simulator: Simulator,
    directory: Path,
    settings: SwitchboardSettings | None = None,
    *,
    now: Callable[[], datetime] | None = None,
    task_states: AskTaskState | None = None,
    leave_result: LeaveResult | None = None,
) -> Any:
    """
    Make a switchboard whose line is the simulator's.

    :param simulator: Where calls come from.
    :param directory: Where its database is kept.
    :param settings: Those of the switchboard; its own defaults when left out.
    :param now: Its clock; the time when left out.
    :param task_states: Says how an Airflow task is, as in Airflow's API server.
    :param leave_result: Leaves the result of a killed task's call in Airflow, likewise.
    """
    from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
    from airflow_openai_realtime.calls.lines import Line, StaticLines
    from airflow_openai_realtime.calls.tokens import derived_token
    from airflow_openai_realtime.switchboard.server.app import create_app
    from airflow_openai_realtime.switchboard.server.service import utc_now
    from airflow_openai_realtime.switchboard.server.store import Store
    from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

    secret = simulator.webhook_secret
    api = ApiSettings(api_key=simulator.api_key, endpoints=endpoints_for(base_url=simulator.openai_base_url))
    line = Line(name=CONN_ID, api=api, webhook_secrets=(secret,), token=derived_token(secret))
    store = Store(f"sqlite:///{directory}/calls.db")
    return create_app(
        store,
        StaticLines([line]),
        settings=settings or SwitchboardSettings(),
        now=now or utc_now,
        task_states=task_states,
        leave_result=leave_result,
    )


def _result_of(run: Any, task_id: str) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    query = XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id, task_ids=task_id, key="return_value")
    with create_session() as session:
        row = session.scalars(query).first()
        return None if row is None else XComModel.deserialize_value(row)
