"""
Twilio: one method for each request, with how its answer is read and what may be repeated.

TwiML says what Twilio does with a call once the person has answered.
"""

from __future__ import annotations

import base64
import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from airflow_openai_realtime.api.client import Pace
from airflow_openai_realtime.api.network import Transport
from airflow_openai_realtime.api.request import (
    ANY_TROUBLE,
    CARRIER,
    Answer,
    NoAnswer,
    Policy,
    Request,
    Requests,
    Service,
    json_object,
    quotable,
)
from airflow_openai_realtime.api.settings import USER_AGENT
from airflow_openai_realtime.exceptions import (
    CarrierRefused,
    CarrierUnavailable,
    DialError,
    InvalidInput,
    NumberRefused,
    PlacementUnknown,
)
from airflow_openai_realtime.outbound.carriers.port import (
    STATUSES,
    CarrierCall,
    CarrierSettings,
    CarrierStatus,
    Dialer,
    DialRequest,
    PlacedCall,
)

log = logging.getLogger(__name__)

MAX_RING_SECONDS = 600
_CALL_OVER_CODE = "21220"  # "Invalid call state": there is nothing left to end
_OTHER_WORDS: Mapping[str, CarrierStatus] = {"initiated": "queued", "answered": "in-progress", "cancelled": "canceled"}

# Twilio has no idempotency key: a second order rings a second time.
PLACE = Policy(1, 0.0, frozenset())
LOOK = Policy(3, 15.0, ANY_TROUBLE)
END = Policy(4, 30.0, ANY_TROUBLE)
CHECK = Policy(2, 10.0, ANY_TROUBLE)

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

_WORDS: dict[str, str] = {
    "place": "place the call",
    "look": "look at the call",
    "end": "end the call",
    "check": "check the account",
}


