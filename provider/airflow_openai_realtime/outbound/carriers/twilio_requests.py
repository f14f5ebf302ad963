"""Twilio's REST API as values: requests built and answers interpreted, nothing sent."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import quote

from airflow_openai_realtime.api.error_text import json_object, quotable
from airflow_openai_realtime.api.retry import Policy, Trouble
from airflow_openai_realtime.exceptions import (
    CarrierRefused,
    CarrierUnavailable,
    DialError,
    InvalidInput,
    NumberRefused,
    PlacementUnknown,
)
from airflow_openai_realtime.outbound.carriers.port import STATUSES, CarrierCall, CarrierStatus, DialRequest, PlacedCall
from airflow_openai_realtime.outbound.carriers.twiml import bridge

log = logging.getLogger(__name__)

Operation = Literal["place", "look", "end", "check"]

MAX_RING_SECONDS = 600
_CALL_OVER_CODE = "21220"  # "Invalid call state": there is nothing left to end
_OTHER_WORDS: Mapping[str, CarrierStatus] = {"initiated": "queued", "answered": "in-progress", "cancelled": "canceled"}

_REPEATABLE = frozenset({Trouble.NOT_SENT, Trouble.RATE_LIMITED, Trouble.SERVER_ERROR, Trouble.NO_ANSWER})
POLICIES: Mapping[Operation, Policy] = {
    "place": Policy(1, 0.0, frozenset()),  # a second order rings a second time
    "look": Policy(3, 15.0, _REPEATABLE),
    "end": Policy(4, 30.0, _REPEATABLE),
    "check": Policy(2, 10.0, _REPEATABLE),
}
"""What may be repeated at a carrier. Twilio has no idempotency key, so an order is never sent twice."""

_ABOUT_NUMBER: Mapping[str, str] = dict.fromkeys(
    ("21211", "21214", "21217"), "Twilio cannot ring this number; correct the number"
)
"""
Codes of an order that are about the number to ring, with what to do: only these end an attempt.

Every other refusal is about the account, the caller number, the pace or the order, or is not known here. A 4xx dialed
nothing, so the number stays dialable: at worst Twilio refuses it again.
Source: https://www.twilio.com/docs/api/errors/21211, 21214 and 21217, read 2026-11-30.
"""

_NOT_ACTIVE = "the account is not active: look at its balance and its state in Twilio's console"
_CALLER = "the caller number is not one of the account: buy or verify it, or correct caller_number"
_ADVICE: Mapping[str, str] = {
    **_ABOUT_NUMBER,
    "10001": _NOT_ACTIVE,
    "20005": _NOT_ACTIVE,
    "10002": "a trial account cannot do this: upgrade it",
    "10004": "too many calls at once; dial more slowly",
    "13246": "voice calls are switched off for the account: ask Twilio",
    "20003": "the account, or the key and its secret, was refused; check the carrier's connection",
    "21210": _CALLER,
    "21212": _CALLER,
    "21213": _CALLER,
    "21215": "the account may not call this country: allow it under voice geographic permissions in Twilio's console",
    "21216": "the account may not call this number: look at its voice permissions in Twilio's console",
    "21219": "a trial account calls only verified numbers: verify it, or upgrade",
    "573005": "a trial account calls only verified numbers: finish verifying it, or upgrade",
}
"""
What to do about Twilio's codes for an order.

