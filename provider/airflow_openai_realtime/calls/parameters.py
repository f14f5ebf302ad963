"""
Read operator parameters: they may be templates at parse time, and text after rendering.

Values that the DAG author set and that rendered empty are rejected: a lost condition or limit widens what a task does.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.sip import CORRELATION_HEADER, check_call_id
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.matching import CallMatch

#: Default retries of a task that only waits. A retry loses no call, and is needed: when the trigger fires soon, a busy
#: scheduler mistakes the end of the deferral for the end of the task.
#: Source: https://github.com/apache/airflow/issues/72716
SAFE_RETRIES = 3
#: Short, since a phone may be ringing.
SAFE_RETRY_DELAY = timedelta(seconds=1)

_TEMPLATE_MARKS = ("{{", "{%")
_NOTHING = (None, "", "None", "none", "null")


@dataclass(frozen=True)
class CallReference:
    """
    The call that a task works on.

    :param call_id: OpenAI's id of the call.
    :param claimed_by: Name of its owner, if the DAG author passed a call and not just its id.
    """

    call_id: str
    claimed_by: str | None = None


def is_literal(value: object) -> bool:
    """
    Tell whether a value is known at parse time: no template and no other task's result, also not nested in it.

    :param value: Argument of an operator.
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
    Read a number, also from rendered text.

    :param value: For example ``600``, ``"600"`` or ``0.5``.
    :param field: Name of the parameter, for the message.
    :param above: Exclusive lower bound.
    :param at_least: Inclusive lower bound.
    :param at_most: Inclusive upper bound.
    :raises InvalidInput: Not a number, or out of range.
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


def read_seconds(value: timedelta | float, field: str, *, above: float) -> float:
    """
    Read a duration.

    :param value: In seconds, or as a ``timedelta``.
    :param field: Name of the parameter, for the message.
    :param above: What it must be longer than, in seconds.
    :raises InvalidInput: It is something else.
    """
    return read_number(value.total_seconds() if isinstance(value, timedelta) else value, field, above=above)


def read_integer(value: object, field: str, *, at_least: float = -math.inf, at_most: float = math.inf) -> int:
    """
    Read a whole number, also from rendered text.

    :param value: For example ``3`` or ``"3"``.
    :param field: Name of the parameter, for the message.
    :param at_least: Inclusive lower bound.
    :param at_most: Inclusive upper bound.
    :raises InvalidInput: Not a whole number, or out of range.
    """
    number = read_number(value, field, at_least=at_least, at_most=at_most)
    if number != int(number):
        raise InvalidInput(f"{field} must be a whole number; it is {value!r:.80}", field=field)
    return int(number)


def read_call(call: object, call_id: object = None) -> CallReference | None:
    """
    Read the call that a task works on.

    :param call: A call as a sensor or operator returns it, or its id; also as text that a template rendered to.
    :param call_id: The id alone, instead of ``call``.
    :return: ``None`` when there is no call, for example after a skipped task.
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
        # The result of a dialed phone that was not answered.
        return None
    if not value.get("call_id"):
        raise InvalidInput(
            f"{field} has no call_id; give the result of IncomingCallSensor or AcceptCallOperator", field=field
        )
    claimed_by = value.get("claimed_by")
    return CallReference(check_call_id(value["call_id"]), str(claimed_by) if claimed_by else None)


def read_mapping(value: object, field: str) -> Mapping[str, Any] | None:
    """
    Read a mapping, also from rendered text.

    :param value: A dict, or its JSON or Python text.
    :param field: Name of the parameter, for the message.
    :return: ``None`` for nothing or an empty dict.
    :raises InvalidInput: It is not a dict.
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


def read_match(
    to: str | None,
    from_number: str | None,
    headers: Mapping[str, str] | str | None,
    correlation_id: str | None = None,
) -> CallMatch:
    """
    Read the conditions on calls; without any, every call matches.

    :param to: Pattern for the number that was called.
    :param from_number: Pattern for the caller's number.
    :param headers: Patterns for SIP headers by name.
    :param correlation_id: That of the one placed call that is meant.
    :raises InvalidInput: A pattern is invalid.
    """
    from airflow_openai_realtime.calls.matching import CallMatch

    by_name = dict(read_mapping(headers, "headers") or {})
    if correlation_id is not None:
        by_name[CORRELATION_HEADER] = correlation_id
    return CallMatch(to=to or None, from_number=from_number or None, headers=by_name)


