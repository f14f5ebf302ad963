"""
The part of TwiML that bridges a call to a SIP address: ``<Response><Dial><Sip>``.

Rules that a real call fails by are applied, not smoothed over: without ``transport=tls`` Twilio sends UDP, which
OpenAI does not take; headers other than ``X-*`` and a few standard ones do not get through.

Source: https://www.twilio.com/docs/voice/twiml/sip
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree import ElementTree

_LONGEST_URI = 255
_LONGEST_HEADERS = 1024
_STANDARD_HEADERS = ("user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id")
_SIP_URI = re.compile(r"(sips?):([^@;?\s]+)@([^:;?\s]+)(?::(\d+))?((?:;[^?\s]*)?)(?:\?(\S*))?", re.IGNORECASE)


class TwimlError(Exception):
    """The TwiML cannot be carried out; Twilio would end the call with "an application error has occurred"."""


@dataclass(frozen=True)
class SipTarget:
    """
    Where ``<Sip>`` leads to.

    :param user: User part: OpenAI's project id.
    :param host: Host part.
    :param transport: ``udp``, ``tcp`` or ``tls``; ``udp`` when the URI does not say.
    :param headers: SIP headers that get through, in order, values decoded.
    :param dropped_headers: Names of headers that do not.
    """

    user: str
    host: str
    transport: str
    headers: tuple[tuple[str, str], ...]
    dropped_headers: tuple[str, ...]


@dataclass(frozen=True)
class DialVerb:
    """
    A ``<Dial>`` with one ``<Sip>``.

    :param sip: Where it leads to.
    :param answer_on_bridge: Whether the caller hears ringing until the other side answers.
    :param timeout_seconds: How long the SIP leg rings.
    :param time_limit_seconds: How long the bridged call may last; None: Twilio's 4 hours.
    :param caller_id: Number that the SIP leg comes from; None: that of the call.
    :param refer_url: Where Twilio asks what to do about a transfer; without it a transfer goes nowhere.
    """

    sip: SipTarget
    answer_on_bridge: bool
    timeout_seconds: float
    time_limit_seconds: float | None
    caller_id: str | None
    refer_url: str | None


def parse_twiml(text: str) -> DialVerb:
    """
    Read TwiML that bridges a call.

    :param text: The document.
    :raises TwimlError: It is no XML, holds something else than one ``<Dial>`` with one ``<Sip>``, or the address is
        wrong or too long.
    """
    if "<!" in text:
        raise TwimlError("a document type, comment or CDATA section is not taken here")
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 - no document type, so no entities
    except ElementTree.ParseError as error:
        raise TwimlError(f"Error 12100: document parse failure: {error}") from error
    if root.tag != "Response":
        raise TwimlError(f"Error 12100: the root element is <{root.tag}>, not <Response>")
    dial = _only(root, "Dial")
    sip = _only(dial, "Sip")
    return DialVerb(
        sip=parse_sip_target((sip.text or "").strip()),
        answer_on_bridge=dial.get("answerOnBridge", "false").lower() == "true",
        timeout_seconds=_seconds(dial, "timeout") or 30.0,
        time_limit_seconds=_seconds(dial, "timeLimit"),
        caller_id=dial.get("callerId"),
        refer_url=dial.get("referUrl"),
    )


def parse_sip_target(uri: str) -> SipTarget:
    """
    Read a SIP address with its headers.

    :param uri: For example ``sip:proj_1@sip.api.openai.com;transport=tls?X-Correlation-Id=abc``.
    :raises TwimlError: It is no SIP URI, or longer than Twilio takes.
    """
    match = _SIP_URI.fullmatch(uri)
    if match is None:
        raise TwimlError("Error 13224: <Sip> does not hold a SIP URI with user and host")
    scheme, user, host, _port, params, query = match.groups()
    query = query or ""
    if len(uri) - len(query) > _LONGEST_URI:
        raise TwimlError(f"the SIP URI is longer than {_LONGEST_URI} characters")
    if len(query) > _LONGEST_HEADERS:
        raise TwimlError(f"the SIP headers are longer than {_LONGEST_HEADERS} characters")
    named = dict(each.lower().partition("=")[::2] for each in params.split(";") if each)
    transport = "tls" if scheme.lower() == "sips" else named.get("transport", "udp")
    sent = [_header(each) for each in query.split("&") if each]
    return SipTarget(
        user=unquote(user),
        host=host.lower(),
        transport=transport,
        headers=tuple(header for header in sent if _gets_through(header[0])),
        dropped_headers=tuple(name for name, _ in sent if not _gets_through(name)),
    )


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return unquote(name), unquote(value)


def _gets_through(name: str) -> bool:
    return name.lower().startswith("x-") or name.lower() in _STANDARD_HEADERS


def _only(parent: ElementTree.Element, tag: str) -> ElementTree.Element:
    children = list(parent)
    if len(children) != 1 or children[0].tag != tag:
        found = ", ".join(f"<{child.tag}>" for child in children) or "nothing"
        raise TwimlError(f"<{parent.tag}> holds {found}; the simulator takes exactly one <{tag}> there")
    return children[0]


def _seconds(element: ElementTree.Element, name: str) -> float | None:
    value = element.get(name)
    if value is None:
        return None
    if not value.isdigit() or int(value) < 1:
        raise TwimlError(f'{name}="{value}" is not a whole number of seconds above 0')
    return float(value)
