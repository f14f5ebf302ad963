"""
Requests as values: what is sent, how its answer is read, and what may be repeated. Nothing is sent from here.

:class:`~airflow_openai_realtime.api.client.Client` sends them. A repeated accept, transfer or order can have a second
effect on a phone, so every request says after which troubles it may be sent again.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, Union
from urllib.parse import urlsplit

from airflow_openai_realtime.api.phone_numbers import mask_numbers
from airflow_openai_realtime.exceptions import OpenAIRealtimeError

T = TypeVar("T")

OPENAI, CARRIER, SWITCHBOARD = "openai", "carrier", "switchboard"
"""Names of the services that requests are sent to."""

MOST_ANSWER_BYTES = 4 * 1024 * 1024
"""Largest answer of OpenAI or a carrier that is read, in bytes; theirs have some kilobytes."""

LONGEST_QUOTE = 500
"""Most characters of other people's error text in a message of ours."""

WEBSOCKET = "WEBSOCKET"
"""Method of a request that opens a WebSocket; its success is the answer 101."""


class Trouble(enum.Enum):
    """How an attempt to send a request failed."""

    NOT_SENT = "not sent"  # no connection: nothing can have happened
    RATE_LIMITED = "rate limited"  # 429: refused before anything was done
    SERVER_ERROR = "server error"  # 5xx, 408: it may have happened
    NO_ANSWER = "no answer"  # time-out or a broken connection after sending: it may have happened
    FINAL = "final"  # any other answer


AMBIGUOUS = frozenset({Trouble.SERVER_ERROR, Trouble.NO_ANSWER})
HARMLESS = frozenset({Trouble.NOT_SENT, Trouble.RATE_LIMITED})
ANY_TROUBLE = HARMLESS | AMBIGUOUS


@dataclass(frozen=True)
class Policy:
    """
    When a request may be sent again.

    :param tries: Most attempts in all, the first included.
    :param total_seconds: No attempt starts later than this after the first one, in seconds.
    :param repeat_after: Troubles after which it may be sent again.
    :param repeat_errors: Errors after which it may be sent again, whatever the trouble.
    :param first_pause_seconds: Pause before the second attempt, in seconds; it doubles from attempt to attempt.
    :param longest_pause_seconds: Longest such pause, in seconds.
    :param obeys_retry_after: Whether a pause that the server asks for is made instead.
    """

    tries: int
    total_seconds: float
    repeat_after: frozenset[Trouble]
    repeat_errors: tuple[type[OpenAIRealtimeError], ...] = ()
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 2.0
    obeys_retry_after: bool = True


@dataclass(frozen=True)
class Service:
    """
    Where requests are sent, and how they are signed: an OpenAI project, a carrier account, a line at its switchboard.

    :param name: One of :data:`OPENAI`, :data:`CARRIER`, :data:`SWITCHBOARD`; only requests to it are sent there.
    :param base_url: What paths are appended to; no slash at its end.
    :param headers: Of every request. Not shown: they hold the key.
    :param secrets: Texts that no error may show.
    :param timeout_seconds: Limit for one exchange from connecting to the last byte of the answer, in seconds, above 0;
        connecting takes at most 5 s of it.
    :param most_bytes: Largest body of an answer, in bytes; of a longer one nothing is used.
    :param websocket_url: Where requests with the method :data:`WEBSOCKET` go.
    """

    name: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    timeout_seconds: float = 10.0
    most_bytes: int = MOST_ANSWER_BYTES
    websocket_url: str = ""

    @property
    def host(self) -> str:
        """The host, for messages."""
        return urlsplit(self.base_url).hostname or self.base_url


