"""Every template field of every operator and sensor: literal, template, native rendering, mapped, emptied, and None."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from inspect import signature
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.definitions._internal.mixins import ResolveMixin
from airflow_world import run_task
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.operators.every_operator import KINDS, Kind

from airflow_openai_realtime.calls.parameters import MAY_BE_EMPTY, check_not_emptied
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    ClaimCallsOperator,
    OpenLineOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.operators.template_fields import TEXT_FIELDS
from airflow_openai_realtime.testing.local_airflow import make_known

WAYS = ("plain", "partial", "expand", "expand_kwargs")
#: How parameters are annotated that take text, or text by name, and nothing else.
OF_TEXT = ("str", "Mapping[str, str]", "Mapping[str, str] | str")
#: Text that Python reads as something else.
TEXTS = st.one_of(
    st.sampled_from(
        ["+14155550142", "0017", "17", "1e5", "1_000", "True", "()", "'x'", "[draft] be nice", "{1, 2}", "0x1F"]
    ),
    st.text(st.characters(exclude_categories=["C"], exclude_characters="{}"), min_size=1, max_size=20),
)
#: What templates and other tasks give when there is nothing.
NOTHING = [None, "", "  ", "None", "none", "null", {}, []]


class Result(ResolveMixin):
    """The result of another task."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def iter_references(self) -> Iterator[Any]:
        """None that a DAG must know."""
        return iter(())

    def resolve(self, context: Any) -> Any:
        """Return it."""
        return self.value


@dataclass
class RunningTask:
    """The task instance as far as the rendering of mapped tasks goes."""

    task: Any
    map_index: int = 0
    is_mapped: bool = True


@dataclass
class Run:
    """The DAG run as far as the rendering of mapped tasks goes."""

    conf: dict[str, Any] = field(default_factory=dict)


def rendered(kind: Kind, field: str, value: Any, known: dict[str, Any], *, native: bool, way: str = "plain") -> Any:
    """A task as it runs, rendered by Airflow: plain, or an instance of a mapped one."""
    operator, more = kind.operator, kind.without(field)
    with DAG("d", schedule=None, render_template_as_native_obj=native) as dag:
        if way == "plain":
            operator(task_id="t", **more, **{field: value})
        elif way == "partial":
            operator.partial(task_id="t", **more, **{field: value}).expand(pool=["default_pool"])
        elif way == "expand":
            operator.partial(task_id="t", **more).expand(**{field: [value]})
        else:
            operator.partial(task_id="t", **more).expand_kwargs([{field: value}])
    running = dag.get_task("t").prepare_for_execution()
    context: Any = {**known, "ti": RunningTask(running), "dag": dag, "task": running, "dag_run": Run()}
    running.render_template_fields(context)
    return context["task"]


def recording(operator: type[Any], errors: list[str]) -> type[Any]:
    """An operator that notes what its tasks fail with."""

    class Recording(operator):  # type: ignore[misc, valid-type]
        def execute(self, context: Any) -> Any:
            try:
                return super().execute(context)
            except Exception as error:
                errors.append(str(error))
                raise

    return Recording


def fields_of(kind: Kind, *, text: bool) -> list[str]:
    return [name for name in kind.fields if (name in TEXT_FIELDS) is text]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_field_that_takes_text_alone_is_rendered_as_text(kind: Kind) -> None:
    annotations = {name: str(each.annotation) for name, each in signature(kind.operator).parameters.items()}
    text = {name for name in kind.fields if annotations[name].removesuffix(" | None") in OF_TEXT}
    assert text
    assert text - TEXT_FIELDS == set()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_text_stays_text(kind: Kind, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(fields_of(kind, text=True)))
    native, way, text = data.draw(st.booleans()), data.draw(st.sampled_from(WAYS)), data.draw(TEXTS)
    both = "{{ value }}{{ number }}"
    templates = {"{{ value }}": text, both: f"{text}17", "+{{ number }}": "+17", "{{ number }}": "17"}
    template = data.draw(st.sampled_from(sorted(templates)))
    task = rendered(kind, name, template, {"value": text, "number": 17}, native=native, way=way)
    assert as_used(task, name) == templates[template]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_phone_number_in_a_template_is_not_made_a_number(kind: Kind) -> None:
    for name in fields_of(kind, text=True):
        for way in WAYS:
            task = rendered(kind, name, "{{ value }}", {"value": "+14155550142"}, native=True, way=way)
            assert as_used(task, name) == "+14155550142"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (KINDS["wait"], "headers", {"X-Order": "{{ order }}"}),
        (KINDS["open"], "caller_fields", {"order": "headers.{{ order }}"}),
        (
            KINDS["watch"],
            "transfer_to",
            {"desk": {"target_uri": "tel:+1415555{{ order }}", "description": "1"}},
        ),
        (
            KINDS["accept"],
            "session",
            {"instructions": "{{ order }}", "tools": [{"name": "{{ order }}"}]},
        ),
    ],
)
def test_text_stays_text_at_any_depth(kind: Kind, field: str, native: bool, value: Any) -> None:
    def filled(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: filled(item) for key, item in each.items()}
        return [filled(item) for item in each] if isinstance(each, list) else each.replace("{{ order }}", "0142")

    found = getattr(rendered(kind, field, value, {"order": "0142"}, native=native), field)
    assert found == filled(value)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_rendered_natively_an_object_stays_that_object(kind: Kind) -> None:
    for name in fields_of(kind, text=False):
        for value in ({"a": [1, "2"]}, [1, "2"], 5, 0.5, datetime(2030, 1, 1, tzinfo=timezone.utc), timedelta(1)):
            found = getattr(rendered(kind, name, "{{ value }}", {"value": value}, native=True), name)
            assert found == value
            assert type(found) is type(value)
        assert getattr(rendered(kind, name, "{{ value }}", {"value": "[1]"}, native=True), name) == "[1]"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_comes_out_empty_is_refused_before_anything_is_done(kind: Kind, native: bool) -> None:
    for name in set(kind.fields) - MAY_BE_EMPTY:
        for nothing in NOTHING:
            known = {"value": nothing}
            assert refused_as_empty(rendered(kind, name, "{{ value }}", known, native=native)) == name
            assert refused_as_empty(rendered(kind, name, "{{ value }}", known, native=native, way="partial")) == name
            assert refused_as_empty(rendered(kind, name, Result(nothing), {}, native=native)) == name


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_explicit_none_is_not_given(kind: Kind) -> None:
    for name in kind.fields:
        for way in WAYS:
            try:
                task = rendered(kind, name, None, {}, native=False, way=way)
            except InvalidInput:
                continue  # None is no value for it, and is refused by name
            task.check_given()


