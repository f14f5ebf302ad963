"""Read the parameters for answering a call: check literals at parse time, and build the plan after rendering."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import is_literal, read_mapping, read_number, read_rendered
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.answer_plan import AnswerPlan


@dataclass(frozen=True)
class AnswerParameters:
    """
    What calls are accepted with, under the names of the operators' parameters; perhaps with templates.

    :param session: Whole session configuration: a ``RealtimeSession`` or a dict of the same form.
    :param model: Model, for example ``gpt-realtime-2.1``.
    :param instructions: Instructions for the model: its role and its task.
    :param voice: Voice, for example ``marin``.
    :param speed: Speed of speech, 0.25 to 1.5.
    :param tools: Functions and MCP servers that the model may use, as a list of dicts.
    :param tool_choice: ``auto``, ``none``, ``required`` or one tool as a dict.
    :param parallel_tool_calls: Whether several tools may be called at once; only reasoning models.
    :param transcription_model: Model that transcribes the caller, for example ``gpt-transcribe``; ``None``: no
        transcript of the caller.
    :param transcription_language: A code of ISO 639-1, for example ``en``.
    :param turn_detection: ``server_vad``, ``semantic_vad`` or a dict.
    :param noise_reduction: ``near_field``, ``far_field`` or a dict.
    :param max_output_tokens: Tokens in one response, 1 to 4096, or ``inf``.
    :param output_modalities: ``["audio"]`` or ``["text"]``.
    :param reasoning_effort: ``minimal`` to ``xhigh``; only reasoning models.
    :param include: Names of further fields that events should include, as a list.
    :param tracing: ``auto`` or a dict.
    :param truncation: ``auto``, ``disabled`` or a dict.
    :param extra_fields: Fields that OpenAI added after this release; merged into the request.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder: ``from_number``,
        ``to_number`` or ``headers.NAME``.
    :param max_duration_seconds: Longest call in seconds from the accept, above 0, at most 3,600.
    """

    session: Any = None
    model: Any = None
    instructions: Any = None
    voice: Any = None
    speed: Any = None
    tools: Any = None
    tool_choice: Any = None
    parallel_tool_calls: Any = None
    transcription_model: Any = None
    transcription_language: Any = None
    turn_detection: Any = None
    noise_reduction: Any = None
    max_output_tokens: Any = None
    output_modalities: Any = None
    reasoning_effort: Any = None
    include: Any = None
    tracing: Any = None
    truncation: Any = None
    extra_fields: Any = None
    caller_fields: Any = None
    max_duration_seconds: Any = 600

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> AnswerParameters:
        """
        Select the parameters from a larger mapping.

        :param values: Values by name, for example ``vars(task)``; contains all fields of this class.
        """
        return cls(**{name: values[name] for name in ANSWER_FIELDS})

    def given(self) -> dict[str, Any]:
        """Return the session fields that are set, as arguments of ``parse_session``."""
        mine = vars(self)
        return {name: mine[name] for name in SESSION_FIELDS if mine[name] is not None}

    def plan(self, offered: Collection[str] = ()) -> AnswerPlan:
        """
        Read the rendered parameters.

        :param offered: Names of the tools that a conversation adds to the session; ``tool_choice`` may name them.
        :raises InvalidInput: A value is invalid. ``InvalidSession`` lists all problems of the session.
        """
        from airflow_openai_realtime.calls.answer_plan import AnswerPlan

        seconds = read_max_duration(self.max_duration_seconds)
        sources = read_mapping(self.caller_fields, "caller_fields")
        return AnswerPlan.of(_read_session(self.given(), offered), seconds, sources)

    def check_literals(self, offered: Collection[str] = ()) -> None:
        """
        Reject invalid literals at parse time.

        :param offered: As for :meth:`plan`.
        :raises InvalidInput: A literal value is invalid.
        """
        if is_literal(self.max_duration_seconds):
            read_max_duration(self.max_duration_seconds)
        given = self.given()
        others = {name: value for name, value in given.items() if name != "instructions"}
        if others and is_literal(others):
            _read_session(others, offered)
        if self.caller_fields is not None and is_literal(self.caller_fields):
            from airflow_openai_realtime.calls.caller_fields import check_caller_fields

            sources = read_mapping(self.caller_fields, "caller_fields")
            if sources is not None:
                instructions = _instructions_in(given)
                check_caller_fields(sources, instructions if is_literal(instructions) else None)


#: Names of all parameters of :class:`AnswerParameters`, and of those that make up the session.
ANSWER_FIELDS = tuple(field.name for field in fields(AnswerParameters))
SESSION_FIELDS = ANSWER_FIELDS[: ANSWER_FIELDS.index("caller_fields")]


def read_max_duration(value: object) -> float:
    """
    Read the longest duration of a call.

    :param value: Seconds above 0, at most 3,600; perhaps as text.
    :raises InvalidInput: It is not a number, or out of range.
    """
    return read_number(value, "max_duration_seconds", above=0, at_most=LONGEST_CALL_SECONDS)


def session_as_dict(session: Any) -> Any:
    """
    Return a ``RealtimeSession`` as a dict, and any other value unchanged.

    Airflow renders the texts of a dict as templates, and can show it.

    :param session: Argument of an operator.
    """
    return session.model_dump(mode="json", exclude_unset=True) if hasattr(session, "model_dump") else session


def _read_session(given: Mapping[str, Any], offered: Collection[str]) -> RealtimeSession:
    from airflow_openai_realtime.api.session.realtime_session import parse_session

    return parse_session(offered=offered, **{name: read_rendered(value, name) for name, value in given.items()})


def _instructions_in(given: Mapping[str, Any]) -> Any:
    session = given.get("session")
    inside = session.get("instructions") if isinstance(session, Mapping) else None
    return given.get("instructions", inside)
