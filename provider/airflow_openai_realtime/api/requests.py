"""Requests about calls as values: built, checked and interpreted without sending anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from airflow_openai_realtime.api.error_text import json_object, quotable
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

Operation = Literal["accept", "reject", "refer", "hang_up", "check_key", "attach"]

_GONE_CODES = frozenset({"call_id_not_found", "session_id_not_found"})
DECIDED_CODE = "decision_already_made"
# A 404 with one of these is about the address or the model, not about the call.
_OTHER_404_CODES = frozenset({"model_not_found", "deploymentnotfound", "unknown_url", "404"})

_WORDS: dict[Operation, str] = {
    "accept": "accept the call",
    "reject": "reject the call",
    "refer": "transfer the call",
    "hang_up": "hang up the call",
    "check_key": "check the key",
    "attach": "attach to the call",
}


@dataclass(frozen=True)
class CallRequest:
    """
    One request to OpenAI.

    :param operation: What it does; decides what may be repeated.
    :param call_id: The call, or ``None`` for a request about no call.
    :param method: HTTP method.
    :param path: Path below the REST base, with its leading slash.
    :param body: JSON body, or ``None`` for none. Not shown: it may hold credentials of tools.
    """

    operation: Operation
    call_id: str | None
    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)


def accept_call(call_id: str, session: RealtimeSession | Mapping[str, Any]) -> CallRequest:
    """
    Build the request that accepts a ringing call.

    :raises InvalidInput: The call id cannot be one.
    :raises InvalidSession: The session has unknown, contradictory or out-of-range fields.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """
    from airflow_openai_realtime.api.session.constraints import missing_tool
    from airflow_openai_realtime.api.session.problems import session_error
    from airflow_openai_realtime.api.session.realtime_session import (  # builds pydantic models: slow
        RealtimeSession,
        parse_session,
    )

    # A session that was parsed once cannot have changed; but tools that were to be added may be missing.
    parsed = session if isinstance(session, RealtimeSession) else parse_session(session)
    body = parsed.to_body()
    problems = missing_tool(body)
    if problems:
        raise session_error(problems)
    return _about("accept", call_id, body)


def reject_call(call_id: str, status_code: int = DEFAULT_REJECT_STATUS) -> CallRequest:
    """
    Build the request that rejects a ringing call with a SIP status (300 to 699; 486 busy, 603 decline).

    :raises InvalidInput: The call id or the status code cannot be one.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/reject
    """
    return _about("reject", call_id, {"status_code": check_status_code(status_code)})


def refer_call(call_id: str, target_uri: str) -> CallRequest:
    """
    Build the request that transfers an active call.

    :raises InvalidInput: The call id or the target cannot be one.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/refer
    """
    return _about("refer", call_id, {"target_uri": canonical_target_uri(target_uri)})


def hang_up_call(call_id: str) -> CallRequest:
    """
    Build the request that ends an active call.

    :raises InvalidInput: The call id cannot be one.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/hangup
    """
    return _about("hang_up", call_id, None)


def check_key_request(model: str | None = None) -> CallRequest:
    """
    Build the request that shows whether the key works, and whether its project has a model. It touches no call.

    :param model: Name of the model; ``None``: the models are listed.

    Source: https://developers.openai.com/api/reference/resources/models
    """
    path = "/models" if model is None else f"/models/{quote(model, safe='')}"
    return CallRequest("check_key", None, "GET", path)


def interpret(
    request: CallRequest,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    hide: Sequence[str] = (),
) -> None:
    """
    Turn an answer into nothing (done) or the error that it means. Any 2xx is success, whatever its body.

    :param request: What was asked.
    :param status: HTTP status of the answer.
    :param headers: Header names in lower case, or a case-insensitive mapping.
    :param body: The answer's bytes.
    :param hide: Secrets that must not appear in a message.
    :raises CallGone: 404, or any 4xx with ``call_id_not_found``.
    :raises CallAlreadyDecided: Any 4xx with ``decision_already_made``.
    :raises AuthenticationError: 401, 403.
    :raises OutcomeUnknown: 5xx or 408 on a transfer, which may have left.
    :raises ServiceUnavailable: 429, and 5xx or 408 otherwise.
    :raises RequestRefused: Anything else, redirects included: they are never followed.

    Source: ``call_id_not_found`` and ``decision_already_made``:
    https://developers.openai.com/api/docs/guides/voice-sip ; 404 and 400 for ended calls: observed 2026-08.
    """
    if 200 <= status < 300:
        return
    code, text = _error_in(body, hide)
    kind, advice = _meaning(request, status, code, text, body)
    said = f" OpenAI says: {text}" if text else ""
    raise kind(
        f"could not {_WORDS[request.operation]}{_named(request)} (HTTP {status}{', ' + code if code else ''}): "
        f"{advice}.{said}",
        call_id=request.call_id,
        status=status,
        code=code,
        request_id=_clean(headers.get("x-request-id"), hide),
        safe_to_retry=True if status == 429 else None,
    )


def _about(operation: Operation, call_id: str, body: Mapping[str, Any] | None) -> CallRequest:
    verb = "hangup" if operation == "hang_up" else operation
    path = f"/realtime/calls/{quote(check_call_id(call_id), safe='')}/{verb}"
    return CallRequest(operation, call_id, "POST", path, body)


def _named(request: CallRequest) -> str:
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
    request: CallRequest, status: int, code: str | None, text: str, body: bytes
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
        return CallAlreadyDecided, "somebody accepted or rejected it before"
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