def as_used(task: Any, name: str) -> Any:
    """A rendered field as the task uses it; Airflow keeps some of them masked."""
    return task.plain(name)


def refused_as_empty(running: Any) -> str | None:
    """The field for which a task refuses to run since it came out empty; it gets no further than its connection."""
    try:
        run_task(running)
    except InvalidInput as error:
        return error.field if "is set, but it is empty now" in str(error) else None
    except Exception:
        return None
    return None


def test_a_part_of_a_condition_that_comes_out_empty_is_named() -> None:
    sensor = rendered(KINDS["wait"], "headers", {"X-A": "a", "X-B": "{{ b }}"}, {"b": None}, native=False)
    with pytest.raises(InvalidInput, match=r"headers\.X-B is set, but it is empty"):
        run_task(sensor)


def test_what_the_author_wrote_empty_is_left_alone() -> None:
    check_not_emptied({"tools": [], "headers": {}, "uses": None}, {"tools": [], "headers": {}, "uses": None})


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if "headers" in kind.fields])
def test_an_empty_pattern_is_refused_when_the_dag_is_parsed(kind: str) -> None:
    with pytest.raises(InvalidInput, match="must be a non-empty text"):
        KINDS[kind].plain(to="")


def test_a_value_of_another_task_is_no_template(airflow_db: object) -> None:
    """A caller's text with braces in it is not rendered in a task that is mapped over calls."""
    seen: list[Any] = []

    class Seeing(ClaimCallsOperator):
        def execute(self, context: Any) -> Any:
            seen.append(self.conf)
            return []

    with DAG("hostile", schedule=None, render_template_as_native_obj=True) as dag:

        @task
        def calls() -> list[str]:
            return ["{{ dag.dag_id }}", "plain"]

        Seeing.partial(task_id="t", trigger_dag_id="talk").expand(conf=calls())
    make_known(dag)
    assert dag.test().state == "success"
    assert sorted(seen) == ["plain", "{{ dag.dag_id }}"]


@pytest.mark.parametrize("how", ["expand", "expand_kwargs", "plain"])
def test_a_limit_that_another_task_leaves_out_is_refused(airflow_db: object, how: str) -> None:
    errors: list[str] = []
    Opening = recording(OpenLineOperator, errors)

    with DAG(f"limits_{how}", schedule=None) as dag:

        @task
        def limit() -> Any:
            return {"expand": [None], "expand_kwargs": [{"uses": None}], "plain": None}[how]

        given = {"task_id": "t", "name": "hours"}
        if how == "expand":
            Opening.partial(**given).expand(uses=limit())
        elif how == "expand_kwargs":
            Opening.partial(**given).expand_kwargs(limit())
        else:
            Opening(**given, uses=limit())
    make_known(dag)
    assert dag.test().state == "failed"
    assert len(errors) == 1
    assert "uses is set, but it is empty" in errors[0]


@pytest.mark.parametrize("how", ["expand", "expand_kwargs"])
@pytest.mark.parametrize("field", ["functions", "result_model"])
def test_another_task_cannot_name_the_code_that_runs_in_a_call(airflow_db: object, how: str, field: str) -> None:
    errors: list[str] = []
    Accepting = recording(AcceptCallOperator, errors)

    with DAG(f"code_{how}_{field}", schedule=None) as dag:

        @task
        def named() -> Any:
            value = ["os.system"] if field == "functions" else "os.system"
            return [value] if how == "expand" else [{field: value}]

        mapped = Accepting.partial(task_id="t", call_id="rtc_1", wait_for_end=True, retries=0)
        mapped.expand(**{field: named()}) if how == "expand" else mapped.expand_kwargs(named())
    make_known(dag)
    assert dag.test().state == "failed"
    assert "names code to run and came from another task" in errors[0]


@pytest.mark.parametrize(
    "value", ["{{ params.code }}", ["{{ params.code }}"], [{"path": "{{ params.code }}"}], Result("x")]
)
@pytest.mark.parametrize("field", ["functions", "result_model"])
def test_a_template_cannot_name_the_code_that_runs_in_a_call(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{field} names code to run"):
        WatchCallOperator(task_id="t", call_id="rtc_1", **{field: value})
