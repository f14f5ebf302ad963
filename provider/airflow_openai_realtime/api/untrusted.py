"""
The gate for what callers, the model and foreign services bring: what has passed it is plain data.

Airflow hands a task's result to the next task through serialisers that turn certain dicts into objects, over a wire
that takes no integer of more than 64 bits, into a database that takes no NUL. Text that a caller chose can hide or
reorder what people and models read. So values are changed here, once, and everything behind the gate can rely on it:

- dicts, lists, text, whole numbers of at most 64 bits, finite numbers, booleans and ``None``, and nothing else;
- no key that begins with two underscores: Airflow's serialisers read ``__type``, ``__var``, ``__classname__``,
  ``__version__``, ``__data__``, ``__id__`` and others. Such a key gets an ``x`` in front;
- no more than :data:`DEEPEST` levels;
- text without control characters, without characters that reorder text, without halves of characters.

Passing the gate twice changes nothing.

Source: ``airflow.sdk.serde``, ``airflow.sdk._shared.serialization`` (``FORBIDDEN_XCOM_KEYS``) and
``airflow.sdk.execution_time.comms`` of Airflow 3.2.2 and 3.3.2, read 2026-11-30.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput

DEEPEST = 32
"""Most levels of lists and dicts inside each other. FastAPI fails on about 250, Airflow's serialisers on 1,000."""

DEEPEST_RECORD = 16
"""Most levels of what the model records; it gets into other values, and must still fit there."""

LEAST_INTEGER = -(2**63)
MOST_INTEGER = 2**63 - 1
"""Whole numbers beyond these become text: the wire between a task and its supervisor (msgpack) takes no others."""

TOO_DEEP = "(nested too deeply)"
TOO_LONG_NUMBER = "(a number of too many digits)"

_RESERVED = "__"
_INSTEAD = "x__"

#: Characters that print nothing and are no control or format character by their category: Unicode's
#: ``Default_Ignorable_Code_Point`` (version 16), and some that fonts show as nothing.
_BLANK = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x2D7F, 0x3164, 0xFFA0),
            *(0x16FE4, 0x1107F, 0x1D159),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
#: Joiners and the choice between text and emoji: letters of several scripts and emoji need them.
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
_LINE_BREAKS = frozenset("\n\t")
_NOT_A_TOKEN = re.compile(r"[^A-Za-z0-9.!%*_+`'~-]")


def clean_line(text: str, longest: int) -> str:
    """
    Return text as one line in which every character shows.

    :param text: Any text. Line breaks and control characters become spaces, what else does not show is left out.
    :param longest: Most characters of the answer; what is beyond is cut off.
    """
    if text.isascii() and text.isprintable():  # nearly all are
        return text[:longest]
    # Cut before as well, so that a long hostile text costs little.
    spaced = (" " if char.isspace() or unicodedata.category(char) == "Cc" else char for char in text[: longest * 4])
    return "".join(char for char in spaced if _shows(char))[:longest]


def clean_text(text: str) -> str:
    """
    Return text of any number of lines, without characters that hide or reorder what is shown.

    :param text: Any text; line feeds, tabs and the joiners of scripts and emoji stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if char in _LINE_BREAKS or char in _JOINERS or _shows(char))


def clean_header(name: str, value: str, *, longest_name: int, longest_value: int) -> tuple[str, str]:
    """
    Return a SIP header such that its name can be a key of a call's headers, and its value is one line.

    :param name: Any text. Characters that no header name has become ``_``.
    :param value: Any text; see :func:`clean_line`.
    :param longest_name: Most characters of the name.
    :param longest_value: Most characters of the value.
    """
    key = safe_name(_NOT_A_TOKEN.sub("_", name.strip()[:longest_name]))
    return key, clean_line(value, longest_value)


def safe_name(name: str) -> str:
    """
    Return a key that Airflow's serialisers do not read.

    :param name: Any key; one that begins with two underscores gets an ``x`` in front.
    """
    return f"{_INSTEAD}{name[len(_RESERVED) :]}" if name.startswith(_RESERVED) else name


def tame(value: Any, *, deepest: int = DEEPEST) -> Any:
    """
    Return a value as plain data; see the module.

    Numbers that are not finite become ``None``, whole numbers of more than 64 bits become text, and what is nested too
    deeply becomes :data:`TOO_DEEP`. Of two keys that would become the same, one gets a number behind it.

    :param value: Of JSON's types, or what Python's ``json`` takes for such.
    :param deepest: Most levels of lists and dicts.
    :raises InvalidInput: It is of another type.
    """
    if isinstance(value, str):
        return clean_text(str(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole_number(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _object(value, deepest - 1) if deepest > 0 else TOO_DEEP
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [tame(item, deepest=deepest - 1) for item in value] if deepest > 0 else TOO_DEEP
    raise InvalidInput(f"a {type(value).__name__} cannot be written as JSON")


def read_stored(text: str) -> Any:
    """
    Return a value from JSON that was stored, perhaps before there was this gate.

    :param text: JSON.
    :raises ValueError: It is not JSON.
    """
    return tame(json.loads(text))


def is_deeper(value: Any, levels: int) -> bool:
    """
    Tell whether lists and dicts are nested in more levels than this.

    :param value: Of JSON's types.
    :param levels: 0 or more.
    """
    items: Iterable[Any]
    if isinstance(value, Mapping):
        items = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    else:
        return False
    return levels <= 0 or any(is_deeper(item, levels - 1) for item in items)


def _object(value: Mapping[Any, Any], deepest: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    renamed: list[tuple[str, Any]] = []
    for key, item in value.items():
        given = key if isinstance(key, str) else str(key)
        name = safe_name(clean_text(given))
        if name == key:
            kept[name] = tame(item, deepest=deepest)
        else:
            renamed.append((name, item))
    for name, item in renamed:
        kept[_free(name, kept)] = tame(item, deepest=deepest)
    return kept


def _free(name: str, taken: Mapping[str, Any]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _whole_number(value: int) -> int | str:
    if LEAST_INTEGER <= value <= MOST_INTEGER:
        return int(value)
    try:
        return str(int(value))
    except ValueError:  # Python writes no more than 4,300 digits.
        return TOO_LONG_NUMBER


def _shows(char: str) -> bool:
    """Whether a character shows, or is a space."""
    return unicodedata.category(char)[0] not in "C" and char not in _BLANK and char not in "\u2028\u2029"
