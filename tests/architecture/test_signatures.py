"""An operator is read in its signature: parameters, defaults, documentation, and no class of ours above it but one."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
from tests.unit.operators.every_operator import KINDS, Kind, found_in_package

import airflow_openai_realtime
from airflow_openai_realtime.operators.call_task import CallTask

OPERATORS = sorted(found_in_package(), key=lambda each: each.__name__)
PACKAGE = Path(airflow_openai_realtime.__file__).parent
#: What every task has of its own, whichever way it was made.
EACH_ONES_OWN = {"task_id", "passed", "log", "_log"}


def parameters_of(operator: type[Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(operator).parameters)


def documented(operator: type[Any]) -> list[str]:
    return re.findall(r"^ *:param (\w+):", inspect.getdoc(operator) or "", re.MULTILINE)


def ours_above(operator: type[Any]) -> set[type]:
    return {each for each in operator.__mro__[1:] if each.__module__.startswith("airflow_openai_realtime")}


def airflows(operator: type[Any]) -> set[str]:
    """Parameters that Airflow documents, not we, unless we change their defaults."""
    base = BaseSensorOperator if issubclass(operator, BaseSensorOperator) else BaseOperator
    return {name for each in base.__mro__ for name in inspect.signature(each).parameters} - {"self"}


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_signature_is_what_the_docstring_says(operator: type[Any]) -> None:
    parameters = parameters_of(operator)
    kwargs = parameters.pop("kwargs")
    assert documented(operator) == list(parameters)
    assert kwargs.kind is inspect.Parameter.VAR_KEYWORD
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert [name for name, each in parameters.items() if each.annotation is inspect.Parameter.empty] == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_only_what_a_task_cannot_do_without_has_no_default(operator: type[Any]) -> None:
    without = {name for name, each in parameters_of(operator).items() if each.default is inspect.Parameter.empty}
    needed = {"PlaceCallOperator": {"to", "campaign"}, "ReferCallOperator": {"target_uri"}}
    needed |= {name: {"name"} for name in ("OpenLineOperator", "CloseLineOperator")}
    assert without - {"kwargs"} == needed.get(operator.__name__, set())


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_is_left_to_kwargs_is_airflow_s_alone(operator: type[Any]) -> None:
    """A parameter that is not in the signature and that Airflow does not know is refused."""
    kind = next(each for each in KINDS.values() if each.operator is operator)
    with pytest.raises(TypeError, match="no_such_parameter"):
        kind.plain(no_such_parameter=1)
    attributes = vars(kind.plain())
    ours = {name for name in parameters_of(operator) if name != "kwargs" and name not in airflows(operator)}
    assert ours <= set(attributes)


@pytest.mark.parametrize("operator", OPERATORS)
def test_between_an_operator_and_airflow_there_is_one_class(operator: type[Any]) -> None:
    assert ours_above(operator) == {CallTask}
    assert operator.__bases__ in ((CallTask,), (CallTask, BaseSensorOperator))


def test_that_class_has_no_parameters_and_does_no_work() -> None:
    assert "__init__" not in vars(CallTask)
    assert not {"execute", "execute_complete", "on_kill"} & set(vars(CallTask))


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_has_its_own_execute(operator: type[Any]) -> None:
    assert "execute" in vars(operator)
    assert "__init__" in vars(operator)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_template_fields_are_attributes_from_the_start(kind: Kind) -> None:
    task = kind.plain()
    assert set(kind.operator.template_fields) <= set(vars(task))
    assert set(kind.operator.masked_fields) <= set(kind.operator.template_fields)
    assert set(kind.operator.template_fields_renderers) <= set(kind.operator.template_fields)
    assert len(set(kind.operator.template_fields)) == len(kind.operator.template_fields)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_one_of_a_mapped_task_s_instances_is_like_a_plain_task(kind: Kind) -> None:
    names = [*parameters_of(kind.operator)]
    with DAG("plain", schedule=None):
        plain = kind.plain()
    with DAG("mapped", schedule=None):
        mapped = kind.operator.partial(task_id="t", **kind.given).expand(**kind.mapped_over)
    one = mapped.unmap({name: values[0] for name, values in kind.mapped_over.items()})
    assert seen(one, names) == seen(plain, names)


def seen(task: Any, names: list[str]) -> dict[str, Any]:
    mine = vars(task)
    return {name: mine.get(name) for name in (*names, "_given") if name not in EACH_ONES_OWN}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_not_given_is_the_default_of_the_signature(kind: Kind) -> None:
    """As the scheduler reads it for a mapped task, which is never made there."""
    parameters, task = parameters_of(kind.operator), vars(kind.plain())
    given = {"kwargs", "retry_delay", *kind.least}
    depends_on_others = {"max_duration_seconds"} if kind.operator.__name__ == "PlaceCallOperator" else set()
    for name in set(parameters) - given - depends_on_others:
        assert task[name] == parameters[name].default, name


@pytest.mark.parametrize(
    "path", sorted([*PACKAGE.glob("operators/*.py"), *PACKAGE.glob("sensors/*.py")]), ids=lambda path: path.stem
)
def test_no_attribute_is_looked_up_by_a_name_in_a_string(path: Path) -> None:
    called = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert [ast.unparse(node) for node in called if ast.unparse(node.func) == "getattr"] == []