Source: https://www.twilio.com/docs/api/errors, the pages 10001, 10002, 10004, 20003, 20005, 21210 to 21219 and 573005,
read 2026-11-30.
"""

_WORDS: dict[Operation, str] = {
    "place": "place the call",
    "look": "look at the call",
    "end": "end the call",
    "check": "check the account",
}


@dataclass(frozen=True)
class TwilioRequest:
    """
    One request to Twilio.

    :param operation: What it does; decides what may be repeated.
    :param method: HTTP method.
    :param path: Path below the base URL.
    :param form: Form fields. Not shown: they hold the number.
    """

    operation: Operation
    method: str
    path: str
    form: Mapping[str, str] | None = field(default=None, repr=False)


def place_request(account: str, request: DialRequest) -> TwilioRequest:
    """
    Build the order that rings a phone and then bridges it to OpenAI.

    :raises InvalidInput: It would ring longer than Twilio allows, or the SIP address gets too long.

    Source: https://www.twilio.com/docs/voice/api/call-resource
    """
    ring_seconds = math.ceil(request.ring_seconds)
    if ring_seconds > MAX_RING_SECONDS:
        raise InvalidInput(f"ring_seconds must be at most {MAX_RING_SECONDS} at Twilio", field="ring_seconds")
    form = {
        "To": request.to,
        "From": request.from_number,
        "Twiml": bridge(request),
        "Timeout": str(ring_seconds),
        "TimeLimit": str(math.ceil(request.max_duration_seconds)),
    }
    return TwilioRequest("place", "POST", f"{_account_path(account)}/Calls.json", form)


def look_request(account: str, carrier_call_id: str) -> TwilioRequest:
    """Build the request that shows a call."""
    return TwilioRequest("look", "GET", _call_path(account, carrier_call_id))


def end_request(account: str, carrier_call_id: str) -> TwilioRequest:
    """Build the request that ends a call, whether it still rings or is answered."""
    return TwilioRequest("end", "POST", _call_path(account, carrier_call_id), {"Status": "completed"})


def cancel_request(account: str, carrier_call_id: str) -> TwilioRequest:
    """Build the request that ends a call only while it is queued or rings."""
    return TwilioRequest("end", "POST", _call_path(account, carrier_call_id), {"Status": "canceled"})


def check_request(account: str, *, by_key: bool = False) -> TwilioRequest:
    """
    Build the request that shows whether account and secret work.

    :param account: Account SID.
    :param by_key: Whether an API key signs in instead of the account's auth token. A standard key may not see the
        account, so its calls are asked for.

    Source: https://www.twilio.com/docs/iam/api-keys/keys-in-console
    """
    return TwilioRequest("check", "GET", f"{_account_path(account)}{'/Calls.json?PageSize=1' if by_key else '.json'}")


def interpret(request: TwilioRequest, status: int, body: bytes, *, hide: Sequence[str] = ()) -> Any:
    """
    Turn an answer into a value (PlacedCall, CarrierCall or ``None``) or the error that it means.

    :raises NumberRefused: 4xx: an order was refused, since Twilio cannot ring the number.
    :raises CarrierRefused: Any other 4xx, with Twilio's code and text; ``safe_to_retry`` on 429. Also a redirect, and
        an account that is closed or suspended.
    :raises PlacementUnknown: 5xx, 408, or a 2xx that cannot be read, on an order.
    :raises CarrierUnavailable: The same on any other request.

    Source: https://www.twilio.com/docs/usage/twilios-response
    """
    answer = json_object(body)
    if 200 <= status < 300:
        return _READERS[request.operation](answer or {}, status)
    code, text = _error_in(answer, hide)
    if request.operation == "end" and code == _CALL_OVER_CODE:
        return None
    said = f" Twilio says{' (' + code + ')' if code else ''}: {text}" if text else ""
    doing = f"could not {_WORDS[request.operation]} (HTTP {status}): "
    if status >= 500 or status == 408:
        raise no_answer(request, f"{doing}Twilio has a problem.{said}", status=status, code=code)
    is_about_number = request.operation == "place" and status not in (401, 403, 429) and code in _ABOUT_NUMBER
    refusal = NumberRefused if is_about_number else CarrierRefused
    raise refusal(
        f"{doing}{_advice(request, status, code)}.{said}", status=status, code=code, safe_to_retry=status == 429
    )


def no_answer(request: TwilioRequest, text: str, *, status: int | None = None, code: str | None = None) -> DialError:
    """Return the error for a request that left without a clear answer."""
    if request.operation == "place":
        return PlacementUnknown(
            f"{text} The phone may be ringing: look at Twilio's call log before dialling again",
            status=status,
            code=code,
        )
    return CarrierUnavailable(f"{text} Trying again is safe", status=status, code=code)


def _account_path(account: str) -> str:
    return f"/2010-04-01/Accounts/{quote(account, safe='')}"


def _call_path(account: str, carrier_call_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", carrier_call_id):
        raise InvalidInput("carrier_call_id must be the id that placing the call gave, CA…", field="carrier_call_id")
    return f"{_account_path(account)}/Calls/{carrier_call_id}.json"


def _error_in(answer: dict[str, Any] | None, hide: Sequence[str]) -> tuple[str | None, str]:
    if not answer:
        return None, ""
    code, message = answer.get("code"), answer.get("message")
    return (
        quotable(str(code), hide)[:20] if isinstance(code, (int, str)) else None,
        quotable(message, hide) if isinstance(message, str) else "",
    )


def _advice(request: TwilioRequest, status: int, code: str | None) -> str:
    if code is not None and code in _ADVICE and not (status in (401, 403) and code in _ABOUT_NUMBER):
        return _ADVICE[code]
    if status in (401, 403):
        return (
            "the account, or the key and its secret, was refused, or lacks a permission; check the carrier's connection"
        )
    if status == 429:
        return "too many requests; dial more slowly"
    if 300 <= status < 400:
        return "the address redirects, which is never followed; correct the carrier's base URL"
    if status == 404:
        return "there is no such call or account; check the id, the account and the base URL"
    return "correct what Twilio names; the same request would be refused again"


def _read_placed(answer: dict[str, Any], status: int) -> PlacedCall:
    sid = answer.get("sid")
    if not isinstance(sid, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sid):
        raise PlacementUnknown(
            f"Twilio answered the order with HTTP {status} but named no call. The phone may be ringing: look at "
            "Twilio's call log before dialling again",
            status=status,
        )
    return PlacedCall(sid, _status(answer.get("status"), "queued"))


def _read_call(answer: dict[str, Any], status: int) -> CarrierCall:
    sid = answer.get("sid")
    if not isinstance(sid, str):
        raise CarrierUnavailable(f"Twilio's answer (HTTP {status}) shows no call: check the base URL", status=status)
    answered_by = answer.get("answered_by")
    return CarrierCall(
        carrier_call_id=sid,
        status=_status(answer.get("status"), "in-progress"),
        duration_seconds=_seconds(answer.get("duration")),
        answered_by=quotable(answered_by)[:50] if isinstance(answered_by, str) and answered_by else None,
    )


def _read_check(answer: dict[str, Any], status: int) -> None:
    state = answer.get("status")
    if state in ("suspended", "closed"):
        raise CarrierRefused(f"could not check the account: it is {state}; {_NOT_ACTIVE}", status=status)


def _read_nothing(_answer: dict[str, Any], _status: int) -> None:
    return None


_READERS: dict[Operation, Callable[[dict[str, Any], int], Any]] = {
    "place": _read_placed,
    "look": _read_call,
    "end": _read_nothing,
    "check": _read_check,
}


def _status(value: object, otherwise: CarrierStatus) -> CarrierStatus:
    """Read a status; an unknown word counts as a call that is not over, so that somebody goes on watching it."""
    word = str(value).strip().lower().replace("_", "-")
    if word in STATUSES:
        return cast("CarrierStatus", word)
    if word not in _OTHER_WORDS:
        log.warning("Twilio gave an unknown call status %r; taking it as %r", quotable(word)[:50], otherwise)
    return _OTHER_WORDS.get(word, otherwise)


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
