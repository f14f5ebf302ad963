"""Reading how a call is to be answered, as a DAG author gave it: when the DAG is parsed, and when it is rendered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import is_literal, read_mapping, read_number, read_rendered
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.answer_plan import AnswerPlan


def read_answer_plan(
    given: Mapping[str, Any], max_duration_seconds: object, caller_fields: object, offered: Collection[str] = ()
) -> AnswerPlan:
    """
    Read everything about answering, rendered.

    :param given: What :func:`~airflow_openai_realtime.api.session.realtime_session.parse_session` takes, by
        name; only what was given.
    :param max_duration_seconds: Above 0, at most 3,600; perhaps as text.
    :param caller_fields: A mapping, perhaps as text; ``None`` or empty for none.
    :param offered: Names of the tools that a conversation adds to the session; ``tool_choice`` may name them.
    :raises InvalidInput: A value cannot be used. ``InvalidSession`` names all that is wrong with the session.
    """
    from airflow_openai_realtime.calls.answer_plan import AnswerPlan

    seconds = read_max_duration(max_duration_seconds)
    return AnswerPlan.of(_read_session(given, offered), seconds, read_mapping(caller_fields, "caller_fields"))


def check_answer_literals(
    given: Mapping[str, Any], max_duration_seconds: object, caller_fields: object, offered: Collection[str] = ()
) -> None:
    """
    Refuse when the DAG is parsed what no rendering can mend.

    :param given: As for :func:`read_answer_plan`, perhaps with templates.
    :param max_duration_seconds: Likewise.
    :param caller_fields: Likewise.
    :param offered: As for :func:`read_answer_plan`.
    :raises InvalidInput: A value that needs no rendering cannot be used.
    """
    if is_literal(max_duration_seconds):
        read_max_duration(max_duration_seconds)
    others = {name: value for name, value in given.items() if name != "instructions"}
    if others and is_literal(others):
        _read_session(others, offered)
    if caller_fields is not None and is_literal(caller_fields):
        from airflow_openai_realtime.calls.caller_fields import check_caller_fields

        fields = read_mapping(caller_fields, "caller_fields")
        if fields is not None:
            instructions = _instructions_in(given)
            check_caller_fields(fields, instructions if is_literal(instructions) else None)


def read_max_duration(value: object) -> float:
    """
    Read the longest duration of a call.

    :param value: Seconds above 0, at most 3,600; perhaps as text.
    :raises InvalidInput: It is something else.
    """
    return read_number(value, "max_duration_seconds", above=0, at_most=LONGEST_CALL_SECONDS)


def session_as_dict(session: Any) -> Any:
    """
    Return a ``RealtimeSession`` as a dict, and anything else as it is.

    As a dict, its texts are templates too, and Airflow can show it.

    :param session: As a DAG author gave it.
    """
    return session.model_dump(mode="json", exclude_unset=True) if hasattr(session, "model_dump") else session


def _read_session(given: Mapping[str, Any], offered: Collection[str]) -> RealtimeSession:
    from airflow_openai_realtime.api.session.realtime_session import parse_session

    return parse_session(offered=offered, **{name: read_rendered(value, name) for name, value in given.items()})


def _instructions_in(given: Mapping[str, Any]) -> Any:
    session = given.get("session")
    inside = session.get("instructions") if isinstance(session, Mapping) else None
    return given.get("instructions", inside)
