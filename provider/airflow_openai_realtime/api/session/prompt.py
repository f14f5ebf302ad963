"""The rest of a session's objects: reusable prompts, reasoning, tracing, truncation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from airflow_openai_realtime.api.session.session_part import Float, Int, JsonObject, NonEmpty, SessionPart


class PromptCacheBreakpoint(SessionPart):
    """
    Marks the end of the part of a prompt that is cached.

    :param mode: Always ``explicit``.
    :param ttl: Shortest life of the cache entry.
    """

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class InputText(SessionPart):
    """
    Text in a prompt's variable.

    :param text: The text.
    :param prompt_cache_breakpoint: Marks the end of what OpenAI may cache.
    """

    type: Literal["input_text"] = "input_text"
    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class InputImage(SessionPart):
    """
    An image in a prompt's variable, by URL or file id.

    :param detail: How closely to look.
    :param file_id: Id of a file at OpenAI; ``None`` is sent.
    :param image_url: ``https://…`` or a ``data:`` URL; ``None`` is sent.
    :param prompt_cache_breakpoint: Marks the end of what OpenAI may cache.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"file_id", "image_url"})

    type: Literal["input_image"] = "input_image"
    detail: Literal["low", "high", "auto", "original"]
    file_id: str | None = None
    image_url: str | None = None
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class InputFile(SessionPart):
    """
    A file in a prompt's variable, by content, id or URL.

    :param detail: How closely to look.
    :param file_data: The content, base64.
    :param file_id: Id of a file at OpenAI; ``None`` is sent.
    :param file_url: ``https://…``.
    :param filename: Name that the model sees.
    :param prompt_cache_breakpoint: Marks the end of what OpenAI may cache.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"file_id"})

    type: Literal["input_file"] = "input_file"
    detail: Literal["auto", "low", "high"] | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


def _tag(value: Any) -> str | None:
    """Return the branch of a union of plain strings and objects with a type."""
    if isinstance(value, str):
        return "<plain>"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


def _plain_or_object(value: Any) -> str | None:
    if isinstance(value, str):
        return "<plain>"
    return "<object>" if isinstance(value, (dict, SessionPart)) else None


PromptVariable = Annotated[
    Annotated[str, Tag("<plain>")]
    | Annotated[InputText, Tag("<input_text>")]
    | Annotated[InputImage, Tag("<input_image>")]
    | Annotated[InputFile, Tag("<input_file>")],
    Discriminator(
        _tag,
        custom_error_type="unknown_type",
        custom_error_message="must be a string or an object with type input_text, input_image or input_file",
    ),
]


class Prompt(SessionPart):
    """
    A prompt kept at OpenAI. Reusable prompts ended on 2026-11-30 and are refused: use ``instructions``.

    :param id: ``pmpt_…``.
    :param version: ``None`` is sent and means the current one.
    :param variables: Values for its variables.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"version", "variables"})

    id: NonEmpty
    version: str | None = None
    variables: dict[str, PromptVariable] | None = None


class Reasoning(SessionPart):
    """
    How much a reasoning model thinks.

    :param effort: More is slower and dearer.
    """

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class TracingConfiguration(SessionPart):
    """
    Names a trace in OpenAI's dashboard.

    :param workflow_name: Name of the trace.
    :param group_id: Groups traces.
    :param metadata: Any JSON object, to filter by.
    """

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: JsonObject | None = None


Tracing = Annotated[
    Annotated[Literal["auto"], Tag("<plain>")] | Annotated[TracingConfiguration, Tag("<object>")],
    Discriminator(
        _plain_or_object,
        custom_error_type="unknown_type",
        custom_error_message="must be auto, an object with workflow_name, group_id, metadata, or null",
    ),
]


class TokenLimits(SessionPart):
    """
    Limits for truncation.

    :param post_instructions: Most tokens in the conversation after the instructions, 0 or more.
    """

    post_instructions: Annotated[Int, Field(ge=0)] | None = None


class RetentionRatio(SessionPart):
    """
    Keeps a part of the conversation when it gets too long, so that the cache lasts longer.

    :param retention_ratio: 0 to 1.
    :param token_limits: Own limits instead of the model's.
    """

    type: Literal["retention_ratio"] = "retention_ratio"
    retention_ratio: Annotated[Float, Field(ge=0, le=1)]
    token_limits: TokenLimits | None = None


Truncation = Annotated[
    Annotated[Literal["auto", "disabled"], Tag("<plain>")] | Annotated[RetentionRatio, Tag("<object>")],
    Discriminator(
        _plain_or_object,
        custom_error_type="unknown_type",
        custom_error_message="must be auto, disabled or an object with type retention_ratio",
    ),
]
