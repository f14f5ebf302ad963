"""A mapped task has the defaults of a plain one, as the scheduler reads them from the serialized DAG."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from airflow.sdk import DAG
from airflow.sdk.bases.operator import OPERATOR_DEFAULTS
from airflow.serialization.serialized_objects import DagSerialization
from packaging.version import Version
from tests.unit.operators.every_operator import KINDS, Kind, found_in_package

from airflow_openai_realtime import operators, sensors

since_airflow_3_3 = pytest.mark.skipif(
    Version(airflow_version) < Version("3.3.0"),
    reason="Airflow 3.2 takes no defaults of mapped tasks from an operator's signature",
)

STAYING = ("accept and stay", "wait, answer and stay", "place and stay", "watch")
#: What the scheduler and the page read of a task, besides what only one kind of task has.
READ = (
    # Airflow 3.3 does not show the last of these for a mapped task, whatever the operator is.
    *sorted(set(OPERATOR_DEFAULTS) - {"allow_nested_operators", "wait_for_past_depends_before_skipping"}),
    "pool",
    "max_retry_delay",
    "max_active_tis_per_dag",
    "max_active_tis_per_dagrun",
    "template_fields",
    "template_fields_renderers",
    "ui_color",
)


def stored(make: Callable[[], object], **dag_arguments: Any) -> Any:
    """The only task of a DAG as it comes back from the serialized form, by way of JSON."""
    with DAG("mapped_or_plain", schedule=None, **dag_arguments) as dag:
        make()
    back = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    (task,) = back.task_dict.values()
    return task


def seen(task: Any) -> dict[str, object]:
    found = {name: getattr(task, name) for name in READ if hasattr(task, name)}
    found["weight_rule"] = type(found["weight_rule"]).__name__
    found["retry_exponential_backoff"] = float(found["retry_exponential_backoff"])
    return {name: str(value) for name, value in found.items()}


def test_the_table_of_operators_is_complete() -> None:
    used = {kind.operator for kind in KINDS.values()}
    assert used == found_in_package()
    assert {each.__name__ for each in used} == {*operators.__all__, *sensors.__all__}


@since_airflow_3_3
@pytest.mark.parametrize("default_args", [{}, {"retries": 7, "retry_delay": 40, "pool": "phones", "queue": "voice"}])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_mapped_task_has_the_defaults_of_a_plain_one(kind: Kind, default_args: dict[str, Any]) -> None:
    plain = stored(kind.plain, default_args=default_args)
    mapped = stored(
        lambda: kind.operator.partial(task_id="t", **kind.given).expand(**kind.mapped_over), default_args=default_args
    )
    assert mapped.is_mapped
    assert not plain.is_mapped
    assert seen(mapped) == seen(plain)


@since_airflow_3_3
@pytest.mark.parametrize("name", STAYING)
def test_a_task_that_stays_with_its_call_is_tried_again_three_times_a_second_apart(name: str) -> None:
    kind = KINDS[name]
    mapped = stored(lambda: kind.operator.partial(task_id="t", **kind.given).expand(**kind.mapped_over))
    assert (mapped.retries, mapped.retry_delay.total_seconds()) == (3, 1)
