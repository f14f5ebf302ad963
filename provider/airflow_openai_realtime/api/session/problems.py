"""Report all problems of a session in one error, each with path and remedy, without values: some are secret."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

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
