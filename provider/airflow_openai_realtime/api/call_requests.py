"""
OpenAI's call endpoints: one function for each, with what is sent, how the answer is read, and what may be repeated.

Every error says in ``may_have_happened`` whether one of the attempts may have been carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow_openai_realtime.api.request import (
    ANY_TROUBLE,
    HARMLESS,
    OPENAI,
    WEBSOCKET,
    Answer,
    NoAnswer,
    Policy,
    Request,
    Requests,
    Trouble,
    json_object,
    quotable,
)
from airflow_openai_realtime.api.sip import (
    DEFAULT_REJECT_STATUS,
    canonical_target_uri,
    check_call_id,
    check_status_code,
)
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallAlreadyDecided,
    CallError,
    CallGone,
    OutcomeUnknown,
    RequestRefused,
    ServiceUnavailable,
)

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

T = TypeVar("T")

SHORTEST_RING_SECONDS = 8.0
"""For how long an accept is tried again at least, in seconds."""

ATTACH_SECONDS = 3.0
"""For how long attaching is tried again: a call accepted a moment ago may not be found yet."""

# As long as the phone rings, a time that the accepting code knows. An accept without an answer is not repeated here:
# the caller of the request first finds out whether the call is live.
ACCEPT = Policy(1000, SHORTEST_RING_SECONDS, HARMLESS | {Trouble.SERVER_ERROR})
REJECT = Policy(2, 8.0, ANY_TROUBLE)
# A second REFER could transfer twice.
REFER = Policy(3, 8.0, frozenset({Trouble.NOT_SENT}))
# A second hang-up changes nothing, and a call that is not ended costs money.
HANG_UP = Policy(4, 30.0, ANY_TROUBLE)
CHECK_KEY = Policy(2, 10.0, ANY_TROUBLE)
# Listening in has no effect on the call.
ATTACH = Policy(20, ATTACH_SECONDS, ANY_TROUBLE, repeat_errors=(CallGone,))

_GONE_CODES = frozenset({"call_id_not_found", "session_id_not_found"})
DECIDED_CODE = "decision_already_made"
# A 404 with one of these is about the address or the model, not about the call.
_OTHER_404_CODES = frozenset({"model_not_found", "deploymentnotfound", "unknown_url", "404"})

_WORDS: dict[str, str] = {
    "accept": "accept the call",
    "reject": "reject the call",
    "refer": "transfer the call",
    "hang_up": "hang up the call",
    "check_key": "check the key",
    "attach": "attach to the call",
}


@dataclass(frozen=True)
class HangUpResult:
    """
    What a hang-up came to.

    :param gone: The call was over before; nothing was ended now.
    :param maybe_by_us: The same request was sent before without a clear answer, so that it may have ended the call.
    """

    gone: bool
    maybe_by_us: bool = False


def accept_call(
    call_id: str, session: RealtimeSession | Mapping[str, Any], retry_seconds: float = SHORTEST_RING_SECONDS
) -> Request[None]:
    """
    Accept a ringing call with a session configuration.

    Success means that OpenAI begins to set the call up; whether audio flows shows on the sideband.

    :param call_id: Id from the ``realtime.call.incoming`` webhook.
    :param session: The configuration; a mapping is checked like a ``RealtimeSession``.
    :param retry_seconds: For how long to start new attempts, in seconds: as long as the phone rings.
    :raises InvalidInput: The call id cannot be one.
    :raises InvalidSession: The session has unknown, contradictory or out-of-range fields.

    Sending it raises

    - ``CallGone``: the caller hung up, or the key or region is of another project;
    - ``CallAlreadyDecided``: it was accepted or rejected before;
    - ``OutcomeUnknown``: it was sent and no answer came, or it is decided after an attempt without a clear answer; not
      repeated. :func:`is_live` tells whether the call was accepted;
    - ``AuthenticationError``: the key was refused;
    - ``ServiceUnavailable``: no connection, 429 or 5xx, still so after ``retry_seconds``.

    Retries: for ``retry_seconds``, with pauses up to 2 s, after a failure to connect, 429 and 5xx.
    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """
    from airflow_openai_realtime.api.session.realtime_session import accept_body  # builds pydantic models: slow

    body = accept_body(session)
    return _about("accept", call_id, check, replace(ACCEPT, total_seconds=retry_seconds), body)


def reject_call(call_id: str, status_code: int = DEFAULT_REJECT_STATUS) -> Request[None]:
    """
    Reject a ringing call.

    :param call_id: Id from the ``realtime.call.incoming`` webhook.
    :param status_code: SIP status the caller gets, 300 to 699; 486 busy, 603 decline.
    :raises InvalidInput: The call id or the status code cannot be one.

    Sending it raises ``CallGone`` (the caller hung up before), ``CallAlreadyDecided``, ``OutcomeUnknown`` (no clear
    answer came to either of two requests), ``AuthenticationError``, ``ServiceUnavailable``.

    Retries: 1.
    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/reject
    """
    return _about("reject", call_id, check, REJECT, {"status_code": check_status_code(status_code)})


def refer_call(call_id: str, target_uri: str) -> Request[None]:
    """
    Transfer an active call. Success means that the request went to the carrier, not that it was answered there.

    :param call_id: Id of a live call.
    :param target_uri: ``tel:+14155550123`` or ``sip:agent@example.com``.
    :raises InvalidInput: The call id or the target cannot be one.

    Sending it raises ``CallGone`` (the call is over), ``OutcomeUnknown`` (no answer or 5xx: the transfer may have left;
    not repeated), ``AuthenticationError``, ``ServiceUnavailable`` (no connection, or 429).

    Retries: up to 2, only when no connection could be made.
    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/refer
    """
    return _about("refer", call_id, check, REFER, {"target_uri": canonical_target_uri(target_uri)})


def hang_up_call(call_id: str) -> Request[HangUpResult]:
    """
    End an active call. Ending a call that is already over is success: the result says ``gone``.

    :param call_id: Id from the ``realtime.call.incoming`` webhook, for example ``rtc_u1_abc``.
    :raises InvalidInput: The call id cannot be one.

    Sending it raises ``AuthenticationError`` (not retried) and ``ServiceUnavailable`` (429, 5xx, no answer or no
    connection after the last attempt).

    Retries: up to 3 within 30 s, since a second hang-up changes nothing.
    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/hangup
    """

    def read(request: Request[Any], answer: Answer) -> HangUpResult:
        try:
            check(request, answer)
        except CallGone:
            return HangUpResult(gone=True, maybe_by_us=answer.asked_before)
        return HangUpResult(gone=False)

    return _about("hang_up", call_id, read, HANG_UP, None)


def check_key(model: str | None = None) -> Request[None]:
    """
    Show whether key and address work, by asking for the models. It touches no call.

    :param model: Name of the model that the project must have; ``None`` for any.

    Sending it raises ``AuthenticationError``, ``RequestRefused`` (the address is wrong, or ``code`` is
    ``model_not_found``: there is no such model), ``ServiceUnavailable``.

    Retries: 1.
    Source: https://developers.openai.com/api/reference/resources/models
    """
    path = "/models" if model is None else f"/models/{quote(model, safe='')}"
    return Request(OPENAI, "check_key", "GET", path, check, _no_answer, CHECK_KEY)


def attach_call(call_id: str, retry_seconds: float = ATTACH_SECONDS) -> Request[None]:
    """
    Open the sideband of an accepted call; attaching twice changes nothing for the caller.

    :param call_id: Id of the accepted call.
    :param retry_seconds: For how long to start new attempts, in seconds.
    :raises InvalidInput: The call id cannot be one.

    Sending it raises ``CallGone`` (not found, still so after ``retry_seconds``), ``AuthenticationError``,
    ``RequestRefused``, ``ServiceUnavailable``.

    Retries: for ``retry_seconds``, also while the call is not found.
    Source: https://developers.openai.com/api/docs/guides/voice-server-controls ; 404 when too early: observed 2026.
    """
    path = f"?call_id={quote(check_call_id(call_id), safe='')}"
    policy = replace(ATTACH, total_seconds=retry_seconds)
    return Request(OPENAI, "attach", WEBSOCKET, path, _check_socket, _no_socket, policy, call_id)


def is_live(call_id: str) -> Requests[bool]:
    """
    Tell whether a call was accepted and goes on: attach to its sideband for a moment. The caller hears nothing.

    :param call_id: The call.

    Sending it raises ``AuthenticationError``, ``RequestRefused``, and ``ServiceUnavailable``: not known.

    Retries: for 3 s, also while the call is not found: it may have been accepted a moment ago.
    Source: https://developers.openai.com/api/docs/guides/voice-server-controls
    """
    try:
        yield attach_call(call_id)
    except CallGone:
        return False
    return True


def check(request: Request[Any], answer: Answer) -> None:
    """
    Read an answer as done, or as the error that it means. Any 2xx is success, whatever its body.

    :param request: What was asked.
    :param answer: What came.
    :raises CallGone: 404, or any 4xx with ``call_id_not_found``.
    :raises CallAlreadyDecided: Any 4xx with ``decision_already_made``, unless an earlier attempt may have decided.
    :raises AuthenticationError: 401, 403.
    :raises OutcomeUnknown: 5xx or 408 on a transfer, which may have left; decided, perhaps by an earlier attempt.
    :raises ServiceUnavailable: 429, and 5xx or 408 otherwise.
    :raises RequestRefused: Anything else, redirects included: they are never followed.

    Source: ``call_id_not_found`` and ``decision_already_made``:
    https://developers.openai.com/api/docs/guides/voice-sip ; 404 and 400 for ended calls: observed 2026-08.
    """
    status, hide = answer.status_code, answer.service.secrets
    if 200 <= status < 300:
        return
    code, text = _error_in(answer.content, hide)
    kind, advice = _meaning(request, status, code, text, answer.content)
    said = f" OpenAI says: {text}" if text else ""
    message = (
        f"could not {_WORDS[request.operation]}{_named(request)} (HTTP {status}{', ' + code if code else ''}): "
        f"{advice}.{said}"
    )
    if answer.asked_before and kind is CallAlreadyDecided:
        # Possibly it was this very request that decided: an earlier attempt got no clear answer.
        kind = OutcomeUnknown
        message = f"an earlier attempt got no clear answer, and now it is decided, perhaps by that attempt: {message}"
    error = kind(
        message,
        call_id=request.call_id,
        status=status,
        code=code,
        request_id=_clean(answer.headers.get("x-request-id"), hide),
        safe_to_retry=True if status == 429 else None,
    )
    error.may_have_happened = answer.may_have_happened
    raise error


def _no_answer(request: Request[Any], lost: NoAnswer) -> CallError:
    host, doing = lost.service.host, request.operation.replace("_", " ")
    error: CallError
    if not lost.is_sent:
        error = ServiceUnavailable(
            f"no connection to {host} for {doing}: {lost.why}. Check the network, the proxy and the base URL",
            call_id=request.call_id,
        )
    elif request.operation in ("accept", "refer", "reject"):
        error = OutcomeUnknown(
            f"{doing} was sent to {host}, but no answer came ({lost.why}): it may have been carried out or not",
            call_id=request.call_id,
        )
    else:
        error = ServiceUnavailable(
            f"{doing} was sent to {host}, but no answer came ({lost.why}); it may be repeated", call_id=request.call_id
        )
    error.may_have_happened = lost.may_have_happened
    return error


def _check_socket(request: Request[Any], answer: Answer) -> None:
    if answer.status_code == 101:
        return
    check(request, answer)
    raise ServiceUnavailable(
        f"the sideband answered HTTP {answer.status_code} instead of a socket: check the base URL",
        call_id=request.call_id,
    )


def _no_socket(request: Request[Any], lost: NoAnswer) -> CallError:
    return ServiceUnavailable(
        f"no sideband connection to {lost.service.host}: {lost.why}. Check the network, the proxy and the base URL",
        call_id=request.call_id,
    )


def _about(
    operation: str,
    call_id: str,
    read: Callable[[Request[Any], Answer], T],
    policy: Policy,
    body: Mapping[str, Any] | None,
) -> Request[T]:
    verb = "hangup" if operation == "hang_up" else operation
    path = f"/realtime/calls/{quote(check_call_id(call_id), safe='')}/{verb}"
    return Request(OPENAI, operation, "POST", path, read, _no_answer, policy, call_id, body=body)


def _named(request: Request[Any]) -> str:
    return f" {request.call_id}" if request.call_id else ""


def _clean(text: object, hide: Sequence[str]) -> str | None:
    return quotable(text, hide)[:100] or None if isinstance(text, str) else None


def _error_in(body: bytes, hide: Sequence[str]) -> tuple[str | None, str]:
    """Return OpenAI's error code and text; a foreign body is quoted as it is."""
    answer = json_object(body)
    error = answer.get("error") if answer else None
    if not isinstance(error, dict):
        return None, quotable(body[:4000].decode("utf-8", "replace"), hide)
    message = error.get("message")
    return _clean(error.get("code"), hide), quotable(message, hide) if isinstance(message, str) else ""


