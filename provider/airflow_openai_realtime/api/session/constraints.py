"""
Contradictions between fields of a session, warnings, and what is known about OpenAI's models and voices.

Rules read the plain body, so that they run even if some field is invalid; values of an unexpected form are left to the
models. A rule rejects only what OpenAI's documentation excludes.

Source: docstrings of ``CallAcceptParams`` in OpenAI's Python SDK 3.54 and
https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
"""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.api.session.session_part import Problem

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

_KEYWORD_MODELS = frozenset({"gpt-transcribe", "gpt-live-transcribe"})
_NO_PROMPT_MODELS = frozenset({"gpt-realtime-whisper", "gpt-4o-transcribe-diarize"})
_DELAY_MODELS = frozenset({"gpt-realtime-whisper"})
_SERVER_FIELDS = ("server_url", "connector_id", "tunnel_id")


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


def contradictions(body: Mapping[str, Any]) -> list[Problem]:
    """
    Return all contradictions in a body.

    :param body: A session as plain dicts and lists.
    """
    return [problem for rule in _RULES for problem in rule(body)]


def warn(body: Mapping[str, Any]) -> None:
    """
    Warn of settings that OpenAI accepts, but that do not work as intended; expects a body without contradictions.

    :param body: A session as plain dicts and lists.
    """
    warn_of_shutdown(body.get("model"))
    warn_of_shutdown(_at(body, "audio", "input", "transcription").get("model"))
    messages = [*_format_warnings(body), *_approval_warnings(body)]
    for name, (day, remedy) in ENDED_FIELDS.items():
        if body.get(name) is not None:
            messages.append(f"{name}: OpenAI ends it on {day}; {remedy}")
    for message in messages:
        warnings.warn(message, SessionWarning, stacklevel=2)


