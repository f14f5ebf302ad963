"""
How to answer calls: the parameters are checked before any call comes, and the plan made of them is kept until then.

Literals are checked at parse time, everything else when it is rendered.

A trigger gets the plan as an argument, and Airflow stores trigger arguments: encrypted in its database if a Fernet key
is set. Up to Airflow 3.2 its REST API shows them to all users who may read task instances. A session may hold
credentials of tools and personal data. The plan is therefore encrypted with the API key of the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import is_literal, read_mapping, read_number, read_rendered
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.call import SwitchboardCall


@dataclass(frozen=True)
class AnswerPlan:
    """
    What a call is accepted with.

    :param session: The session configuration, a dict in the form of ``RealtimeSession``, validated.
    :param max_duration_seconds: Longest call in seconds from the accept, above 0, at most 3,600.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder; ``None``: the instructions
        are sent unchanged.
    """

    session: Mapping[str, Any] = field(repr=False)
    max_duration_seconds: float
    caller_fields: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        session: RealtimeSession,
        max_duration_seconds: float,
        caller_fields: Mapping[str, Any] | None = None,
    ) -> AnswerPlan:
        """
        Make a plan. Reject what would otherwise fail when a call comes.

        :param session: The session configuration.
        :param max_duration_seconds: As for the class; already checked.
        :param caller_fields: As for the class.
        :raises InvalidInput: The fields are invalid, or do not match the placeholders of the instructions.
        """
        if caller_fields is not None:
            if session.instructions is None:
                raise InvalidInput(
                    "caller_fields need instructions with placeholders, for example 'The caller's number is "
                    "{caller_number}.'",
                    field="caller_fields",
                )
            from airflow_openai_realtime.calls.caller_fields import check_caller_fields

            check_caller_fields(caller_fields, session.instructions)
        plain = session.model_dump(mode="json", exclude_unset=True)
        return cls(plain, max_duration_seconds, dict(caller_fields) if caller_fields is not None else None)

    def session_for(self, call: SwitchboardCall) -> Mapping[str, Any]:
        """
        Return the session for one call.

        :param call: The incoming call; its fields are treated as hostile.
        """
        if self.caller_fields is None:
            return self.session
        from airflow_openai_realtime.calls.caller_fields import fill_in

        return {**self.session, "instructions": fill_in(self.session["instructions"], self.caller_fields, call)}

    def seal(self, api_key: str) -> str:
        """
        Encrypt the plan; the text is unreadable without the key.

        :param api_key: The API key of the connection that will accept the calls.
        """
        from airflow_openai_realtime.calls.sealing import seal

        plan = {
            "session": self.session,
            "max_duration_seconds": self.max_duration_seconds,
            "caller_fields": self.caller_fields,
        }
        return seal(plan, api_key)

    @classmethod
    def unseal(cls, sealed: str, api_key: str) -> AnswerPlan:
        """
        Decrypt the text that :meth:`seal` returned.

        :param sealed: The text.
        :param api_key: The API key that it was sealed with.
        :raises ConfigurationError: It was sealed with another key, or the text was changed.
        """
        from airflow_openai_realtime.calls.sealing import unseal

        return cls(**unseal(sealed, api_key, what="the configuration for answering calls"))


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


def check_answer(values: Mapping[str, Any], offered: Collection[str] = ()) -> None:
    """
    Reject invalid literals at parse time.

    :param values: As for :meth:`AnswerParameters.of`.
    :param offered: As for :meth:`AnswerParameters.plan`.
    :raises InvalidInput: A literal value is invalid.
    """
    AnswerParameters.of(values).check_literals(offered)


def read_plan(values: Mapping[str, Any], offered: Collection[str] = ()) -> AnswerPlan:
    """
    Read what calls are accepted with, rendered.

    :param values: As for :meth:`AnswerParameters.of`.
    :param offered: As for :meth:`AnswerParameters.plan`.
    :raises InvalidInput: A value is invalid. ``InvalidSession`` lists all problems of the session.
    """
    return AnswerParameters.of(values).plan(offered)


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