def check_match_literals(to: object, from_number: object, headers: object) -> None:
    """
    Reject invalid literals at parse time.

    :param to: As for :func:`read_match`, or a template.
    :param from_number: As for :func:`read_match`, or a template.
    :param headers: As for :func:`read_match`, perhaps with templates.
    :raises InvalidInput: A literal pattern is invalid or empty.
    """
    if all(is_literal(value) for value in (to, from_number, headers)):
        from airflow_openai_realtime.calls.matching import CallMatch

        # Not read_match: empty text matches every call only when it comes from a template.
        CallMatch(to=to, from_number=from_number, headers=read_mapping(headers, "headers") or {})  # type: ignore[arg-type]


def read_rendered(value: object, field: str) -> Any:
    """
    Read a session field that a template may have turned into text: numbers, lists, dicts and booleans.

    :param value: The literal or rendered value.
    :param field: Name of the field.
    :raises InvalidInput: Text starts like a dict or list, but is not one.
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
    """Read a dict from JSON or from Python's ``repr``, which is what a plain template renders to."""
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


#: Fields that may render empty. Without a call or target the task is skipped or fails; the others are additions.
MAY_BE_EMPTY = frozenset({"call", "call_id", "target_uri", "greeting", "goodbye", "transfer_to", "conf"})

#: Texts that a template renders to for ``None``, JSON's ``null``, an empty list or dict.
_RENDERED_EMPTY = frozenset({"", "none", "null", "[]", "{}"})


def is_empty(value: object) -> bool:
    """
    Tell whether a value is empty: ``None``, blank text, a text that ``None`` renders to, an empty list or dict.

    :param value: The rendered value.
    """
    if isinstance(value, str):
        return value.strip().lower() in _RENDERED_EMPTY
    return value is None or (isinstance(value, (Mapping, list, tuple, set, frozenset)) and not value)


def check_not_emptied(given: Mapping[str, Any], rendered: Mapping[str, Any], mapped: Collection[str] = ()) -> None:
    """
    Reject a field that was set, but is empty because of a template or another task's result.

    An explicit ``None`` counts as not set, and so does an empty list or dict that the author wrote.

    :param given: Values by field, as the author wrote them.
    :param rendered: Rendered values by field.
    :param mapped: Names of the fields whose values came from other tasks through ``expand`` or ``expand_kwargs``.
    :raises InvalidInput: Names the first such field and says what to do.
    """
    for name, value in given.items():
        if name in MAY_BE_EMPTY:
            continue
        # Text that was empty from the start, in the DAG file or in the list of a mapped task, is rejected too.
        if name in mapped or isinstance(value, str):
            path = name if is_empty(rendered.get(name)) else None
        else:
            path = _emptied(value, rendered.get(name), name)
        if path is not None:
            raise InvalidInput(
                f"{path} is set, but it is empty now: a template rendered to nothing, or another task returned "
                "nothing. Without it the task would do more than intended. Correct the value; to run "
                f"without {path}, write None in the DAG file or leave it out",
                field=path,
            )


def _emptied(given: object, rendered: object, path: str) -> str | None:
    """Return the path of a value that was not a literal and is empty now."""
    if given is None or is_literal(given):
        return None
    if isinstance(given, Mapping) and isinstance(rendered, Mapping):
        pairs = [(f"{path}.{key}", value, rendered.get(key)) for key, value in given.items()]
    elif isinstance(given, (list, tuple)) and isinstance(rendered, (list, tuple)) and len(given) == len(rendered):
        pairs = [(f"{path}.{at}", *both) for at, both in enumerate(zip(given, rendered, strict=True))]
    else:
        return path if is_empty(rendered) else None
    return next((found for found in (_emptied(value, now, at) for at, value, now in pairs) if found), None)
