"""
Conditions on incoming calls.

Patterns are plain text with ``*`` (any text) and ``?`` (one character). There are no regular expressions, since the
matched text comes from callers, who may be hostile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_openai_realtime.api.phone_numbers import canonical_pattern, number_with_plus
from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.call import SwitchboardCall

LONGEST_PATTERN = 500


class Match(Protocol):
    """
    What is looked for among the calls of a line.

    :param takes_answered: Whether among calls that a standing order has answered, not among those that ring.
    """

    @property
    def takes_answered(self) -> bool:
        """See the class."""

    def matches(self, call: SwitchboardCall, /) -> bool:
        """
        Tell whether a call on offer is wanted.

        :param call: It rings, or was answered by a standing order.
        """

    def meets(self, call: SwitchboardCall, /) -> bool:
        """
        Tell whether a call that the owner has already is the one that is asked for.

        An owner is named by the place of its task, and another contact may stand there by now: a mapped task whose
        list was read again.

        :param call: The owner's.
        """


@dataclass(frozen=True)
class CallMatch:
    """
    A condition on a call. All parts that are set must match; without any, every call matches.

    A call with a correlation header was placed for a certain task: only a condition that names this header matches
    it. A general inbound line therefore never takes a campaign's call.

    :param to: Pattern for the dialed number, E.164, for example ``+14155550123`` or ``+1415*``. It also matches a
        number that the trunk sent without its ``+``.
    :param from_number: Pattern for the caller's number, E.164.
    :param headers: Patterns for SIP headers by name (any case). A repeated header matches when one of its values
        does, or all of them joined by ``", "``.
    :raises InvalidInput: A pattern is empty, longer than 500 characters or not text.
    """

    to: str | None = None
    from_number: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_answered: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, pattern in (("to", self.to), ("from_number", self.from_number)):
            if pattern is not None:
                _check_pattern(name, pattern)
        if not isinstance(self.headers, Mapping):
            raise InvalidInput("headers must map header names to patterns", field="headers")
        for name, pattern in self.headers.items():
            if not isinstance(name, str) or not name.strip():
                raise InvalidInput("headers: a header name must be a non-empty text", field="headers")
            _check_pattern(f"headers.{name}", pattern)

    def matches(self, call: SwitchboardCall) -> bool:
        """
        Tell whether a call meets every condition. A missing number or header meets none.

        :param call: The call.
        """
        return (
            (call.header(CORRELATION_HEADER) is None or self._names_correlation())
            and _number_holds(self.to, call.to_number)
            and _number_holds(self.from_number, call.from_number)
            and all(_header_holds(pattern, call.header(name.strip())) for name, pattern in self.headers.items())
        )

    def meets(self, call: SwitchboardCall) -> bool:
        """
        Tell whether an own call is the wanted one; same as :meth:`matches`.

        :param call: The call.
        """
        return self.matches(call)

    def _names_correlation(self) -> bool:
        return any(name.strip().lower() == CORRELATION_HEADER.lower() for name in self.headers)

    def to_dict(self) -> dict[str, Any]:
        """Return the parts that are set as JSON primitives, fit for trigger arguments."""
        given = {"to": self.to, "from_number": self.from_number, "headers": dict(self.headers) or None}
        return {key: value for key, value in given.items() if value is not None}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> CallMatch:
        """
        Read what :meth:`to_dict` wrote.

        :param value: JSON object.
        :raises InvalidInput: A key is unknown or a pattern is invalid.
        """
        unknown = set(value) - {"to", "from_number", "headers"}
        if unknown:
            raise InvalidInput(
                f"unknown condition {', '.join(sorted(unknown))}; use to, from_number or headers", field="match"
            )
        return cls(to=value.get("to"), from_number=value.get("from_number"), headers=value.get("headers") or {})


def fits(pattern: str, text: str) -> bool:
    """
    Tell whether the whole text matches a pattern of ``*`` and ``?``; case matters.

    Takes at most ``len(pattern) * len(text)`` steps for any text.

    :param pattern: The pattern.
    :param text: The text, may be hostile.
    """
    at_pattern = at_text = 0
    star, resume = -1, 0
    while at_text < len(text):
        # Check for a star first: a star in the text must not count as an equal character.
        if at_pattern < len(pattern) and pattern[at_pattern] == "*":
            star, resume = at_pattern, at_text
            at_pattern += 1
        elif at_pattern < len(pattern) and pattern[at_pattern] in ("?", text[at_text]):
            at_pattern += 1
            at_text += 1
        elif star >= 0:
            # Let the last star match one more character, and continue behind it.
            resume += 1
            at_pattern, at_text = star + 1, resume
        else:
            return False
    return all(rest == "*" for rest in pattern[at_pattern:])


def _number_holds(pattern: str | None, number: str | None) -> bool:
    if pattern is None:
        return True
    if number is None:
        return False
    wanted = canonical_pattern(pattern)
    if fits(wanted, number):
        return True
    # Some trunks send the whole number without its plus.
    whole = number_with_plus(number) if wanted.startswith("+") else None
    return whole is not None and fits(wanted, whole)


def _header_holds(pattern: str, value: str | None) -> bool:
    if value is None:
        return False
    return fits(pattern, value) or any(fits(pattern, part) for part in value.split(", "))


def _check_pattern(name: str, pattern: Any) -> None:
    if not isinstance(pattern, str) or not pattern.strip():
        raise InvalidInput(f"{name} must be a non-empty text; leave it out to match every call", field=name)
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidInput(f"{name} is longer than {LONGEST_PATTERN} characters", field=name)
