"""
Base of the objects in a session configuration, and how all problems of a session are reported in one error.

Each problem has its path and a remedy, and shows no values: some are secret.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from airflow_openai_realtime.exceptions import InvalidSession

# Fields that people look for in the other kind of turn detection, or elsewhere in the body.
_ELSEWHERE = {
    "threshold": "it belongs to server_vad",
    "prefix_padding_ms": "it belongs to server_vad",
    "silence_duration_ms": "it belongs to server_vad",
    "idle_timeout_ms": "it belongs to server_vad",
    "eagerness": "it belongs to semantic_vad",
    "voice": "it belongs in audio.output",
    "speed": "it belongs in audio.output",
    "turn_detection": "it belongs in audio.input",
    "noise_reduction": "it belongs in audio.input",
    "transcription": "it belongs in audio.input",
    "modalities": "it is called output_modalities",
    "max_response_output_tokens": "it is called max_output_tokens",
    "temperature": "OpenAI has removed it",
    "input_audio_transcription": "it is called audio.input.transcription",
    "reasoning_effort": "it is called reasoning.effort",
}


class Problem(NamedTuple):
    """
    One problem of a session.

    :param path: Path of the field, for example ``audio.output.speed``; empty for the whole session.
    :param text: The problem, and what to do.
    """

    path: str
    text: str


def session_error(problems: Sequence[Problem]) -> InvalidSession:
    """
    Return one error that names all problems; its ``field`` is the path of the first.

    :param problems: At least one.
    """
    unique = list(dict.fromkeys(problems))
    lines = [f"{path or 'session'}: {text}" for path, text in unique]
    head = "the session configuration has a problem" if len(lines) == 1 else f"{len(lines)} problems in the session"
    return InvalidSession(f"{head}: " + "; ".join(lines), field=unique[0].path or None)


def problems_of(error: ValidationError, known: Collection[str]) -> list[Problem]:
    """
    Translate pydantic's errors.

    :param error: Error from pydantic.
    :param known: Names of all fields of a session, for hints.
    """
    details = error.errors(include_url=False, include_context=True, include_input=False)
    return [Problem(_path(detail["loc"]), _text(detail, known)) for detail in details]


def _path(location: tuple[int | str, ...]) -> str:
    """Return ``audio.input.turn_detection.threshold``; tags of unions stand in angle brackets and are left out."""
    return ".".join(str(part) for part in location if not _is_tag(part))


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _text(detail: ErrorDetails, known: Collection[str]) -> str:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(str(detail["loc"][-1]), known)
    if kind == "missing":
        return "is missing: add it"
    if kind in ("unknown_type", "not_json", "bool_number", "given_twice"):
        return detail["msg"]
    if kind == "union_tag_invalid":
        return f"unknown type: use one of {str(context.get('expected_tags', '')).replace('<', '').replace('>', '')}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    message = detail["msg"]
    return message[0].lower() + message[1:]


def _unknown_field(name: str, known: Collection[str]) -> str:
    if name in _ELSEWHERE:
        return f"unknown field here: {_ELSEWHERE[name]}"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if close:
        return f"unknown field: did you mean {close[0]}?"
    return "unknown field: remove it; a field that OpenAI added since goes into extra_fields"


def as_plain(value: Any) -> Any:
    """
    Return a copy made of dicts and lists; models become dicts of their set fields.

    :param value: A model, a mapping, a sequence or a plain value.
    :raises InvalidSession: It is nested too deeply.
    """
    try:
        return _copy(value)
    except RecursionError:
        raise session_error([Problem("", "is nested too deeply: flatten it")]) from None


def _copy(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _copy({name: getattr(value, name) for name in value.model_fields_set})
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


class SessionPart(BaseModel):
    """
    Base of every object in a session configuration: unknown fields are refused, ``type`` is always sent.

    ``None`` means "not set", except for fields where OpenAI accepts ``null`` (:attr:`nullable`): there it is sent, and
    turns the feature off.

    :raises InvalidSession: A field is unknown, contradictory or out of range; the message names all of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)

    nullable: ClassVar[frozenset[str]] = frozenset()

    if not TYPE_CHECKING:  # type checkers see the signature that the fields make

        def __init__(self, /, **data: Any) -> None:
            plain = as_plain(data)
            problems = type(self).problems_in(plain)
            if problems:
                raise session_error(problems)
            super().__init__(**plain)
            self._made()

        # Lets pydantic build nested parts without calling this, so that all problems come in one report.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def problems_in(cls, plain: Mapping[str, Any]) -> list[Problem]:
        """
        Return all problems of the fields, passed as plain dicts and lists.

        :param plain: Field values by name.
        """
        try:
            cls.model_validate(dict(plain))
        except ValidationError as error:
            return problems_of(error, _known_names())
        return []

    @model_validator(mode="before")
    @classmethod
    def _drop_none(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None or key in cls.nullable}

    def _made(self) -> None:
        """Run after a direct construction, but not when pydantic builds the object as part of another."""

    def model_post_init(self, _context: Any, /) -> None:
        """Mark ``type`` as set, so that it is sent."""
        if getattr(self, "type", None) is not None:
            self.model_fields_set.add("type")


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("bool_number", "must be a number, not true or false")
    return value


def _require_json(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise PydanticCustomError("not_json", "must be plain JSON: objects, lists, strings, numbers") from None
    return value


Int = Annotated[int, BeforeValidator(_refuse_bool)]
"""A whole number; ``True`` does not count as one."""

Float = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
"""A finite number; ``True`` does not count as one."""

JsonObject = Annotated[dict[str, Any], AfterValidator(_require_json)]
"""A JSON object of any content, for example a JSON Schema."""

NonEmpty = Annotated[str, Field(min_length=1)]
"""A string that is not empty."""


def _known_names() -> list[str]:
    """Return the names of all fields of all parts; enough for a hint."""
    names: set[str] = set()
    for part in SessionPart.__subclasses__():
        names.update(part.model_fields)
    return sorted(names)
