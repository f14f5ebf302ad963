"""Values that a DAG author gave and that came out empty: a condition or limit that is lost widens what a task does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_openai_realtime.calls.parameters import is_literal
from airflow_openai_realtime.exceptions import InvalidInput

#: Fields that may come out empty. Without a call or a target a task is skipped or says so; the others only add.
MAY_BE_EMPTY = frozenset({"call", "call_id", "target_uri", "greeting", "goodbye", "transfer_to", "conf"})

#: What templates render to when there is nothing: ``None``, JSON's ``null``, an empty list or dict.
_NOTHING = frozenset({"", "none", "null", "[]", "{}"})


def is_empty(value: object) -> bool:
    """
    Tell whether a value says nothing: ``None``, blank text, a text that ``None`` renders to, an empty list or dict.

    :param value: Rendered.
    """
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING
    return value is None or (isinstance(value, (Mapping, list, tuple, set, frozenset)) and not value)


def check_not_emptied(given: Mapping[str, Any], rendered: Mapping[str, Any], mapped: Collection[str] = ()) -> None:
    """
    Refuse a field that was given, and that a template or another task's result made empty.

    An explicit ``None`` is not given, and neither is an empty list or dict that the author wrote.

    :param given: The fields as the author wrote them.
    :param rendered: The same fields, rendered.
    :param mapped: Names of those whose values came from other tasks by ``expand`` or ``expand_kwargs``.
    :raises InvalidInput: The first such field, with what to do.
    """
    for name, value in given.items():
        if name in MAY_BE_EMPTY:
            continue
        # Text that was empty from the start, in the DAG file or in a list that a task is mapped over, says nothing too.
        if name in mapped or isinstance(value, str):
            path = name if is_empty(rendered.get(name)) else None
        else:
            path = _emptied(value, rendered.get(name), name)
        if path is not None:
            raise InvalidInput(
                f"{path} was given, and there is nothing in it now: a template rendered to nothing, or another task "
                "returned nothing. Without it the task would do more than it was meant to. Correct the value; to do "
                f"without {path} write None in the DAG file, or leave it out",
                field=path,
            )


def _emptied(given: object, rendered: object, path: str) -> str | None:
    """Return the path of what was no literal and is empty now."""
    if given is None or is_literal(given):
        return None
    if isinstance(given, Mapping) and isinstance(rendered, Mapping):
        pairs = [(f"{path}.{key}", value, rendered.get(key)) for key, value in given.items()]
    elif isinstance(given, (list, tuple)) and isinstance(rendered, (list, tuple)) and len(given) == len(rendered):
        pairs = [(f"{path}.{at}", *both) for at, both in enumerate(zip(given, rendered, strict=True))]
    else:
        return path if is_empty(rendered) else None
    return next((found for found in (_emptied(value, now, at) for at, value, now in pairs) if found), None)
