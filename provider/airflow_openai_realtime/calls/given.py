"""Reject values that the DAG author set and that rendered empty: a lost condition or limit widens what a task does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_openai_realtime.calls.parameters import is_literal
from airflow_openai_realtime.exceptions import InvalidInput

#: Fields that may render empty. Without a call or target the task is skipped or fails; the others are additions.
MAY_BE_EMPTY = frozenset({"call", "call_id", "target_uri", "greeting", "goodbye", "transfer_to", "conf"})

#: Texts that a template renders to for ``None``, JSON's ``null``, an empty list or dict.
_NOTHING = frozenset({"", "none", "null", "[]", "{}"})


def is_empty(value: object) -> bool:
    """
    Tell whether a value is empty: ``None``, blank text, a text that ``None`` renders to, an empty list or dict.

    :param value: The rendered value.
    """
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING
    return value is None or (isinstance(value, (Mapping, list, tuple, set, frozenset)) and not value)


def check_not_emptied(given: Mapping[str, Any], rendered: Mapping[str, Any], mapped: Collection[str] = ()) -> None:
    """
    Reject a field that was set, but is empty because of a template or another task's result.

    An explicit ``None`` counts as not set, and so does an empty list or dict that the author wrote.

    :param given: Values by field, as the author wrote them.
    :param rendered: Rendered values by field.
    :param mapped: Names of the fields whose values came from other tasks through ``expand`` or ``expand_kwargs``.
    :raises InvalidInput: Names the first such field and says what to do.
    """
    for name, value in given.items():
        if name in MAY_BE_EMPTY:
            continue
        # Text that was empty from the start, in the DAG file or in the list of a mapped task, is rejected too.
        if name in mapped or isinstance(value, str):
            path = name if is_empty(rendered.get(name)) else None
        else:
            path = _emptied(value, rendered.get(name), name)
        if path is not None:
            raise InvalidInput(
                f"{path} is set, but it is empty now: a template rendered to nothing, or another task returned "
                "nothing. Without it the task would do more than intended. Correct the value; to run "
                f"without {path}, write None in the DAG file or leave it out",
                field=path,
            )


def _emptied(given: object, rendered: object, path: str) -> str | None:
    """Return the path of a value that was not a literal and is empty now."""
    if given is None or is_literal(given):
        return None
    if isinstance(given, Mapping) and isinstance(rendered, Mapping):
        pairs = [(f"{path}.{key}", value, rendered.get(key)) for key, value in given.items()]
    elif isinstance(given, (list, tuple)) and isinstance(rendered, (list, tuple)) and len(given) == len(rendered):
        pairs = [(f"{path}.{at}", *both) for at, both in enumerate(zip(given, rendered, strict=True))]
    else:
        return path if is_empty(rendered) else None
    return next((found for found in (_emptied(value, now, at) for at, value, now in pairs) if found), None)
