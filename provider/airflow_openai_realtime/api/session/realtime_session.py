"""
``RealtimeSession``: the configuration that accepts a call.

Strict on purpose: OpenAI may answer 200 to a bad configuration and kill the call a second later. All problems are
reported at once, each with its path and a remedy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Discriminator, Field, Tag

from airflow_openai_realtime.api.session.audio import (
    Audio,
    AudioInput,
    AudioOutput,
    AudioPCM,
    AudioPCMA,
    AudioPCMU,
    CustomVoice,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    Transcription,
)
from airflow_openai_realtime.api.session.constraints import (
    DEFAULT_MODEL,
    DeprecatedModelWarning,
    SessionWarning,
    contradictions,
    missing_tool,
    warn,
)
from airflow_openai_realtime.api.session.prompt import (
    Prompt,
    Reasoning,
    RetentionRatio,
    TokenLimits,
    Tracing,
    TracingConfiguration,
    Truncation,
)
from airflow_openai_realtime.api.session.session_part import (
    Int,
    JsonObject,
    NonEmpty,
    Problem,
    SessionPart,
    as_plain,
    session_error,
)
from airflow_openai_realtime.api.session.tools import (
    FunctionTool,
    McpApprovalFilter,
    McpTool,
    McpToolFilter,
    Tool,
    ToolChoice,
    ToolChoiceFunction,
    ToolChoiceMcp,
)

__all__ = [
    "DEFAULT_MODEL",
    "COMMON_FIELDS",
    "RealtimeSession",
    "parse_session",
    "DeprecatedModelWarning",
    "SessionWarning",
    "Audio",
    "AudioInput",
    "AudioOutput",
    "AudioPCM",
    "AudioPCMA",
    "AudioPCMU",
    "CustomVoice",
    "NoiseReduction",
    "SemanticVad",
    "ServerVad",
    "Transcription",
    "FunctionTool",
    "McpApprovalFilter",
    "McpTool",
    "McpToolFilter",
    "ToolChoiceFunction",
    "ToolChoiceMcp",
    "Prompt",
    "Reasoning",
    "RetentionRatio",
    "TokenLimits",
    "TracingConfiguration",
]

COMMON_FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": ("model",),
    "instructions": ("instructions",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "tools": ("tools",),
    "tool_choice": ("tool_choice",),
    "parallel_tool_calls": ("parallel_tool_calls",),
    "transcription_model": ("audio", "input", "transcription", "model"),
    "transcription_language": ("audio", "input", "transcription", "language"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "noise_reduction": ("audio", "input", "noise_reduction"),
    "max_output_tokens": ("max_output_tokens",),
    "output_modalities": ("output_modalities",),
    "reasoning_effort": ("reasoning", "effort"),
    "include": ("include",),
    "tracing": ("tracing",),
    "truncation": ("truncation",),
    "extra_fields": ("extra_fields",),
}
"""Fields that :func:`parse_session` takes by name, and where they go."""

# Common fields that may be given as the bare type of the object.
_TYPE_SHORTHANDS = frozenset({"turn_detection", "noise_reduction"})


MaxOutputTokens = Annotated[
    Annotated[Literal["inf"], Tag("<inf>")] | Annotated[Int, Field(ge=1, le=4096), Tag("<number>")],
    Discriminator(lambda value: "<inf>" if value == "inf" else "<number>"),
]


class RealtimeSession(SessionPart):
    """
    The configuration of a call, as ``POST /realtime/calls/{call_id}/accept`` takes it.

    :param model: OpenAI model or Azure deployment; a model with an announced shutdown gives a
        :class:`DeprecatedModelWarning`.
    :param instructions: What the model is and does. Without them OpenAI uses its own.
    :param audio: Voice, speed, turn detection, transcription, noise reduction.
    :param output_modalities: ``["audio"]`` (OpenAI's default, with a transcript) or ``["text"]``.
    :param max_output_tokens: Limit of one answer, 1 to 4096, or ``"inf"`` (OpenAI's default).
    :param tools: Functions and MCP servers.
    :param tool_choice: ``none``, ``auto``, ``required``, or one function or server among the tools.
    :param parallel_tool_calls: Only for reasoning models.
    :param reasoning: Only for reasoning models.
    :param include: More fields in events: ``item.input_audio_transcription.logprobs``.
    :param prompt: Reusable prompt; OpenAI ended them on 2026-11-30, and it is refused.
    :param tracing: ``auto``, an object, or ``None`` (sent: off).
    :param truncation: What happens when the conversation gets too long.
    :param extra_fields: Fields that OpenAI added after this release; merged into the body, nested ones too
        (``{"audio": {"output": {"new": 1}}}``). They must not collide with fields known here.
    :raises InvalidSession: Unknown, contradictory or out-of-range fields, all of them named.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"prompt", "tracing"})

    type: Literal["realtime"] = "realtime"
    model: NonEmpty = DEFAULT_MODEL
    instructions: str | None = None
    audio: Audio | None = None
    output_modalities: list[Literal["text", "audio"]] | None = None
    max_output_tokens: MaxOutputTokens | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    prompt: Prompt | None = None
    tracing: Tracing | None = None
    truncation: Truncation | None = None
    extra_fields: JsonObject = Field(default_factory=dict, repr=False)

    @classmethod
    def problems_in(cls, plain: Mapping[str, Any]) -> list[Problem]:
        """
        Return what the fields refuse, what contradicts itself, and extra fields that collide with known ones.

        :param plain: Field values by name; without ``model`` the default one is assumed.
        """
        body = {"model": DEFAULT_MODEL, **plain}
        return [*super().problems_in(plain), *contradictions(body), *_extra_problems(cls, plain)]

    def _made(self) -> None:
        warn(self.to_body())

    def to_body(self) -> dict[str, Any]:
        """Return the JSON body of the accept request: only what was set, with ``type`` and ``model`` always."""
        body = self.model_dump(mode="json", exclude_unset=True, exclude={"extra_fields"})
        return _merged({**body, "type": self.type, "model": self.model}, self.extra_fields)


