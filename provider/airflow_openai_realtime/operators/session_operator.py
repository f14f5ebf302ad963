"""What all operators share that accept calls: the session configuration, and how long a call may last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_openai_realtime.calls.answer_parameters import check_answer_literals, read_answer_plan, session_as_dict
from airflow_openai_realtime.operators.task_acceptance import AcceptingTask
from airflow_openai_realtime.operators.template_fields import RenderedTask

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.answer_plan import AnswerPlan

_SESSION_FIELDS = (
    "model",
    "instructions",
    "voice",
    "speed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "transcription_model",
    "transcription_language",
    "turn_detection",
    "noise_reduction",
    "max_output_tokens",
    "output_modalities",
    "reasoning_effort",
    "include",
    "tracing",
    "truncation",
    "extra_fields",
)


class SessionOperator(AcceptingTask, RenderedTask, BaseOperator):
    """
    Base of the operators that accept calls.

    The session is given whole (``session``), by its common fields, or both, where they do not contradict each other.
    What needs no rendering is checked when the DAG is parsed, the rest in the task, before anything is sent.

    :param session: Whole session configuration: a ``RealtimeSession`` or a dict of the same shape. Templated, as all
        that follow.
    :param model: For example ``gpt-realtime-2.1``.
    :param instructions: What the model is told to be and to do.
    :param voice: For example ``marin``.
    :param speed: Speed of speech, 0.25 to 1.5.
    :param tools: Functions and MCP servers that the model may use.
    :param tool_choice: ``auto``, ``none``, ``required`` or one tool.
    :param parallel_tool_calls: Whether several tools may be called at once; only reasoning models.
    :param transcription_model: Switches the transcript of the caller's words on; for example ``gpt-transcribe``.
    :param transcription_language: A code of ISO 639-1, for example ``en``.
    :param turn_detection: ``server_vad``, ``semantic_vad`` or a dict.
    :param noise_reduction: ``near_field``, ``far_field`` or a dict.
    :param max_output_tokens: 1 to 4096, or ``inf``.
    :param output_modalities: ``["audio"]`` or ``["text"]``.
    :param reasoning_effort: ``minimal`` to ``xhigh``; only reasoning models.
    :param include: More that events shall include.
    :param tracing: ``auto`` or a dict.
    :param truncation: ``auto``, ``disabled`` or a dict.
    :param extra_fields: Fields that OpenAI added after this release; merged into the request.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder: ``{"caller_number":
        "from_number", "order": "headers.X-Order-Id"}`` replaces ``{caller_number}`` and ``{order}``. Sources are
        ``from_number``, ``to_number`` and ``headers.NAME``. The values come from the caller's side: they are quoted,
        and the model is told that they are data. With it, a brace that is meant as one is doubled in the instructions.
    :param max_duration_seconds: When the call is ended at the latest, in seconds from accepting, above 0, at most
        3,600.
    :raises InvalidInput: A value that needs no rendering cannot be used.
    """

    template_fields: Sequence[str] = ("session", *_SESSION_FIELDS, "caller_fields", "max_duration_seconds")
    template_fields_renderers = {"session": "json", "tools": "json", "instructions": "md", "caller_fields": "json"}

    def __init__(
        self,
        *,
        session: RealtimeSession | Mapping[str, Any] | str | None = None,
        model: str | None = None,
        instructions: str | None = None,
        voice: str | Mapping[str, Any] | None = None,
        speed: float | str | None = None,
        tools: Sequence[Any] | str | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | str | None = None,
        transcription_model: str | None = None,
        transcription_language: str | None = None,
        turn_detection: str | Mapping[str, Any] | None = None,
        noise_reduction: str | Mapping[str, Any] | None = None,
        max_output_tokens: int | str | None = None,
        output_modalities: Sequence[str] | str | None = None,
        reasoning_effort: str | None = None,
        include: Sequence[str] | str | None = None,
        tracing: str | Mapping[str, Any] | None = None,
        truncation: str | Mapping[str, Any] | None = None,
        extra_fields: Mapping[str, Any] | str | None = None,
        caller_fields: Mapping[str, str] | str | None = None,
        max_duration_seconds: float | str = 600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.session = session_as_dict(session)
        self.model = model
        self.instructions = instructions
        self.voice = voice
        self.speed = speed
        self.tools = tools
        self.tool_choice = tool_choice
        self.parallel_tool_calls = parallel_tool_calls
        self.transcription_model = transcription_model
        self.transcription_language = transcription_language
        self.turn_detection = turn_detection
        self.noise_reduction = noise_reduction
        self.max_output_tokens = max_output_tokens
        self.output_modalities = output_modalities
        self.reasoning_effort = reasoning_effort
        self.include = include
        self.tracing = tracing
        self.truncation = truncation
        self.extra_fields = extra_fields
        self.caller_fields = caller_fields
        self.max_duration_seconds = max_duration_seconds
        check_answer_literals(self._given(), max_duration_seconds, caller_fields, self._offered())

    def _answer_plan(self) -> AnswerPlan:
        """
        Read what calls are accepted with, rendered.

        :raises InvalidInput: A value cannot be used.
        """
        return read_answer_plan(self._given(), self.max_duration_seconds, self.caller_fields, self._offered())

    def _offered(self) -> tuple[str, ...]:
        """Return the names of tools that the conversation may add; ``answered_with`` checks which it does."""
        if not getattr(self, "wait_for_end", False):
            return ()
        from airflow_openai_realtime.conversation.conversation_parameters import offered_names

        return offered_names(getattr(self, "functions", None))

    def _given(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in ("session", *_SESSION_FIELDS)}
        return {name: value for name, value in fields.items() if value is not None}
