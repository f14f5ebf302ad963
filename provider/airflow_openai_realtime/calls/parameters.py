"""Reading what a DAG author gave: templates when the DAG is parsed, perhaps text when they are rendered."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.sip import check_call_id
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.matching import CallMatch

#: Retries of a task that only waits, unless its author says otherwise. A retry costs nobody a call, and is needed: a
#: busy scheduler takes the end of the deferral for the end of the task when the trigger fires soon.
#: Source: https://github.com/apache/airflow/issues/72716
SAFE_RETRIES = 3
#: A phone may be ringing, so a retry comes soon.
SAFE_RETRY_DELAY = timedelta(seconds=1)

_TEMPLATE_MARKS = ("{{", "{%")
_NOTHING = (None, "", "None", "none", "null")


@dataclass(frozen=True)
class CallReference:
    """
    Which call a task is about.

    :param call_id: OpenAI's id.
    :param claimed_by: Who has claimed it, when the DAG author gave a call and not just its id.
    """

    call_id: str
    claimed_by: str | None = None


def is_literal(value: object) -> bool:
    """
    Tell whether a value is known when the DAG is parsed: no template, no other task's result, not inside either.

    :param value: As it was given to an operator.
    """
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE_MARKS)
    if isinstance(value, Mapping):
        return all(is_literal(item) for item in value.values())
    if isinstance(value, (list, tuple, set)):
        return all(is_literal(item) for item in value)
    return not hasattr(value, "resolve")


def read_number(
    value: object, field: str, *, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf
) -> float:
    """
    Read a number, also from the text that a template renders to.

    :param value: For example ``600``, ``"600"`` or ``0.5``.
    :param field: Name of the parameter, for the message.
    :raises InvalidInput: No number, or out of range.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not (above < number and at_least <= number <= at_most) or math.isinf(number):
        raise InvalidInput(
            f"{field} must be a number {_range_text(above, at_least, at_most)}; it is {value!r:.80}", field=field
        )
    return number


def read_integer(value: object, field: str, *, at_least: float = -math.inf, at_most: float = math.inf) -> int:
    """
    Read a whole number, also from text; see :func:`read_number`.

    :raises InvalidInput: No whole number, or out of range.
    """
    number = read_number(value, field, at_least=at_least, at_most=at_most)
    if number != int(number):
        raise InvalidInput(f"{field} must be a whole number; it is {value!r:.80}", field=field)
    return int(number)


def read_call(call: object, call_id: object = None) -> CallReference | None:
    """
    Read which call is meant.

    :param call: A call as a sensor or operator returns it, or its id. A call that a template turned into text is read.
    :param call_id: The id alone, instead of ``call``.
    :return: ``None`` when there is no call, as after a task that was skipped.
    :raises InvalidInput: It is neither a call nor an id.
    """
    field = "call" if call is not None else "call_id"
    value = call if call is not None else call_id
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("{"):
            value = _parsed(value, field)
    if isinstance(value, str) or value is None:
        return None if value in _NOTHING else CallReference(check_call_id(str(value)))
    if not isinstance(value, Mapping):
        raise InvalidInput(
            f"{field} must be a call (the result of IncomingCallSensor or AcceptCallOperator) or a call id; it is a "
            f"{type(value).__name__}. For several calls map the task: .expand({field}=...)",
            field=field,
        )
    if not value or (value.get("call_id") is None and "outcome" in value):
        # The result of a phone that was rung and not answered.
        return None
    if not value.get("call_id"):
        raise InvalidInput(
            f"{field} has no call_id; give the result of IncomingCallSensor or AcceptCallOperator", field=field
        )
    claimed_by = value.get("claimed_by")
    return CallReference(check_call_id(value["call_id"]), str(claimed_by) if claimed_by else None)


def read_mapping(value: object, field: str) -> Mapping[str, Any] | None:
    """
    Read a mapping, also from the text that a template renders to.

    :return: ``None`` when there is none.
    :raises InvalidInput: It is something else.
    """
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("{"):
            value = _parsed(value, field)
    if value in _NOTHING:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{field} must be a dict; it is a {type(value).__name__}", field=field)
    return value or None


def read_match(to: str | None, from_number: str | None, headers: Mapping[str, str] | str | None) -> CallMatch:
    """
    Read which calls are wanted; nothing given means every call.

    :param to: Pattern for the number that was called.
    :param from_number: Pattern for the caller's number.
    :param headers: Patterns for SIP headers by name.
    :raises InvalidInput: A pattern cannot be used.
    """
    from airflow_openai_realtime.calls.matching import CallMatch

    by_name = dict(read_mapping(headers, "headers") or {})
    return CallMatch(to=to or None, from_number=from_number or None, headers=by_name)


def check_match_literals(to: object, from_number: object, headers: object) -> None:
    """
    Refuse when the DAG is parsed what no rendering can mend; the parameters are those of :func:`read_match`.

    :raises InvalidInput: A pattern that needs no rendering cannot be used; an empty one, too.
    """
    if all(is_literal(value) for value in (to, from_number, headers)):
        from airflow_openai_realtime.calls.matching import CallMatch

        # Not read_match: an empty text matches all only when a template made it.
        CallMatch(to=to, from_number=from_number, headers=read_mapping(headers, "headers") or {})  # type: ignore[arg-type]


def read_rendered(value: object, field: str) -> Any:
    """
    Read a session field that a template may have turned into text: numbers, lists, dicts and booleans.

    :param value: As it was given or rendered.
    :param field: Name of the field.
    :raises InvalidInput: Text that looks like a dict or list, and is none.
    """
    if not isinstance(value, str) or field in ("instructions", "model"):
        return value
    text = value.strip()
    if text.startswith(("{", "[")):
        return _parsed(text, field)
    if field == "speed":
        return read_number(text, field)
    if field == "max_output_tokens" and text != "inf":
        return read_integer(text, field)
    if field == "parallel_tool_calls" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return value


def _parsed(text: str, field: str) -> Any:
    """Read a dict from JSON or from Python's own way of writing it, which is what a plain template leaves."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise InvalidInput(
            f"{field} is text that cannot be read as a dict; pass the task's output itself, not a template", field=field
        ) from None


def _range_text(above: float, at_least: float, at_most: float) -> str:
    parts = []
    if above > -math.inf:
        parts.append(f"above {above:g}")
    if at_least > -math.inf:
        parts.append(f"of at least {at_least:g}")
    if at_most < math.inf:
        parts.append(f"at most {at_most:g}")
    return " and ".join(parts)