def parse_session(
    session: RealtimeSession | Mapping[str, Any] | None = None, *, offered: Collection[str] = (), **common: Any
) -> RealtimeSession:
    """
    Make a session from a configuration, from common fields given by name, or from both.

    :param session: A session, a mapping of the same shape, or ``None`` for OpenAI's defaults.
    :param offered: Names of functions that are added to the session later, so that ``tool_choice`` may name them.
    :param common: Names in :data:`COMMON_FIELDS`; ``None`` means not given. ``turn_detection`` and ``noise_reduction``
        may be just the type, for example ``"semantic_vad"``.
    :raises InvalidSession: Any problem of the result, or a common field that contradicts the session; all are named.
    """
    if session is not None and not isinstance(session, (RealtimeSession, Mapping)):
        raise session_error([Problem("", "must be a RealtimeSession or a mapping: {'instructions': …}")])
    body = as_plain(session or {})
    problems = [problem for name, value in as_plain(common).items() for problem in _put(body, name, value)]
    problems += [problem for problem in RealtimeSession.problems_in(body) if problem not in problems]
    problems += [problem for problem in missing_tool(body, offered) if problem not in problems]
    if problems:
        raise session_error(problems)
    return RealtimeSession(**body)


def accept_body(session: RealtimeSession | Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the JSON body that a call is accepted with.

    :param session: A session, or a mapping of the same shape, which is checked.
    :raises InvalidSession: Any problem of the mapping, or a ``tool_choice`` of a tool that was to be added and is not.
    """
    # A session that was parsed once cannot have changed; but tools that were to be added may be missing.
    body = (session if isinstance(session, RealtimeSession) else parse_session(session)).to_body()
    problems = missing_tool(body)
    if problems:
        raise session_error(problems)
    return body


def _put(body: dict[str, Any], name: str, value: Any) -> list[Problem]:
    """Put a common field where it belongs, unless the session already says otherwise."""
    if value is None:
        return []
    if name not in COMMON_FIELDS:
        return [Problem(name, f"unknown field: use one of {', '.join(COMMON_FIELDS)}, or put it into session")]
    if name in _TYPE_SHORTHANDS and isinstance(value, str):
        value = {"type": value}
    *parents, last = COMMON_FIELDS[name]
    place = body
    for key in parents:
        child = place.setdefault(key, {})
        if not isinstance(child, dict):
            return [_given_twice(name)]
        place = child
    if last in place and place[last] != value:
        return [_given_twice(name)]
    place[last] = value
    return []


def _given_twice(name: str) -> Problem:
    path = ".".join(COMMON_FIELDS[name])
    return Problem(path, f"{name} contradicts the session, which sets {path} too: give it once")


# -- extra_fields: what OpenAI added after this release, merged without touching known fields --------------------------


def _merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return ``body`` with ``extra`` added, object by object.

    :param body: The object to add to; it is not changed.
    :param extra: What to add; its values win, except that objects are merged.
    """
    result = dict(body)
    for key, value in extra.items():
        known = result.get(key)
        both = isinstance(known, dict) and isinstance(value, Mapping)
        result[key] = _merged(known, value) if both and isinstance(known, dict) else value
    return result


def _extra_problems(part: type[SessionPart], body: Mapping[str, Any]) -> list[Problem]:
    """
    Return the extra fields that are known fields, and must be set in their own place.

    :param part: Model of the body.
    :param body: A session as plain dicts and lists, with its ``extra_fields``.
    """
    extra = body.get("extra_fields")
    problems = _collisions([part], extra, "") if isinstance(extra, Mapping) else []
    return [problem for problem in problems if not _is_checked_name(problem, body)]


#: Fields whose value this release may reject though OpenAI accepts it: a newer voice, a model that OpenAI kept longer.
_CHECKED_NAMES = (("audio", "output", "voice"), ("model",), ("audio", "input", "transcription", "model"))


def _is_checked_name(problem: Problem, body: Mapping[str, Any]) -> bool:
    """Tell whether a name is given that would be refused in its own place, and is given here alone."""
    for path in _CHECKED_NAMES:
        if problem.path == ".".join(("extra_fields", *path)):
            given: Any = body
            for key in path:
                given = given.get(key) if isinstance(given, Mapping) else None
            return given is None
    return False


def _collisions(parts: list[type[SessionPart]], extra: Mapping[str, Any], above: str) -> list[Problem]:
    problems: list[Problem] = []
    for key, value in extra.items():
        path = f"{above}.{key}" if above else str(key)
        fields = [part.model_fields[key] for part in parts if key in part.model_fields]
        if not fields:
            continue
        inner = [part for field in fields for part in _parts_in(field.annotation)]
        if inner and isinstance(value, Mapping):
            problems += _collisions(inner, value, path)
        else:
            problems.append(Problem(f"extra_fields.{path}", f"{path} is a known field: set it in the session itself"))
    return problems


def _parts_in(annotation: Any) -> list[type[SessionPart]]:
    """Return the objects that a field may directly be; lists and maps are not entered."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, SessionPart) else []
    if getattr(annotation, "__origin__", None) in (list, dict):
        return []
    return [part for argument in get_args(annotation) for part in _parts_in(argument)]