def _meaning(
    request: Request[Any], status: int, code: str | None, text: str, body: bytes
) -> tuple[type[CallError], str]:
    """Say which error an answer is, and what to do about it."""
    if status == 429:
        return ServiceUnavailable, "the rate limit of the project is reached; slow down or ask OpenAI for more"
    if status >= 500 or status == 408:
        if request.operation == "refer":
            return OutcomeUnknown, "the transfer may have left all the same; ask the carrier before trying again"
        return ServiceUnavailable, "OpenAI has a problem; try again, and see status.openai.com"
    if 300 <= status < 400:
        return RequestRefused, "the address redirects, which is never followed; correct the base URL"
    if 400 <= status < 500 and code == DECIDED_CODE:
        return CallAlreadyDecided, "it was accepted or rejected before"
    if status in (401, 403):
        return AuthenticationError, "the API key was refused; check the key, its project and its permissions"
    if request.call_id is not None and (code in _GONE_CODES or (status == 404 and not _other_404(code, text, body))):
        return CallGone, "it is over or never was, or the key or base URL belongs to another project or region"
    if status == 404:
        return RequestRefused, "there is no such address or model; check the base URL (its path too) and the model"
    return RequestRefused, "repeating the same request cannot help; correct what OpenAI names"


def _other_404(code: str | None, text: str, body: bytes) -> bool:
    """Whether a 404 is clearly not about the call: another code, a wrong URL, or a page that is not OpenAI's."""
    if (code or "").lower() in _OTHER_404_CODES or text.lower().startswith("invalid url"):
        return True
    answer = json_object(body)
    return bool(body.strip()) and (answer is None or "error" not in answer)
