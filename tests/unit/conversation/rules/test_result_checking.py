from __future__ import annotations

from typing import Any

import pytest
from tests.unit.conversation import tool_samples
from tests.unit.conversation.talk import SCHEMA

from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.result_checking import check_result

PATH = "tests.unit.conversation.tool_samples."


def plan(model: Any = None) -> ConversationPlan:
    schema = getattr(tool_samples, model).model_json_schema() if model else SCHEMA
    return ConversationPlan(result_schema=schema, result_model=PATH + model if model else None)


def test_a_record_that_fits_the_schema_is_the_result() -> None:
    answer = check_result(plan(), '{"agreed": true}')
    assert answer.status == "ok"
    assert answer.detail == {"value": {"agreed": True}, "valid": True, "problems": []}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"agreed": "perhaps Herr Meier"}', "agreed: must be boolean"),
        ("{}", "the record: needs all of agreed"),
        ("[]", "the record: must be object"),
        ("Herr Meier", "the arguments are not valid JSON"),
        ('{"agreed": NaN}', "the arguments are not valid JSON"),
        ("[" * 10_000, "the arguments are not valid JSON"),
        ('{"agreed": true, "x": "' + "y" * 50_000 + '"}', "the record is too long: shorten its texts"),
    ],
)
def test_what_is_wrong_is_told_without_what_was_said(arguments: str, problem: str) -> None:
    answer = check_result(plan(), arguments)
    assert answer.status == "invalid"
    assert answer.detail["problems"] == [problem]
    assert problem in answer.output
    assert "Meier" not in answer.output
    assert answer.log == ""


def test_a_class_is_checked_beside_its_schema_and_gives_json() -> None:
    answer = check_result(plan("Agreement"), '{"agreed": true, "day": "2026-12-01"}')
    assert answer.detail["value"] == {"agreed": True, "day": "2026-12-01", "items": []}


def test_values_that_a_class_brings_itself_are_plain_data_too() -> None:
    answer = check_result(plan("Stamped"), '{"agreed": true}')
    source = {"x__type": "airflow.sdk.definitions.connection.Connection"}
    assert answer.detail["value"] == {"agreed": True, "number": str(10**30), "source": source}


def test_what_only_the_class_knows_is_found() -> None:
    answer = check_result(plan("Agreement"), '{"agreed": true, "day": "1999-12-01"}')
    assert answer.detail["problems"] == ["day: Value error, must not be in the past"]


def test_a_place_inside_is_named() -> None:
    answer = check_result(plan("Agreement"), '{"agreed": true, "items": [{"name": "pizza", "amount": 0}]}')
    assert answer.detail["problems"] == ["items.0.amount: does not fit minimum 1"]


@pytest.mark.parametrize("model", ["Broken", "Gone"])
def test_a_class_that_cannot_check_leaves_it_to_the_schema(model: str) -> None:
    broken = ConversationPlan(result_schema=SCHEMA, result_model=PATH + model)
    answer = check_result(broken, '{"agreed": true}')
    assert answer.status == "ok"
    assert "only with its schema" in answer.log
    assert "Meier" not in answer.log
    assert check_result(broken, "{}").status == "invalid"
