"""
The events of a call's sideband as values, one frozen dataclass for each kind that is of interest.

A field that OpenAI left out, or sent as another type, is ``None``, ``""`` or empty. Texts are raw, as a caller may
have spoken them: mask and quote before logging.

Source: https://developers.openai.com/api/reference/resources/realtime/server-events
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SESSION_EXPIRED = "session_expired"
"""``SessionError.code`` of a session that hit its longest time (60 minutes); the socket closes after it."""

ACTIVE_RESPONSE = "conversation_already_has_active_response"
"""``SessionError.code`` of a ``response.create`` that came while a response was being made; nothing was done."""


@dataclass(frozen=True)
class SessionCreated:
    """
    The socket is attached to a session; first event of each socket, also of one that was attached again.

    :param session_id: ``sess_…``.
    :param expires_at: When OpenAI will end it, aware, UTC.
    :param tools: Tools that the model has now, as they were sent.
    :param session: The whole session configuration.
    """

    session_id: str
    expires_at: datetime | None
    tools: tuple[dict[str, Any], ...]
    session: Mapping[str, Any]


@dataclass(frozen=True)
class SessionUpdated:
    """
    The session was changed; fields as in :class:`SessionCreated`.

    :param session_id: Id of the session, ``sess_…``.
    :param expires_at: When OpenAI ends the session, UTC; ``None`` when it does not say.
    :param tools: The session's tools, as OpenAI sends them.
    :param session: The whole session, as OpenAI sends it.
    """

    session_id: str
    expires_at: datetime | None
    tools: tuple[dict[str, Any], ...]
    session: Mapping[str, Any]


@dataclass(frozen=True)
class CallerSaid:
    """
    What the caller said, as another model heard it; may come long after the answer to it, or never.

    :param item_id: The spoken item.
    :param text: The transcript; may be empty.
    :param usage: ``{"type": "tokens", …}`` or ``{"type": "duration", "seconds": …}``.
    """

    item_id: str
    text: str
    usage: Mapping[str, Any] | None


@dataclass(frozen=True)
class CallerTranscriptFailed:
    """
    What the caller said could not be transcribed; the model heard it all the same.

    :param item_id: The spoken item.
    :param message: Why.
    """

    item_id: str
    message: str


@dataclass(frozen=True)
class CallerSpeaking:
    """
    The caller began to speak; ``item_id`` is that of the item to come.

    :param item_id: Id of the item to come; ``None`` when it is not given.
    """

    item_id: str | None


@dataclass(frozen=True)
class CallerSilent:
    """
    The caller stopped speaking.

    :param item_id: Id of the item with what was said; ``None`` when it is not given.
    """

    item_id: str | None


@dataclass(frozen=True)
class AgentSaid:
    """
    What the model said. Of a response that was interrupted it may be more than the caller heard.

    :param item_id: The item that holds it.
    :param response_id: The response it belongs to.
    :param text: The words.
    :param content_index: Which part of the item; nearly always 0.
    """

    item_id: str
    response_id: str
    text: str
    content_index: int = 0


@dataclass(frozen=True)
class ResponseStarted:
    """
    The model began to answer.

    :param response_id: The response.
    :param metadata: As given to ``response.create``; empty for a response that speech set off.
    """

    response_id: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class FunctionCall:
    """
    The model calls a function of ours.

    Comes by itself as soon as the arguments are there, and again within :class:`ResponseDone`. OpenAI also sends it
    for a response that was cut off: the arguments may then be half a JSON text.

    :param tool_call_id: ``call_…``; goes into the answer. Not the phone call's id. Empty when OpenAI sent none.
    :param name: The function.
    :param arguments: JSON text, made by the model: untrusted, maybe not JSON.
    :param item_id: The item that holds the call.
    :param status: Within :class:`ResponseDone`: ``completed`` or ``incomplete`` (cut off); else None.
    """

    tool_call_id: str
    name: str
    arguments: str
    item_id: str | None
    status: str | None = None


@dataclass(frozen=True)
class ResponseDone:
    """
    A response is made to its end; its audio may still be playing.

    :param response_id: The response.
    :param status: ``completed``, ``cancelled``, ``failed`` or ``incomplete``.
    :param reason: ``turn_detected``, ``client_cancelled``, ``max_output_tokens``, ``content_filter``.
    :param error_message: Of one that failed: why.
    :param usage: Token counts, as sent.
    :param metadata: As given to ``response.create``.
    :param function_calls: The functions that it calls, in order.
    """

    response_id: str
    status: str
    reason: str | None
    error_message: str | None
    usage: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    function_calls: tuple[FunctionCall, ...]


@dataclass(frozen=True)
class AudioStarted:
    """
    The caller begins to hear a response.

    :param response_id: Id of the response, ``resp_…``.
    """

    response_id: str


@dataclass(frozen=True)
class AudioStopped:
    """
    The caller has heard a response to its end; only now can one hang up without cutting words off.

    :param response_id: Id of the response, ``resp_…``.
    """

    response_id: str


@dataclass(frozen=True)
class AudioCleared:
    """
    What was left of a response will not be heard: the caller interrupted it, or a command did.

    :param response_id: Id of the response, ``resp_…``.
    """

    response_id: str


@dataclass(frozen=True)
class KeyPressed:
    """
    The caller pressed a key of the phone (DTMF).

    :param key: ``0``-``9``, ``*``, ``#``, ``A``-``D``.
    :param received_at: When, aware, UTC, whole seconds.
    """

    key: str
    received_at: datetime | None


@dataclass(frozen=True)
class IdleTimeout:
    """The caller was silent for ``idle_timeout_ms``; a response follows by itself."""


@dataclass(frozen=True)
class McpEvent:
    """
    Something about a tool of an MCP server, which OpenAI runs by itself.

    :param kind: ``list_tools`` (with its tools' server), ``list_tools.in_progress``, ``list_tools.completed``,
        ``list_tools.failed``, ``call`` (a call that is over), ``call.in_progress``, ``call.completed``,
        ``call.failed``, or ``approval_request``: the call waits for an approval.
    :param server_label: Label of the server; only with ``list_tools``, ``call`` and ``approval_request``.
    :param name: The tool; only with ``call`` and ``approval_request``.
    :param message: What went wrong; only with ``call``.
    :param item_id: The item it is about; joins the events of one call.
    """

    kind: str
    server_label: str | None
    name: str | None
    message: str | None
    item_id: str | None = None


@dataclass(frozen=True)
class RateLimits:
    """
    What is left of the project's limits: ``{"name", "limit", "remaining", "reset_seconds"}`` each.

    :param limits: One object a limit; ``reset_seconds`` is in seconds.
    """

    limits: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SessionError:
    """
    An error of the session; mostly it goes on. One that kills it shows in the socket's closing.

    :param code: For example :data:`SESSION_EXPIRED` or :data:`ACTIVE_RESPONSE`.
    :param type: For example ``invalid_request_error``, ``server_error``.
    :param message: What OpenAI says.
    :param param: Path of the field that is wrong.
    :param event_id: The ``event_id`` of the command that caused it, when that had one.
    """

    code: str | None
    type: str | None
    message: str
    param: str | None
    event_id: str | None


SidebandEvent = (
    SessionCreated
    | SessionUpdated
    | CallerSaid
    | CallerTranscriptFailed
    | CallerSpeaking
    | CallerSilent
    | AgentSaid
    | ResponseStarted
    | ResponseDone
    | FunctionCall
    | AudioStarted
    | AudioStopped
    | AudioCleared
    | KeyPressed
    | IdleTimeout
    | McpEvent
    | RateLimits
    | SessionError
)
"""Everything that ``read_event`` makes."""
