"""
What is said in a call, as a script: what the model answers, and what the person does.

The model's side is a list of replies, one for each response. The person's side is a list of moves, one after the
other: speak, interrupt, press keys, wait, hang up; and things that happen to the session are moves too. All of it can
be written as JSON, in a file of phone scripts or to the simulator's control endpoints.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.moves import Move

_STATUSES = ("completed", "failed", "incomplete")
_STARTS = ("attached", "accepted")


@dataclass(frozen=True)
class ToolCall:
    """
    A tool that the model calls, when the session offers it; else it is left out, and the log says so.

    :param name: The tool.
    :param arguments: JSON object, or the raw text for a model that writes no JSON.
    :param server_label: Of an MCP server: OpenAI runs the tool itself, and the model goes on by itself.
    :param output: What the MCP server answers.
    :param error: The MCP server's error, in place of an answer.
    """

    name: str
    arguments: Mapping[str, Any] | str = "{}"
    server_label: str | None = None
    output: str = "done"
    error: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInput("a tool call needs the name of the tool", field="name")
        if not isinstance(self.arguments, (str, Mapping)):
            raise InvalidInput("arguments of a tool call are an object or a text", field="arguments")


@dataclass(frozen=True)
class Reply:
    """
    What the model says and calls in one response.

    :param text: Its words; empty: none (as mostly with tool calls).
    :param tool_calls: Tools that it calls after its words.
    :param thinks_seconds: Simulated seconds until the first word.
    :param makes_for_seconds: Seconds from the first word until the response is made. Words are made faster than they
        are heard, so 0 is near the truth; more leaves time to interrupt while the response is being made.
    :param status: ``completed``, ``failed`` (nothing is said) or ``incomplete`` (cut off by ``max_output_tokens``).
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    thinks_seconds: float = 0.4
    makes_for_seconds: float = 0.0
    status: str = "completed"

    def __post_init__(self) -> None:
        if self.status not in _STATUSES:
            raise InvalidInput(f"a reply cannot be {self.status}; it is {', '.join(_STATUSES)}", field="status")
        for name in ("thinks_seconds", "makes_for_seconds"):
            if getattr(self, name) < 0:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give 0 or more", field=name)

    @classmethod
    def calls(cls, name: str, arguments: Mapping[str, Any] | str = "{}", *, text: str = "", **others: Any) -> Reply:
        """A reply that calls one function. ``others``: fields of :class:`Reply`."""
        return cls(text, (ToolCall(name, arguments),), **others)

    def to_dict(self) -> dict[str, Any]:
        """The reply as JSON values."""
        return {**asdict(self), "tool_calls": [asdict(each) for each in self.tool_calls]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | str) -> Reply:
        """
        The reply from :meth:`to_dict`, or from its text alone; what is left out has its default.

        :raises InvalidInput: A field is unknown or cannot be used.
        """
        if isinstance(values, str):
            return cls(values)
        _check_fields(cls, values, "reply")
        calls = []
        for each in values.get("tool_calls", ()):
            _check_fields(ToolCall, each, "tool call")
            calls.append(ToolCall(**{"name": "", **each}))
        return cls(**{**values, "tool_calls": tuple(calls)})


@dataclass(frozen=True)
class Dialogue:
    """
    What is said on a call.

    :param replies: What the model says, one for each response, in order; a text stands for a :class:`Reply`. When
        they run out, the last one that has words is said again and again, without its tool calls.
    :param moves: What the person does, in order; afterwards they are silent.
    :param repeats: Whether the moves then start again, without end.
    :param starts: When the moves begin: ``attached``, as soon as a sideband is, or 10 s after the accept; or
        ``accepted``, at once. Real callers do not wait; a test mostly wants to hear all of it.
    :param clean_close: Whether the sideband says goodbye with a close frame when the call is over; None: as the
        simulator's setting ``clean_sideband_close`` says.
    """

    replies: tuple[Reply | str, ...] = ("Hello, this is a simulated voice. How can I help you?",)
    moves: tuple[Move, ...] = ()
    repeats: bool = False
    starts: str = "attached"
    clean_close: bool | None = None

    def __post_init__(self) -> None:
        if not self.replies or not all(isinstance(reply, (str, Reply)) for reply in self.replies):
            raise InvalidInput("a dialogue needs at least one reply, each a text or a Reply", field="replies")
        if not all(isinstance(move, Move) for move in self.moves):
            raise InvalidInput("moves of a dialogue are Move objects", field="moves")
        if self.starts not in _STARTS:
            raise InvalidInput(f"starts is one of {', '.join(_STARTS)}, not {self.starts}", field="starts")

    def to_dict(self) -> dict[str, Any]:
        """The dialogue as JSON values."""
        return {
            "replies": [each if isinstance(each, str) else each.to_dict() for each in self.replies],
            "moves": [move.to_dict() for move in self.moves],
            "repeats": self.repeats,
            "starts": self.starts,
            "clean_close": self.clean_close,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Dialogue:
        """
        The dialogue from :meth:`to_dict`; what is left out has its default.

        :raises InvalidInput: A field is unknown or cannot be used.
        """
        _check_fields(cls, values, "dialogue")
        read = dict(values)
        if "replies" in values:
            read["replies"] = tuple(
                each if isinstance(each, str) else Reply.from_dict(each) for each in _list(values, "replies")
            )
        if "moves" in values:
            read["moves"] = tuple(Move.from_dict(each) for each in _list(values, "moves"))
        return cls(**read)

    def reply(self, number: int) -> Reply:
        """
        What the model says.

        :param number: Which response of the session it is, from 0.
        """
        if number < len(self.replies):
            return _as_reply(self.replies[number])
        spoken = (each for each in map(_as_reply, reversed(self.replies)) if each.text)
        last = next(spoken, Reply("All right."))
        return replace(last, tool_calls=(), status="completed")


def _as_reply(reply: Reply | str) -> Reply:
    return Reply(reply) if isinstance(reply, str) else reply


def _check_fields(kind: type[Any], values: Any, what: str) -> None:
    if not isinstance(values, Mapping):
        raise InvalidInput(f"a {what} is a JSON object", field=what)
    unknown: Iterable[str] = set(values) - {each.name for each in fields(kind)}
    for name in sorted(unknown):
        raise InvalidInput(f"a {what} has no field {name}", field=name)


def _list(values: Mapping[str, Any], name: str) -> list[Any] | tuple[Any, ...]:
    value = values[name]
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(f"{name} is a list", field=name)
    return value
