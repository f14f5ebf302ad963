"""Base of the session models, and what is known about OpenAI's models and voices."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from airflow_openai_realtime.api.session.problems import Problem, as_plain, problems_of, session_error

DEFAULT_MODEL = "gpt-realtime-2.1"

MODELS: tuple[str, ...] = (
    "gpt-realtime",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-2025-08-28",
    "gpt-4o-realtime-preview",
    "gpt-4o-realtime-preview-2024-10-01",
    "gpt-4o-realtime-preview-2024-12-17",
    "gpt-4o-realtime-preview-2025-06-03",
    "gpt-4o-mini-realtime-preview",
    "gpt-4o-mini-realtime-preview-2024-12-17",
    "gpt-realtime-mini",
    "gpt-realtime-mini-2025-10-06",
    "gpt-realtime-mini-2025-12-15",
    "gpt-audio-1.5",
    "gpt-audio-mini",
    "gpt-audio-mini-2025-10-06",
    "gpt-audio-mini-2025-12-15",
)
"""Models in OpenAI's own list. Any other name is let through: Azure takes the name of a deployment."""

REASONING_MODELS = frozenset({"gpt-realtime-2", "gpt-realtime-2.1", "gpt-realtime-2.1-mini"})

VOICES: tuple[str, ...] = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)

TRANSCRIPTION_MODELS: tuple[str, ...] = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe",
    "gpt-4o-transcribe-diarize",
    "gpt-realtime-whisper",
)

_REPLACEMENT = "gpt-realtime-2.1 or gpt-realtime-2.1-mini"
_TRANSCRIPTION_REPLACEMENT = "gpt-transcribe or gpt-live-transcribe"

SHUTDOWNS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys([name for name in MODELS if name.startswith("gpt-4o-")], ("2026-05-07", _REPLACEMENT)),
    "gpt-realtime-mini-2025-10-06": ("2026-07-23", _REPLACEMENT),
    **dict.fromkeys(
        ["gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-mini", "gpt-realtime-mini-2025-12-15"],
        ("2027-01-20", _REPLACEMENT),
    ),
    **dict.fromkeys(["gpt-audio-mini", "gpt-audio-mini-2025-12-15"], ("2027-01-20", "gpt-audio-1.5")),
    "gpt-4o-mini-transcribe-2025-03-20": ("2027-01-20", _TRANSCRIPTION_REPLACEMENT),
    **dict.fromkeys(
        [
            "whisper-1",
            "gpt-4o-transcribe",
            "gpt-4o-mini-transcribe",
            "gpt-4o-mini-transcribe-2025-12-15",
            "gpt-4o-transcribe-diarize",
        ],
        ("2027-02-26", _TRANSCRIPTION_REPLACEMENT),
    ),
}
"""
Model → day of its announced shutdown, replacement. From that day on a session with the model is refused.

Source: https://developers.openai.com/api/docs/deprecations, read 2026-11-22; a copy of 2026-10-28 has the same days.
"""

ENDED_FIELDS: Mapping[str, tuple[str, str]] = {
    "prompt": ("2026-11-30", "reusable prompts: put the text into instructions"),
}
"""Field of a session → day on which OpenAI ended it, what it was and what to do. Source: as for :data:`SHUTDOWNS`."""

_LANGUAGES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz "
    "ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik "
    "io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml "
    "mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd "
    "se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi "
    "vo wa wo xh yi yo za zh zu"
)
LANGUAGES = frozenset(_LANGUAGES.split())
"""Codes of ISO 639-1."""


def today() -> str:
    """Return the day in UTC, ISO 8601."""
    return datetime.now(timezone.utc).date().isoformat()


def is_shut_down(model: object) -> bool:
    """
    Tell whether OpenAI has shut a model down, as far as this release knows.

    :param model: Name of a model; anything but a known name is not shut down.
    """
    return isinstance(model, str) and model in SHUTDOWNS and SHUTDOWNS[model][0] <= today()


class SessionWarning(UserWarning):
    """A session configuration that OpenAI accepts, but that probably does not work as intended."""


class DeprecatedModelWarning(SessionWarning):
    """A model that OpenAI has announced to shut down."""


def warn_of_shutdown(model: object) -> None:
    """
    Warn of a model's announced shutdown, with day and replacement.

    :param model: Name of a model; other values are ignored.
    """
    if isinstance(model, str) and model in SHUTDOWNS and not is_shut_down(model):
        day, replacement = SHUTDOWNS[model]
        message = f"OpenAI shuts model {model} down on {day}: use {replacement}"
        warnings.warn(message, DeprecatedModelWarning, stacklevel=2)


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
