"""SIP: reading what a hostile caller may have put into headers, and checking what is sent to OpenAI."""

from __future__ import annotations

import re
from urllib.parse import unquote

from airflow_openai_realtime.api.phone_numbers import canonical_number, mask_numbers, to_e164
from airflow_openai_realtime.api.untrusted import clean_line
from airflow_openai_realtime.exceptions import InvalidInput

PROJECT_PREFIX = "proj_"
"""What the user part of OpenAI's SIP address starts with."""

DEFAULT_REJECT_STATUS = 603
"""SIP 603 Decline, OpenAI's default for a rejection."""

CORRELATION_HEADER = "X-Correlation-Id"
"""SIP header by which a placed call is recognised when it comes in. Carriers pass on only what starts with X-."""

_MAX_USER_LENGTH = 128
_HIDDEN = ("anonymous", "unavailable", "restricted", "unknown", "private", "blocked")
_NOBODY = frozenset({"", *_HIDDEN})
# Source: letters of the keys, ITU-T E.161. Some carriers send such digits in place of the word.
_KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_HIDDEN_ON_KEYPAD = frozenset(word.translate(_KEYS) for word in _HIDDEN)
_TEL_PREFIX = "tel:+"
_BEHIND_USER = re.compile(r"[;:?]")
_SEPARATORS = re.compile(r"[().\s-]")
_DIGITS = re.compile(r"\+?[0-9]+")
_CALL_ID_SHAPE = re.compile(r"[\x21-\x7e]{1,255}")
_URI_CHARACTERS = re.compile(r"[\x21-\x7e]{1,1024}")
_TEL = re.compile(r"tel:\+[0-9][0-9.()-]*(;[^;]+)*", re.IGNORECASE)
_LOCAL_TEL = re.compile(r"tel:[0-9*#.()-]+;(.*;)?phone-context=[^;]+(;.*)?", re.IGNORECASE)
_SIP = re.compile(
    r"sips?:([^@]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(:[0-9]{1,5})?([;?].*)?", re.IGNORECASE
)


def number_in(header_value: str) -> str | None:
    """
    Read the user part of the SIP or tel URI in a From, To or Diversion header.

    :param header_value: For example ``"Bob" <sip:+14155550123@carrier;user=phone>;tag=x`` or ``tel:+1-415-555-0123``.
        Untrusted: any text is read without an error.
    :returns: The number in its one spelling (``+14155550123``; no ``+`` is invented where the carrier sent none),
        another user's name as it is (``sales``), or ``None`` when there is none or the caller is anonymous.

    Source: RFC 3261 section 20.10, RFC 3966, RFC 5806.
    """
    scheme, separator, rest = _uri_in(header_value).partition(":")
    scheme = scheme.strip().lower()
    if not separator or scheme not in ("sip", "sips", "tel"):
        return None
    user = rest
    if scheme != "tel":
        user, at, _host = rest.partition("@")
        if not at:
            return None
    user = unquote(_BEHIND_USER.split(user, maxsplit=1)[0])
    # Cleaned again: what was percent-encoded has not been yet.
    user = clean_line(user.replace("\ufffd", ""), _MAX_USER_LENGTH * 2).strip()
    if user.lower() in _NOBODY:
        return None
    digits = _SEPARATORS.sub("", user)
    if _DIGITS.fullmatch(digits):
        user = canonical_number(digits)
    return user[:_MAX_USER_LENGTH]


def caller_in(header_value: str) -> str | None:
    """
    Read who calls from a From header, as :func:`number_in` does.

    :param header_value: Value of a ``From`` header.
    :returns: ``None`` also when the number is one of the words for a hidden caller as typed on a keypad: ``266696687``
        is *anonymous*.
    """
    caller = number_in(header_value)
    return None if caller is not None and caller.removeprefix("+") in _HIDDEN_ON_KEYPAD else caller


