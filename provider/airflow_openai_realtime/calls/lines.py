"""
A line: one OpenAI project with its API key, its webhook secrets, and the token of the private API.

A standalone switchboard reads lines from the environment or a file. Mounted in Airflow's API server, a line is a
connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_openai_realtime.calls.tokens import tokens_equal
from airflow_openai_realtime.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_openai_realtime.api.settings import ApiSettings


@dataclass(frozen=True)
class Line:
    """
    One line.

    :param name: Its name in URLs, in the store and in logs; mounted: the connection id.
    :param api: How to reach OpenAI with the key of this project.
    :param webhook_secrets: At least one; two while a secret is being replaced.
    :param token: Bearer token of the private API.
    :param other_tokens: Further valid tokens: those derived from the other secrets while one is being replaced.
    """

    name: str
    api: ApiSettings
    webhook_secrets: tuple[str, ...] = field(repr=False)
    token: str = field(repr=False)
    other_tokens: tuple[str, ...] = field(default=(), repr=False)

    def takes_token(self, presented: str) -> bool:
        """
        Tell whether a token opens this line; constant time for each token.

        :param presented: Token from a request, untrusted.
        """
        return any(tokens_equal(presented, token) for token in (self.token, *self.other_tokens))


class Lines(Protocol):
    """Looks up lines. Called in a thread, since a look-up may ask a secrets backend."""

    @property
    def is_in_memory(self) -> bool:
        """Whether look-ups are instant; they then run without a thread, and their results are not cached."""
        ...  # pragma: no cover

    def listed_names(self) -> Collection[str]:
        """Return names of possible lines, as far as they can be listed without a look-up for each."""
        ...  # pragma: no cover

    def find(self, name: str | None) -> Line | None:
        """
        Return a line by name.

        :param name: Name of the line; None for the default line.
        :returns: None when there is no such line.
        :raises ConfigurationError: The line exists but a field is invalid; the message names the field.
        """
        ...  # pragma: no cover


class StaticLines:
    """
    Lines of a standalone switchboard, fixed at start.

    A single line is found under any name, so that it need not be named like the Airflow connection.

    :param lines: At least one, with different names; the first is the default.
    :raises ConfigurationError: No line is given, or two have the same name.
    """

    is_in_memory = True

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines: dict[str, Line] = {}
        for line in lines:
            if line.name in self._lines:
                raise ConfigurationError(f"line {line.name!r} is configured twice; give each line its own name")
            self._lines[line.name] = line
        if not self._lines:
            raise ConfigurationError(
                "no line is configured; set OPENAI_API_KEY and OPENAI_WEBHOOK_SECRET or give --config"
            )
        self._default = next(iter(self._lines.values()))

    def all(self) -> tuple[Line, ...]:
        """Return the lines in their order."""
        return tuple(self._lines.values())

    def listed_names(self) -> Collection[str]:
        """Return the names of all lines."""
        return self._lines

    def find(self, name: str | None) -> Line | None:
        """
        Return a line by name.

        :param name: Name of the line; None for the first line. A single line is found under any name.
        :returns: None when there is no such line.
        """
        if name is None or len(self._lines) == 1:
            return self._default
        return self._lines.get(name)