@dataclass(frozen=True)
class Answer:
    """
    An answer that was read to its end.

    :param status_code: HTTP status.
    :param headers: Case-insensitive.
    :param content: The body.
    :param service: Who answered.
    :param asked_before: Whether an earlier attempt of the same request may have been carried out.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    service: Service
    asked_before: bool = False

    @property
    def trouble(self) -> Trouble:
        """What it means for repeating when it is no success."""
        return trouble_of_status(self.status_code)

    @property
    def may_have_happened(self) -> bool:
        """Whether this attempt or an earlier one may have been carried out although this is no success."""
        return self.asked_before or self.trouble in AMBIGUOUS


@dataclass(frozen=True)
class NoAnswer:
    """
    An attempt that got no answer.

    :param why: What the network says; one line without secrets, or the kind of the error.
    :param kind: Name of the error's class.
    :param trouble: Whether the request can have left.
    :param service: Who was asked.
    :param asked_before: Whether an earlier attempt of the same request may have been carried out.
    """

    why: str
    kind: str
    trouble: Trouble
    service: Service
    asked_before: bool = False

    @property
    def is_sent(self) -> bool:
        """Whether the request may have left."""
        return self.trouble is not Trouble.NOT_SENT

    @property
    def may_have_happened(self) -> bool:
        """Whether this attempt or an earlier one may have been carried out."""
        return self.asked_before or self.is_sent


@dataclass(frozen=True)
class Request(Generic[T]):
    """
    One request, how its answer is read, and when it may be sent again.

    :param to: Name of the service that it is for.
    :param operation: What it does, in snake_case, for errors and logs: ``hang_up``.
    :param method: HTTP method, or :data:`WEBSOCKET`.
    :param path: Path below the service's base URL, with its leading slash, already quoted.
    :param read: Turns an answer into the result.

        :raises OpenAIRealtimeError: What an answer that is no success means.
    :param no_answer: Makes the error for an attempt that got no answer.
    :param policy: When it may be sent again.
    :param call_id: The call it is about, if it is about one.
    :param params: Query parameters.
    :param body: JSON body. Not shown: it may hold credentials of tools and phone numbers.
    :param form: Form fields instead of a JSON body. Not shown: they hold the number.
    :param content: Bytes instead of a JSON body.
    :param headers: Further headers.
    :param wait_seconds: How much longer the answer may take, for a long poll, in seconds.
    """

    to: str
    operation: str
    method: str
    path: str
    read: Callable[[Request[Any], Answer], T] = field(repr=False)
    no_answer: Callable[[Request[Any], NoAnswer], Exception] = field(repr=False)
    policy: Policy = field(repr=False)
    call_id: str | None = None
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    wait_seconds: float = 0.0


Requests = Generator[Request[Any], Any, T]
"""Several requests with one result: yields one after the other, and is sent what each came to."""

Sendable = Union[Request[T], Requests[T]]  # noqa: UP007 - evaluated, also by Python 3.10
"""What a client can send."""


def trouble_of_status(status: int) -> Trouble:
    """
    Classify an HTTP status.

    :param status: Any but 2xx.
    """
    if status == 429:
        return Trouble.RATE_LIMITED
    return Trouble.SERVER_ERROR if status >= 500 or status == 408 else Trouble.FINAL


def quotable(text: str, hide: Sequence[str] = ()) -> str:
    """
    Return ``text`` on one line, without secrets and phone numbers, cut to 500 characters.

    :param text: From a server or a library; untrusted.
    :param hide: Secrets that must not appear; each is replaced by ``***``.
    """
    for secret in hide:
        if secret:
            text = text.replace(secret, "***")
    one_line = " ".join("".join(char if char.isprintable() else " " for char in text[: 8 * LONGEST_QUOTE]).split())
    masked = mask_numbers(one_line)
    return masked if len(masked) <= LONGEST_QUOTE else masked[: LONGEST_QUOTE - 1] + "…"


def json_object(body: bytes) -> dict[str, Any] | None:
    """
    Return the JSON object in ``body``, or ``None`` when it is anything else; never raises.

    :param body: Body of an answer, UTF-8.
    """
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