def check_target_uri(uri: str) -> str:
    """
    Return ``uri`` when a call can be referred to it.

    :param uri: ``tel:+14155550123``, ``sip:agent@example.com`` or ``sips:…``.
    :raises InvalidInput: Another shape; the message masks the number.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/refer
    """
    field = "target_uri"
    if not isinstance(uri, str) or not _URI_CHARACTERS.fullmatch(uri) or re.search(r'[<>"\\]', uri):
        raise InvalidInput(
            "target_uri must be a URI without spaces or brackets, like tel:+14155550123 or sip:agent@example.com",
            field=field,
        )
    if _TEL.fullmatch(uri) or _LOCAL_TEL.fullmatch(uri) or _SIP.fullmatch(uri):
        return uri
    shown = mask_numbers(uri[:80])
    if re.fullmatch(r"\+?[0-9().-]+", uri):
        raise InvalidInput(f"target_uri {shown} is a bare number: write tel:+14155550123", field=field)
    raise InvalidInput(
        f"target_uri {shown} cannot be referred to: use tel:+14155550123 (with +) or sip:agent@example.com", field=field
    )


def canonical_target_uri(uri: str) -> str:
    """
    Return the URI to refer a call to, a phone number in its one spelling: ``tel:+44-020-7183-8750`` gives
    ``tel:+442071838750``. Other URIs are returned unchanged.

    :param uri: As for :func:`check_target_uri`.
    :raises InvalidInput: As :func:`check_target_uri`; also a ``tel:`` URI whose number is not possible as a whole
        number.
    """
    check_target_uri(uri)
    if not uri.lower().startswith(_TEL_PREFIX):
        return uri
    number, semicolon, parameters = uri[len("tel:") :].partition(";")
    return f"tel:{to_e164(_SEPARATORS.sub('', number), 'target_uri')}{semicolon}{parameters}"


def check_status_code(status_code: int) -> int:
    """
    Return the SIP status code for a rejection: 300 to 699; 486 is busy, 603 decline.

    OpenAI documents this range for the Live API only; other codes are no final SIP refusal (RFC 3261 section 21).

    :param status_code: What a caller gave.
    :raises InvalidInput: Not a whole number in the range.
    """
    if isinstance(status_code, bool) or not isinstance(status_code, int) or not 300 <= status_code <= 699:
        raise InvalidInput(
            "status_code must be a whole number from 300 to 699, for example 486 (busy) or 603 (decline)",
            field="status_code",
        )
    return status_code


def check_call_id(call_id: str) -> str:
    """
    Return ``call_id`` when it can be an id from the ``realtime.call.incoming`` webhook, such as ``rtc_u1_abc``.

    Ids are opaque: only what cannot stand in a URL is refused.

    :param call_id: What a caller gave.
    :raises InvalidInput: Empty, longer than 255, with spaces or control characters, ``.`` or ``..``.
    """
    if not isinstance(call_id, str) or not _CALL_ID_SHAPE.fullmatch(call_id) or call_id in (".", ".."):
        raise InvalidInput(
            "call_id must be the id from the incoming call, like rtc_u1_abc: no spaces, at most 255 characters",
            field="call_id",
        )
    return call_id


def openai_sip_uri(project_id: str, sip_host: str) -> str:
    """
    Return the address at which OpenAI takes a project's calls, over TLS.

    :param project_id: OpenAI's id of the project, ``proj_…``.
    :param sip_host: Host of the project's region, perhaps with a port.

    Source: https://developers.openai.com/api/docs/guides/voice-sip
    """
    return f"sip:{project_id}@{sip_host};transport=tls"


def _uri_in(header_value: str) -> str:
    """Return what stands between the brackets, or the bare URI; a quoted display name is stepped over."""
    text = header_value.strip()
    if text.startswith('"'):
        quoted = re.match(r'"(?:[^"\\]|\\.)*"', text, re.DOTALL)
        text = text[quoted.end() :] if quoted else text[1:]
    start = text.find("<")
    if start >= 0:
        end = text.find(">", start)
        return text[start + 1 : end if end >= 0 else len(text)].strip()
    return re.split(r"[,\s]", text.strip(), maxsplit=1)[0]
