"""
What people see of a task in Airflow: its label, its rendered fields, its link, and whom its result names.

Fields are rendered and serialized by Airflow's own functions, as its task runner does it.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow_world import OUR_NUMBER, World, context, run_task

from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    HangupCallOperator,
    PlaceCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.operators.call_task import call_of
from airflow_openai_realtime.operators.place import PlaceCallOperator as Place
from airflow_openai_realtime.sensors import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import move_attempt
from airflow_openai_realtime.ui import path_of_attempt, path_of_call, path_of_claimed

AIRFLOW = tuple(map(int, version("apache-airflow-core").split(".")[:2]))
PHONE, OTHER = "+14155550142", "+14155550143"
CALL = {
    "call_id": "rtc_u1_4155550142",
    "from_number": PHONE,
    "to_number": OTHER,
    "headers": {"from": f"<sip:{PHONE}@carrier.example>"},
    "received_at": "2026-11-30T08:00:00.123456+00:00",
    "claimed_by": "dag/run/task/-1",
}
PLACED_CALL = {**CALL, "from_number": OTHER, "contact": "ann", "to_masked": "+1***0142", "campaign": "c", "attempt": 2}


class Rendered:
    """A task as the task runner has it after rendering, with what Airflow stores of it."""

    def __init__(self, make: Any, map_index: int = -1, *, native: bool = False) -> None:
        with DAG("shown", schedule=None, render_template_as_native_obj=native) as dag:
            made = make()
        ti = SimpleNamespace(map_index=map_index, task_id="t", run_id="run", dag_id="shown", is_mapped=map_index >= 0)
        airflow: dict[str, Any] = {"ti": ti, "task": made, "params": {}, "dag": dag, "number": PHONE, "call": CALL}
        airflow["dag_run"] = SimpleNamespace(conf={})
        self.environment = dag.get_template_env()
        made.render_template_fields(airflow, self.environment)
        self.task = airflow["task"]
        self.template = made.map_index_template
        self.fields = _serialize_rendered_fields(self.task)
        self.context = airflow

    @property
    def label(self) -> str:
        """As ``_render_map_index`` of Airflow's task runner makes it."""
        if self.template is None and AIRFLOW < (3, 3):
            pytest.skip("Airflow 3.2 takes no defaults of mapped tasks from an operator's signature")
        assert self.template is not None
        made: str = self.environment.from_string(self.template).render(self.context)
        return made


