"""``extra_fields``: fields that OpenAI added after this release, merged into the body without touching known ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from airflow_openai_realtime.api.session.models import SessionPart
from airflow_openai_realtime.api.session.problems import Problem


def merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return ``body`` with ``extra`` added, object by object.

    :param body: The object to add to; it is not changed.
    :param extra: What to add; its values win, except that objects are merged.
    """
    result = dict(body)
    for key, value in extra.items():
        known = result.get(key)
        both = isinstance(known, dict) and isinstance(value, Mapping)
        result[key] = merged(known, value) if both and isinstance(known, dict) else value
    return result


def extra_problems(part: type[SessionPart], body: Mapping[str, Any]) -> list[Problem]:
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