def _encodable(body: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _halves(body, "")


def _halves(value: Any, path: str) -> Iterator[Problem]:
    """Find strings with half a character (a lone surrogate), which cannot be sent."""
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            yield Problem(path, "has half a character (a lone surrogate), which cannot be sent: clean the text")
    elif isinstance(value, (Mapping, list)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            inside = f"{path}.{key}" if path else str(key)
            yield from _halves(key, path)
            yield from _halves(item, inside)


def missing_tool(body: Mapping[str, Any], offered: Collection[str] = ()) -> list[Problem]:
    """
    Return the problem that ``tool_choice`` names a tool that the session does not have, if it does.

    :param body: The session.
    :param offered: Names of functions that are added to the session later.
    """
    choice = body.get("tool_choice")
    if not isinstance(choice, Mapping) or body.get("prompt") is not None:
        return []  # a reusable prompt can bring tools of its own
    kind = choice.get("type")
    key = {"function": "name", "mcp": "server_label"}.get(kind) if isinstance(kind, str) else None
    if key is None or not isinstance(choice.get(key), str):
        return []
    known = {tool.get(key) for _, tool in _tools(body, str(kind))} | (set(offered) if kind == "function" else set())
    if choice[key] in known:
        return []
    return [Problem(f"tool_choice.{key}", f"{choice[key]!r} is not among the tools: add it to tools, or correct it")]


def _shut_down(body: Mapping[str, Any]) -> Iterator[Problem]:
    transcription = "audio.input.transcription.model"
    for path, model in (
        ("model", body.get("model")),
        (transcription, _at(body, "audio", "input", "transcription").get("model")),
    ):
        if is_shut_down(model):
            day, replacement = SHUTDOWNS[str(model)]
            yield Problem(
                path,
                f"OpenAI shut model {model} down on {day}: use {replacement}. Is it the name of a deployment of yours, "
                "or did OpenAI keep it longer, then give it through extra_fields",
            )
    for name, (day, remedy) in ENDED_FIELDS.items():
        if body.get(name) is not None and day <= today():
            yield Problem(name, f"OpenAI ended it on {day}; {remedy}")


def _languages(body: Mapping[str, Any]) -> Iterator[Problem]:
    given = _at(body, "audio", "input", "transcription")
    languages = given.get("languages")
    for path, code in (
        ("language", given.get("language")),
        *((f"languages.{at}", each) for at, each in enumerate(languages if isinstance(languages, list) else ())),
    ):
        if isinstance(code, str) and code not in LANGUAGES:
            yield Problem(
                f"audio.input.transcription.{path}",
                f"must be a language code of ISO 639-1, in small letters, like en, de or es; it is {code!r:.40}",
            )


def _one_modality(body: Mapping[str, Any]) -> Iterator[Problem]:
    given = body.get("output_modalities")
    if isinstance(given, list) and not given:
        yield Problem("output_modalities", 'is empty: use ["audio"] for a phone call, or leave it out')
    if isinstance(given, list) and any(given.count(each) > 1 for each in given):
        yield Problem("output_modalities", 'has one twice: use ["audio"] for a phone call')
    if isinstance(given, list) and "audio" in given and "text" in given:
        yield Problem(
            "output_modalities", 'cannot be both: use ["audio"] for a phone call (it comes with a transcript)'
        )


def _transcription(body: Mapping[str, Any]) -> Iterator[Problem]:
    given = _at(body, "audio", "input", "transcription")
    model = given.get("model")
    if model not in TRANSCRIPTION_MODELS:
        return  # another name may be a deployment of any model
    path = "audio.input.transcription"
    for name in ("languages", "keywords"):
        if given.get(name) is not None and model not in _KEYWORD_MODELS:
            remedy = ", or give one language" if name == "languages" else ""
            yield Problem(f"{path}.{name}", f"not with {model}: use gpt-transcribe or gpt-live-transcribe{remedy}")
    if given.get("delay") is not None and model not in _DELAY_MODELS:
        yield Problem(f"{path}.delay", f"not with {model}: only gpt-realtime-whisper has it; remove it")
    if given.get("prompt") is not None and model in _NO_PROMPT_MODELS:
        yield Problem(f"{path}.prompt", f"not with {model}: remove it, or use gpt-transcribe")


def _reasoning(body: Mapping[str, Any]) -> Iterator[Problem]:
    model = body.get("model")
    if model not in MODELS or model in REASONING_MODELS:
        return
    for name in ("reasoning", "parallel_tool_calls"):
        if body.get(name) is not None:
            yield Problem(name, f"not with {model}, which does not reason: use gpt-realtime-2.1, or remove it")


def _voice(body: Mapping[str, Any]) -> Iterator[Problem]:
    voice = _at(body, "audio", "output").get("voice")
    if not isinstance(voice, str) or voice in VOICES:
        return
    path = "audio.output.voice"
    close = difflib.get_close_matches(voice.strip().lower(), VOICES, n=1, cutoff=0.75)
    if voice.startswith("voice_"):
        yield Problem(path, 'a custom voice is an object: {"id": "voice_…"}')
    elif close:
        yield Problem(path, f"no voice of that name: did you mean {close[0]}?")
    else:
        yield Problem(
            path,
            f"no voice of that name is known: use one of {', '.join(VOICES)}; a newer one goes through "
            'extra_fields={"audio": {"output": {"voice": "…"}}}',
        )


def _mcp_servers(body: Mapping[str, Any]) -> Iterator[Problem]:
    for index, tool in _tools(body, "mcp"):
        given = [name for name in _SERVER_FIELDS if tool.get(name) is not None]
        if not given:
            yield Problem(f"tools.{index}", "an MCP tool needs one of server_url, connector_id, tunnel_id")
        elif len(given) > 1:
            yield Problem(f"tools.{index}", f"{' and '.join(given)} exclude each other: keep one")


def _unique_tools(body: Mapping[str, Any]) -> Iterator[Problem]:
    for kind, key in (("function", "name"), ("mcp", "server_label")):
        tools = list(_tools(body, kind))
        counts = Counter(tool[key] for _, tool in tools if isinstance(tool.get(key), str))
        for index, tool in tools:
            value = tool.get(key)
            if isinstance(value, str) and counts[value] > 1:
                yield Problem(f"tools.{index}.{key}", f"{value!r} is given {counts[value]} times: make it unique")


def _mcp_choice(body: Mapping[str, Any]) -> Iterator[Problem]:
    """MCP servers only: functions may be added to a session later, see :func:`missing_tool`."""
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice.get("type") == "mcp":
        yield from missing_tool(body)


_RULES: tuple[Callable[[Mapping[str, Any]], Iterator[Problem]], ...] = (
    _encodable,
    _one_modality,
    _transcription,
    _reasoning,
    _voice,
    _mcp_servers,
    _unique_tools,
    _mcp_choice,
    _languages,
    _shut_down,
)


def _format_warnings(body: Mapping[str, Any]) -> Iterator[str]:
    for side in ("input", "output"):
        if _at(body, "audio", side).get("format") is not None:
            yield f"audio.{side}.format: leave it out on a phone call; SIP negotiates the format"


def _approval_warnings(body: Mapping[str, Any]) -> Iterator[str]:
    for index, tool in _tools(body, "mcp"):
        approval = tool.get("require_approval")
        if approval in (None, "always") or (isinstance(approval, Mapping) and approval.get("always")):
            yield (
                f"tools.{index}.require_approval: tools that need approval do not run on an unwatched call; "
                'say "never", or answer the requests on the sideband'
            )


def _at(body: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the object at a path, or an empty one."""
    value: Any = body
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _tools(body: Mapping[str, Any], kind: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Return the tools of a kind with their places; a tool without a type is judged by its fields, as the models do."""
    tools = body.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else []):
        if not isinstance(tool, Mapping):
            continue
        actual = tool.get("type") or ("mcp" if "server_label" in tool else "function")
        if actual == kind:
            yield index, tool