PLAIN = {
    "literal": lambda: PlaceCallOperator(task_id="t", to=PHONE, campaign="c", contact=PHONE),
    "template": lambda: PlaceCallOperator(task_id="t", to="{{ number }}", campaign="c"),
    "call": lambda: AcceptCallOperator(task_id="t", call="{{ call | tojson }}"),
    "dict": lambda: WatchCallOperator(task_id="t", call=CALL),
    "hang up": lambda: HangupCallOperator(task_id="t", call=CALL),
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("native", [False, True])
def test_rendered_fields_hold_no_full_number(kind: str, native: bool) -> None:
    stored = json.dumps(Rendered(PLAIN[kind], native=native).fields)
    assert "55501" not in stored.replace("rtc_u1_4155550142", "")
    assert "1***0142" in stored


def test_a_mapped_task_works_with_the_number_that_it_shows_masked() -> None:
    shown = Rendered(lambda: Place.partial(task_id="t", campaign="c").expand(to=[OTHER, PHONE]), 1)
    assert shown.fields["to"] == "+1***0142"
    assert shown.task._parameters().ledger_key() == ("c", PHONE, 1)


def test_a_task_that_is_rendered_twice_keeps_its_number() -> None:
    shown = Rendered(PLAIN["template"])
    shown.task.render_template_fields(shown.context, shown.environment)
    assert shown.task._parameters().ledger_key()[1] == PHONE
    assert shown.task.to == "+1***0142"


def test_the_call_is_found_in_the_field_that_is_shown_masked() -> None:
    shown = Rendered(PLAIN["call"])
    assert call_of(shown.task).call_id == CALL["call_id"]


def placing(**given: Any) -> Any:
    return lambda: Place.partial(task_id="t", campaign="c", **given).expand(to=[PHONE])


def on_call(operator: Any, call: dict[str, Any]) -> Any:
    return lambda: operator.partial(task_id="t").expand(call=[call])


BOTH_GIVEN = [{"to": PHONE, "contact": PHONE}]
MAPPED = {
    "contact and number": (placing(contact="ann"), "ann (+1***0142)"),
    "number alone": (placing(), "+1***0142"),
    "number as contact": (lambda: Place.partial(task_id="t", campaign="c").expand_kwargs(BOTH_GIVEN), "+1***0142"),
    "customer id": (placing(contact="4711000815"), "4711000815 (+1***0142)"),
    "caller": (on_call(AcceptCallOperator, CALL), "+1***0142"),
    "contact of a placed call": (on_call(AcceptCallOperator, PLACED_CALL), "ann (+1***0142)"),
    "watched": (on_call(WatchCallOperator, PLACED_CALL), "ann (+1***0142)"),
    "id alone": (lambda: HangupCallOperator.partial(task_id="t").expand(call_id=["rtc_1"]), "rtc_1"),
    "nothing yet": (lambda: IncomingCallSensor.partial(answer=True, task_id="t").expand(to=["+14155550100"]), ""),
    "given by the author": (placing(map_index_template="{{ task.campaign }}"), "c"),
}


@pytest.mark.parametrize("kind", MAPPED)
@pytest.mark.parametrize("native", [False, True])
def test_a_mapped_task_is_called_after_the_person(kind: str, native: bool) -> None:
    make, label = MAPPED[kind]
    shown = Rendered(make, 0, native=native).label or ""
    assert shown.replace("+", "") == label.replace("+", "")
    assert native or shown == label


@pytest.mark.parametrize("contact", [42, "42", "[1]", "{'a': 1}", "'", "{{", "\u05d0" * 400, ["x"], {"y": 1}])
@pytest.mark.parametrize("native", [False, True])
def test_no_contact_makes_a_label_that_fails_the_task(contact: Any, native: bool) -> None:
    """Airflow measures a label with ``len``, so natively rendered it must not turn into something else."""
    shown = Rendered(placing(), 0, native=native)
    for task, number in ((shown.task, PHONE), (shown.task, 14155550142), (shown.task, None)):
        task._plain_fields = {"contact": contact, "to": number}
        assert isinstance(shown.label, str)
        assert len(shown.label) <= 250


def test_the_result_of_a_placed_call_names_the_contact_and_no_full_number(world: World) -> None:
    kept = run_task(PlaceCallOperator(task_id="t", to=PHONE, campaign="c", contact="ann", attempt=2))
    assert (kept["contact"], kept["campaign"], kept["attempt"], kept["to_masked"]) == ("ann", "c", 2, "+1***0142")
    unnamed = run_task(PlaceCallOperator(task_id="t", to=OTHER, campaign="c"))
    assert unnamed["contact"] == "+1***0143"
    assert "55501" not in json.dumps(unnamed)


def test_who_waits_for_a_placed_call_finds_its_outcome_though_the_contact_is_masked(world: World) -> None:
    from airflow_openai_realtime.outbound.placed import outcome_before, read_placed

    placed = run_task(PlaceCallOperator(task_id="t", to=PHONE, campaign="c"))
    with world.client() as client:
        client.send(move_attempt(placed["attempt_id"], "placed", "ended", outcome="busy"))
        reference = read_placed(placed)
        assert reference is not None
        assert outcome_before(client, reference) == "busy"


def test_a_placed_call_is_linked_from_its_task_before_it_has_come_in(world: World) -> None:
    task = PlaceCallOperator(task_id="t", to=PHONE, campaign="c")
    placed = run_task(task)
    (link,) = task.operator_extra_links
    assert link.get_link(task, ti_key=None).endswith(path_of_attempt("openai_realtime_default", placed["attempt_id"]))


@pytest.mark.parametrize("waits", [False, True], ids=["rings", "rings later"])
def test_a_whole_call_is_linked_from_its_task_while_it_lives(world: World, waits: bool) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    task = IncomingCallSensor(answer=True, task_id="t", to=OUR_NUMBER, wait_for_end=True)
    (link,) = task.operator_extra_links
    call_id = None if waits else world.ring(script=PhoneScript.talks_for_ever())
    with pytest.raises(TaskDeferred):
        run_task(task)
    ti = context()["ti"]
    name = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    conn_id = "openai_realtime_default"
    path = path_of_claimed(conn_id, name) if call_id is None else path_of_call(conn_id, call_id)
    assert link.get_link(task, ti_key=ti).endswith(path)


@pytest.mark.parametrize(
    "task",
    [
        IncomingCallSensor(answer=True, task_id="t", to="+14155550100"),
        IncomingCallSensor(task_id="t", to="+14155550100"),
        WatchCallOperator(wait_for_end=False, task_id="t", order="day"),
    ],
    ids=lambda task: type(task).__name__,
)
def test_a_task_that_waits_is_linked_to_whatever_call_it_gets(world: World, task: Any) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    (link,) = task.operator_extra_links
    ti = context()["ti"]
    assert link.get_link(task, ti_key=ti) == ""
    with pytest.raises(TaskDeferred):
        run_task(task)
    name = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    assert link.get_link(task, ti_key=ti).endswith(path_of_claimed("openai_realtime_default", name))