class TwilioDialer(Dialer):
    """
    Rings phones through Twilio; errors are those of the port.

    :param settings: Account, token and address.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    """

    def __init__(
        self, settings: CarrierSettings, *, transport: Transport | None = None, pace: Pace | None = None
    ) -> None:
        signed = base64.b64encode(f"{settings.api_key or settings.account}:{settings.token}".encode()).decode()
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Authorization": f"Basic {signed}"}
        service = Service(CARRIER, settings.base_url, headers, (settings.token, signed), settings.timeout_seconds)
        super().__init__(service, transport=transport, pace=pace)
        self.account = settings
        self._path = f"/2010-04-01/Accounts/{quote(settings.account, safe='')}"
        self._by_key = settings.api_key is not None

    def place(self, request: DialRequest) -> Request[PlacedCall]:
        """
        Ring a phone and then bridge it to OpenAI.

        :param request: Whom to ring, and where the answered call goes.
        :raises InvalidInput: It would ring longer than Twilio allows, or the SIP address gets too long.

        Retries: none. Twilio has no idempotency key: a second order rings a second time.
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
        path = f"{self._path}/Calls.json"
        return Request(CARRIER, "place", "POST", path, _read_placed, _no_answer, PLACE, form=form)

    def look(self, carrier_call_id: str) -> Request[CarrierCall]:
        """
        See how far a call is.

        :param carrier_call_id: ``CA…``, from placing it.
        :raises InvalidInput: It cannot be one.

        Retries: up to 2 within 15 s.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        return Request(CARRIER, "look", "GET", self._call_path(carrier_call_id), _read_call, _no_answer, LOOK)

    def end(self, carrier_call_id: str) -> Request[None]:
        """
        End a call, ringing or answered; one that is already over is no error.

        :param carrier_call_id: ``CA…``, from placing it.
        :raises InvalidInput: It cannot be one.

        Retries: up to 3 within 30 s.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        return self._ending(carrier_call_id, "completed")

    def cancel(self, carrier_call_id: str) -> Requests[CarrierCall]:
        """
        Take back an order: a call that is queued or rings ends, one that has been answered goes on.

        :param carrier_call_id: ``CA…``, from placing it.
        :return: The call as it is after that: ``canceled``, ``in-progress``, or over in another way.

        Retries: up to 3 within 30 s, and as :meth:`look`.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        yield self._ending(carrier_call_id, "canceled")
        call: CarrierCall = yield self.look(carrier_call_id)
        return call

    def check(self) -> Request[None]:
        """
        Show whether account and token, or API key and secret, work; dials nothing.

        A standard key may not see the account, so its calls are asked for.

        Retries: 1.
        Source: https://www.twilio.com/docs/iam/api/account and https://www.twilio.com/docs/iam/api-keys/keys-in-console
        """
        path = f"{self._path}{'/Calls.json?PageSize=1' if self._by_key else '.json'}"
        return Request(CARRIER, "check", "GET", path, _read_check, _no_answer, CHECK)

    def _ending(self, carrier_call_id: str, status: CarrierStatus) -> Request[None]:
        path, form = self._call_path(carrier_call_id), {"Status": status}
        return Request(CARRIER, "end", "POST", path, _read_ended, _no_answer, END, form=form)

    def _call_path(self, carrier_call_id: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", carrier_call_id):
            raise InvalidInput(
                "carrier_call_id must be the id that placing the call gave, CA…", field="carrier_call_id"
            )
        return f"{self._path}/Calls/{carrier_call_id}.json"


def _checked(request: Request[Any], answer: Answer) -> dict[str, Any]:
    """
    Return the JSON object of an answer that is a success.

    :raises NumberRefused: 4xx: an order was refused, since Twilio cannot ring the number.
    :raises CarrierRefused: Any other 4xx, with Twilio's code and text; ``safe_to_retry`` on 429. Also a redirect, and
        an account that is closed or suspended.
    :raises PlacementUnknown: 5xx or 408 on an order.
    :raises CarrierUnavailable: The same on any other request.

    Source: https://www.twilio.com/docs/usage/twilios-response
    """
    told, status = json_object(answer.content), answer.status_code
    if 200 <= status < 300:
        return told or {}
    code, text = _error_in(told, answer.service.secrets)
    said = f" Twilio says{' (' + code + ')' if code else ''}: {text}" if text else ""
    doing = f"could not {_WORDS[request.operation]} (HTTP {status}): "
    if status >= 500 or status == 408:
        raise _in_doubt(request, f"{doing}Twilio has a problem.{said}", status=status, code=code)
    is_about_number = request.operation == "place" and status not in (401, 403, 429) and code in _ABOUT_NUMBER
    refusal = NumberRefused if is_about_number else CarrierRefused
    raise refusal(f"{doing}{_advice(status, code)}.{said}", status=status, code=code, safe_to_retry=status == 429)


def _no_answer(request: Request[Any], lost: NoAnswer) -> DialError:
    host = lost.service.host
    if not lost.is_sent:
        return CarrierUnavailable(
            f"no connection to {host}, so nothing was sent: {lost.why}. Check the network and the base URL"
        )
    return _in_doubt(request, f"no answer came from {host} ({lost.why}).")


def _in_doubt(request: Request[Any], text: str, *, status: int | None = None, code: str | None = None) -> DialError:
    if request.operation == "place":
        return PlacementUnknown(
            f"{text} The phone may be ringing: look at Twilio's call log before dialling again",
            status=status,
            code=code,
        )
    return CarrierUnavailable(f"{text} Trying again is safe", status=status, code=code)


def _error_in(answer: dict[str, Any] | None, hide: Sequence[str]) -> tuple[str | None, str]:
    if not answer:
        return None, ""
    code, message = answer.get("code"), answer.get("message")
    return (
        quotable(str(code), hide)[:20] if isinstance(code, (int, str)) else None,
        quotable(message, hide) if isinstance(message, str) else "",
    )


def _advice(status: int, code: str | None) -> str:
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


def _read_placed(request: Request[Any], answer: Answer) -> PlacedCall:
    told, status = _checked(request, answer), answer.status_code
    sid = told.get("sid")
    if not isinstance(sid, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sid):
        raise PlacementUnknown(
            f"Twilio answered the order with HTTP {status} but named no call. The phone may be ringing: look at "
            "Twilio's call log before dialling again",
            status=status,
        )
    return PlacedCall(sid, _status(told.get("status"), "queued"))


def _read_call(request: Request[Any], answer: Answer) -> CarrierCall:
    told, status = _checked(request, answer), answer.status_code
    sid = told.get("sid")
    if not isinstance(sid, str):
        raise CarrierUnavailable(f"Twilio's answer (HTTP {status}) shows no call: check the base URL", status=status)
    answered_by = told.get("answered_by")
    return CarrierCall(
        carrier_call_id=sid,
        status=_status(told.get("status"), "in-progress"),
        duration_seconds=_seconds(told.get("duration")),
        answered_by=quotable(answered_by)[:50] if isinstance(answered_by, str) and answered_by else None,
    )


def _read_check(request: Request[Any], answer: Answer) -> None:
    told = _checked(request, answer)
    state = told.get("status")
    if state in ("suspended", "closed"):
        raise CarrierRefused(f"could not check the account: it is {state}; {_NOT_ACTIVE}", status=answer.status_code)


def _read_ended(request: Request[Any], answer: Answer) -> None:
    told = json_object(answer.content) or {}
    if str(told.get("code")) != _CALL_OVER_CODE:
        _checked(request, answer)


def _status(value: object, otherwise: CarrierStatus) -> CarrierStatus:
    """Read a status; an unknown word counts as a call that is not over, so that it is polled further."""
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


MAX_SIP_URI_LENGTH = 254
# How long a person who has picked up hears ringback until a task accepts the call; Twilio's own default is 30.
_BRIDGE_SECONDS = 60


def bridge(request: DialRequest) -> str:
    """
    Return the TwiML that connects an answered call to OpenAI's SIP address.

    ``answerOnBridge`` keeps the person hearing ringback until OpenAI answers, and with the model until the target of a
    transfer answers; the time limit ends the bridged call. The correlation id travels as a header of the SIP call,
    percent-encoded.

    :param request: What was asked of the carrier.
    :raises InvalidInput: The SIP address with its header is 255 characters or longer.

    Source: https://www.twilio.com/docs/voice/twiml/sip and https://www.twilio.com/docs/voice/api/refer-to-twilio
    """
    joint = "&" if "?" in request.sip_uri else "?"
    uri = f"{request.sip_uri}{joint}{request.header_name}={quote(request.correlation_id, safe='')}"
    if len(uri) > MAX_SIP_URI_LENGTH:
        raise InvalidInput(
            f"sip_uri with its correlation header has {len(uri)} characters: Twilio takes at most {MAX_SIP_URI_LENGTH}",
            field="sip_uri",
        )
    limit = math.ceil(request.max_duration_seconds)
    refer = f" referUrl={quoteattr(request.refer_url)}" if request.refer_url else ""
    return (
        f'<Response><Dial answerOnBridge="true" timeout="{_BRIDGE_SECONDS}" timeLimit="{limit}"{refer}>'
        f"<Sip>{escape(uri)}</Sip></Dial></Response>"
    )


def dialer_for(settings: CarrierSettings) -> Dialer:
    """
    Return the dialer of a carrier account, for blocking code and coroutines.

    :param settings: The account; Twilio's, the only carrier so far.
    """
    return TwilioDialer(settings)
