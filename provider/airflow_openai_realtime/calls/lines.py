"""
A line: one OpenAI project with its API key, the secrets of its webhooks, and the token of the private API.

Standalone, lines come from the environment or a file; mounted in Airflow's API server, a line is a connection.
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
    :param token: What clients of the private API must present.
    :param other_tokens: Also taken; the tokens derived from the other secrets while one is being replaced.
    """

    name: str
    api: ApiSettings
    webhook_secrets: tuple[str, ...] = field(repr=False)
    token: str = field(repr=False)
    other_tokens: tuple[str, ...] = field(default=(), repr=False)

    def takes_token(self, presented: str) -> bool:
        """
        Whether a client that presents this token may use the line; constant time for each token.

        :param presented: Token that a client brings.
        """
        return any(tokens_equal(presented, token) for token in (self.token, *self.other_tokens))


class Lines(Protocol):
    """Where lines are looked up. Called in a thread, since a look-up may ask a secrets backend."""

    @property
    def is_in_memory(self) -> bool:
        """Whether a look-up costs nothing; then it is called without a thread, and nothing is remembered."""
        ...  # pragma: no cover

    def listed_names(self) -> Collection[str]:
        """Names that may be lines, as far as they can be listed without asking for each."""
        ...  # pragma: no cover

    def find(self, name: str | None) -> Line | None:
        """
        The line of this name, or the default one for None.

        :param name: Name of a line; ``None`` for the default one.
        :returns: None when there is no such line.
        :raises ConfigurationError: It is there but cannot be used; the message names the field.
        """
        ...  # pragma: no cover


class StaticLines:
    """
    Lines known from the start, for the standalone switchboard.

    A lone line answers to any name a client asks for, so that it need not be called like the Airflow connection.

    :param lines: At least one, names all different; the first is the default.
    :raises ConfigurationError: None given, or a name twice.
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
        """The lines in their order."""
        return tuple(self._lines.values())

    def listed_names(self) -> Collection[str]:
        """The names of all lines."""
        return self._lines

    def find(self, name: str | None) -> Line | None:
        """
        The line of this name; the only line for any name; the first line for None.

        :param name: Name of a line, or ``None``.
        """
        if name is None or len(self._lines) == 1:
            return self._default
        return self._lines.get(name)
