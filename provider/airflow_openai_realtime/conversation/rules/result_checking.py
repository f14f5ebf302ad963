"""
Check what the model recorded, and describe problems to it.

A problem names the field and the expected value, never the recorded value, which may be personal data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow_openai_realtime.api.untrusted import DEEPEST_RECORD, is_deeper, tame
from airflow_openai_realtime.calls.timeline.entries import LONGEST_TEXT, is_small
from airflow_openai_realtime.conversation.author_functions import load_object
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan

MOST_PROBLEMS = 10
_RECORDED = "It was recorded."


def check_result(plan: ConversationPlan, arguments: str) -> ToolAnswer:
    """
    Check a record. Blocks, since it may import the class of ``result_model``.

    :param plan: Plan with ``result_schema``, and perhaps ``result_model``.
    :param arguments: JSON text from the model, untrusted.
    :return: Answer with status ``ok`` or ``invalid``; its ``detail`` has ``value``, ``valid`` and ``problems``.
    """
    try:
        value = json.loads(arguments or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _invalid(tame(arguments[:LONGEST_TEXT]), ["the arguments are not valid JSON"])
    if is_deeper(value, DEEPEST_RECORD):
        return _invalid(None, [f"the record is nested too deeply: use at most {DEEPEST_RECORD} levels"])
    value = tame(value)
    if not is_small(value):
        return _invalid(None, ["the record is too long: shorten its texts"])
    log = ""
    try:
        value, problems = _checked(plan, value)
    except Exception as error:
        # The class cannot be imported here, or its validators raise an unexpected error.
        log = f"the result cannot be checked with {plan.result_model} ({type(error).__name__}), only with its schema"
        problems = _schema_problems(plan.result_schema or {}, value)
    if problems:
        return _invalid(value, problems, log)
    return ToolAnswer("ok", _RECORDED, log, {"value": value, "valid": True, "problems": []})


def _checked(plan: ConversationPlan, value: Any) -> tuple[Any, list[str]]:
    problems = _schema_problems(plan.result_schema or {}, value)
    if plan.result_model is None or problems:
        return value, problems
    from pydantic import ValidationError

    model = load_object(plan.result_model)
    try:
        checked = model.model_validate(value)
    except ValidationError as error:
        return value, _problems_of(error.errors(include_url=False, include_context=False, include_input=False))
    # A class may add values, and keep fields that it does not know.
    return tame(checked.model_dump(mode="json"), deepest=DEEPEST_RECORD), []


def _problems_of(errors: list[Any]) -> list[str]:
    return [f"{_place(error['loc'])}: {error['msg']}" for error in errors[:MOST_PROBLEMS]]


def _schema_problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    from jsonschema.validators import validator_for

    validator = validator_for(schema)(schema)
    errors = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    return [f"{_place(tuple(error.absolute_path))}: {_said(error)}" for error in errors[:MOST_PROBLEMS]]


_SAID: Mapping[str, Callable[[Any], str]] = {
    "type": lambda expected: f"must be {expected if isinstance(expected, str) else ' or '.join(expected)}",
    "required": lambda expected: f"needs all of {', '.join(expected)}",
    "enum": lambda expected: f"must be one of {', '.join(json.dumps(each) for each in expected)}",
    "additionalProperties": lambda expected: "has fields that are not asked for",
}


def _said(error: Any) -> str:
    say = _SAID.get(error.validator)
    return say(error.validator_value) if say is not None else f"does not fit {error.validator} {error.validator_value}"


def _place(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path) or "the record"


def _invalid(value: Any, problems: list[str], log: str = "") -> ToolAnswer:
    remedy = "Ask the caller when something is missing, and record all of it again."
    told = f"It was not recorded. {'; '.join(problems)}. {remedy}"
    return ToolAnswer("invalid", told, log, {"value": value, "valid": False, "problems": problems})


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
