from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DagResult, ErrorResponse, GetDag, OKResponse, TriggerDagRun
from airflow_world import CALLER, OUR_NUMBER, World, run_task

from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput
from airflow_openai_realtime.operators import ClaimCallsOperator
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call


class Supervisor:
    """The task's supervisor, with the answers of Airflow's API server; tests/contract holds them against a real one."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], dict[str, Any]] = {}
        self.orders = 0
        self.paused = False
        self.error: ErrorResponse | None = None

    def send(self, msg: Any) -> Any:
        if isinstance(msg, GetDag):
            return DagResult.model_construct(dag_id=msg.dag_id, is_paused=self.paused)
        assert isinstance(msg, TriggerDagRun)
        self.orders += 1
        if self.error is not None:
            raise AirflowRuntimeError(self.error)
        if (msg.dag_id, msg.run_id) in self.runs:
            return ErrorResponse(error=ErrorType.DAGRUN_ALREADY_EXISTS)
        self.runs[msg.dag_id, msg.run_id] = msg.conf or {}
        return OKResponse(ok=True)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


def start(**kwargs: Any) -> Any:
    return run_task(ClaimCallsOperator(task_id="start", trigger_dag_id="talk", **kwargs))


def test_each_call_that_rings_gets_a_run_named_after_it(world: World, supervisor: Supervisor) -> None:
    ids = [world.ring() for _ in range(3)]
    assert start() == [f"call__{call_id}" for call_id in ids]
    assert list(supervisor.runs) == [("talk", f"call__{call_id}") for call_id in ids]


def test_a_run_is_told_which_call_it_is_for_and_nothing_personal(world: World, supervisor: Supervisor) -> None:
    call_id = world.ring()
    start(conf={"shop": "Example Stores", "call_id": "mine"})
    (conf,) = supervisor.runs.values()
    row = world.row(call_id)
    assert conf == {
        "shop": "Example Stores",
        "call_id": call_id,
        "line": row.line,
        "received_at": row.received_at.isoformat(),
    }
    assert CALLER not in str(conf)


def test_looking_again_starts_no_second_run(world: World, supervisor: Supervisor) -> None:
    first = world.ring()
    start()
    second = world.ring()
    assert start() == [f"call__{second}"]
    assert supervisor.orders == 3
    assert [run_id for _, run_id in supervisor.runs] == [f"call__{first}", f"call__{second}"]


def test_only_calls_that_match_and_that_nobody_has_get_a_run(world: World, supervisor: Supervisor) -> None:
    world.ring(to="+14155550177")
    world.ring(headers=[("X-Correlation-Id", "of-a-campaign")])
    claimed = world.ring()
    with world.client() as client:
        client.send(claim_call(claimed, "somebody"))
    wanted = world.ring()
    assert start(to=OUR_NUMBER) == [f"call__{wanted}"]


def test_the_call_stays_unclaimed_so_that_other_safety_nets_hold(world: World, supervisor: Supervisor) -> None:
    call_id = world.ring()
    start()
    assert world.row(call_id).state == "ringing"


def test_a_paused_dag_is_refused_while_somebody_calls(world: World, supervisor: Supervisor) -> None:
    supervisor.paused = True
    assert start() == []
    world.ring()
    with pytest.raises(ConfigurationError, match="paused"):
        start()
    assert supervisor.orders == 0


def test_what_airflow_refuses_fails_the_task(world: World, supervisor: Supervisor) -> None:
    world.ring()
    supervisor.error = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404})
    with pytest.raises(ConfigurationError, match="talk"):
        start()


def test_what_cannot_be_used_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidInput, match="trigger_dag_id"):
        ClaimCallsOperator(task_id="start", trigger_dag_id="")
    with pytest.raises(InvalidInput, match="to"):
        ClaimCallsOperator(task_id="start", trigger_dag_id="talk", to=5)  # type: ignore[arg-type]


def test_everything_is_templated() -> None:
    operator = ClaimCallsOperator(task_id="start", trigger_dag_id="{{ params.dag }}", to="{{ params.to }}")
    assert all(hasattr(operator, name) for name in operator.template_fields)
    operator.render_template_fields({"params": {"dag": "talk", "to": "+1*"}})  # type: ignore[typeddict-item]
    assert (operator.trigger_dag_id, operator.to) == ("talk", "+1*")
