"""
Webhook deliveries: the signature, and the event of an incoming call.

Both readers take bytes from the open internet. Whatever comes in, they raise
:class:`~airflow_openai_realtime.exceptions.WebhookVerificationError` and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.api.sip import PROJECT_PREFIX, caller_in, check_call_id, number_in
from airflow_openai_realtime.api.untrusted import clean_header, clean_line
from airflow_openai_realtime.exceptions import InvalidInput, WebhookVerificationError

EVENT_TYPE = "realtime.call.incoming"
TOLERANCE_SECONDS = 300.0
MAX_HEADERS = 200
MAX_VALUE_LENGTH = 2_000
MAX_HEADERS_LENGTH = 64 * 1024
"""Most characters of the names and values of a call's headers together; further headers are left out."""
_MAX_NAME_LENGTH = 200
_SECRET_PREFIX = "whsec_"  # noqa: S105  a prefix, not a secret
_SHORTEST_KEY_BYTES = 16
_LATEST = datetime(9999, 12, 31, tzinfo=timezone.utc).timestamp()

_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class IncomingCall:
    """
    A call that rings, from a ``realtime.call.incoming`` event.

    :param call_id: Id for accept and reject.
    :param event_id: Id of the event, ``evt_…``.
    :param created_at: When OpenAI made the event, UTC. A redelivery can come hours later.
    :param sip_headers: Name and value of the INVITE's headers in order, repeats kept. The caller wrote them: at most
        200 with 65,536 characters, values cut to 2,000, without characters that do not show. A name holds only what
        SIP allows there (another character is ``_``) and does not begin with two underscores (``x__…`` instead).
    :param media_security: ``rtp``, ``srtp``, another word, or ``None`` when unknown.

    Source: https://developers.openai.com/api/docs/guides/voice-sip
    """

    call_id: str
    event_id: str
    created_at: datetime
    sip_headers: tuple[tuple[str, str], ...] = field(repr=False)
    media_security: str | None = None

    def header(self, name: str) -> str | None:
        """
        Return a header's value, whatever the case of its name; repeats are joined by ``, ``.

        :param name: Name of the header, in any case.
        """
        wanted = name.strip().lower()
        values = [value for key, value in self.sip_headers if key.strip().lower() == wanted]
        return ", ".join(values) if values else None

    @property
    def from_number(self) -> str | None:
        """The caller's number or SIP user, from the From header; ``None`` when anonymous. It can be forged."""
        return caller_in(self.header("From") or "")

    @property
    def to_number(self) -> str | None:
        """
        The dialed number: from To, or from Diversion when To is the OpenAI project's own address.

        Source: Twilio Elastic SIP puts the project into To and the number into Diversion, observed 2026.
        """
        dialled = number_in(self.header("To") or "")
        if dialled is None or dialled.startswith(PROJECT_PREFIX):
            return number_in(self.header("Diversion") or "")
        return dialled


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> str:
    """
    Check that a delivery comes from OpenAI, and return its webhook id.

    :param body: The raw body, before any parsing.
    :param headers: Names in any case. Each of the three webhook headers must be there exactly once.
    :param secrets: Signing secrets, each ``whsec_`` and base64, or any other text taken as raw bytes. One match is
        enough, so that a secret can be rotated.
    :param now: Unix time in seconds.
    :param tolerance_seconds: How far the delivery's timestamp may be from ``now``, either way.
    :raises WebhookVerificationError: Not proven; ``reason`` says why. Nothing else is ever raised.

    Source: https://developers.openai.com/api/docs/guides/webhooks and https://www.standardwebhooks.com
    """
    webhook_id, timestamp, signatures = _signed_headers(headers)
    if not _ID.fullmatch(webhook_id):
        raise WebhookVerificationError("webhook-id is not an id", reason="missing_header")
    _check_age(timestamp, now, tolerance_seconds)
    keys, unusable = _keys(secrets)
    offered = [part[3:].encode("utf-8", "replace") for part in signatures.split() if part.startswith("v1,")]
    for key in keys:
        expected = _signature(key, webhook_id, timestamp, body).encode()
        if any(hmac.compare_digest(expected, signature) for signature in offered):
            return webhook_id
    if unusable:
        raise WebhookVerificationError(
            "a webhook secret is not whsec_ and base64: copy it again from OpenAI's dashboard", reason="bad_secret"
        )
    raise WebhookVerificationError(
        "the signature fits none of the secrets: compare the secret with the endpoint's at OpenAI",
        reason="bad_signature",
    )


def unusable_secrets(secrets: Sequence[str]) -> int:
    """
    Return how many of these webhook secrets cannot verify a delivery: empty, or ``whsec_`` without base64.

    :param secrets: Webhook secrets as they are configured.
    """
    return sum(not (isinstance(secret, str) and secret.strip() and _key(secret)) for secret in secrets)


def webhook_secret_problem(secret: str) -> str | None:
    """
    Say why a text cannot be a signing secret of OpenAI: those are ``whsec_`` and base64 of at least 16 bytes.

    :param secret: The text to judge.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    if secret.startswith(_SECRET_PREFIX) and len(_key(secret)) >= _SHORTEST_KEY_BYTES:
        return None
    return "it is not whsec_ and base64: copy the endpoint's signing secret again from OpenAI's dashboard"


def sign_webhook(body: bytes, *, webhook_id: str, timestamp: int, secret: str) -> dict[str, str]:
    """
    Make the headers of a delivery, as OpenAI would; for tests and the simulator.

    :param body: The exact bytes that are sent.
    :param webhook_id: Printable ASCII, for example ``wh_1``.
    :param timestamp: Unix time in whole seconds, 0 or later.
    :param secret: As for :func:`verify_webhook`.
    :raises InvalidInput: One of them cannot be used.
    """
    keys, _ = _keys([secret])
    if not keys:
        raise InvalidInput("secret must be whsec_ and base64, or any text that is not empty", field="secret")
    if not _ID.fullmatch(webhook_id) or not _TIMESTAMP.fullmatch(str(timestamp)):
        raise InvalidInput("webhook_id must be printable ASCII, timestamp whole seconds from 0", field="webhook_id")
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + _signature(keys[0], webhook_id, str(timestamp), body),
    }


def parse_event(body: bytes) -> IncomingCall | None:
    """
    Read a verified delivery.

    :param body: The delivery's body, after its signature was verified.
    :returns: The call that rings, or ``None`` when the event is of another type.
    :raises WebhookVerificationError: Not an event (``bad_body``). Nothing else is ever raised.

    Source: https://developers.openai.com/api/docs/guides/webhooks
    """
    try:
        event = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError):
        raise _bad_body("it is not JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise _bad_body("it is not an event")
    if event["type"] != EVENT_TYPE:
        return None
    data = event.get("data")
    if not isinstance(data, dict):
        raise _bad_body("data is missing")
    security = data.get("sip_media_security")
    return IncomingCall(
        call_id=_call_id(data.get("call_id")),
        event_id=_event_id(event.get("id")),
        created_at=_instant(event.get("created_at")),
        sip_headers=_sip_headers(data.get("sip_headers")),
        media_security=clean_line(security, 50) if isinstance(security, str) else None,
    )


def _bad_body(why: str) -> WebhookVerificationError:
    return WebhookVerificationError(f"the body of the delivery cannot be read: {why}", reason="bad_body")


def _signed_headers(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Id, timestamp and signatures; in one pass, since every stranger's delivery costs one."""
    found: dict[str, list[str]] = {"webhook-id": [], "webhook-timestamp": [], "webhook-signature": []}
    for key, value in headers.items():
        values = found.get(_text(key).strip().lower())
        if values is not None:
            values.append(_text(value))
    for name, values in found.items():
        if len(values) != 1 or not values[0]:
            raise WebhookVerificationError(f"{name} must be there exactly once", reason="missing_header")
    webhook_id, timestamp, signatures = (values[0] for values in found.values())
    return webhook_id, timestamp, signatures


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _check_age(timestamp: str, now: float, tolerance_seconds: float) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise WebhookVerificationError("webhook-timestamp is not a Unix time in seconds", reason="bad_timestamp")
    age = now - int(timestamp)
    # Written so that a NaN is refused.
    if not age <= tolerance_seconds:
        raise WebhookVerificationError(
            "the delivery is too old: check this machine's clock, or it is a replay", reason="too_old"
        )
    if not -age <= tolerance_seconds:
        raise WebhookVerificationError("the delivery is from the future: check this machine's clock", reason="too_new")


def _keys(secrets: Sequence[str]) -> tuple[list[bytes], bool]:
    """Return the usable keys and whether there was an unusable one. With an empty key, every sender could sign."""
    given = [secret for secret in secrets if isinstance(secret, str) and secret.strip()]
    if not given:
        raise WebhookVerificationError("no webhook secret is set: copy it from OpenAI's dashboard", reason="no_secret")
    keys = [key for key in map(_key, given) if key]
    return keys, len(keys) < len(given)


def _key(secret: str) -> bytes:
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode("utf-8", "replace")
    encoded = secret[len(_SECRET_PREFIX) :]
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _call_id(value: Any) -> str:
    try:
        return check_call_id(value)
    except InvalidInput:
        raise _bad_body("data.call_id is not an id") from None


def _event_id(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _bad_body("id is not an id")
    return value


def _instant(value: Any) -> datetime:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not usable or not (isinstance(value, int) or math.isfinite(value)) or not 0 <= value <= _LATEST:
        raise _bad_body("created_at is not a Unix time in seconds")
    return datetime.fromtimestamp(value, tz=timezone.utc)


def _sip_headers(value: Any) -> tuple[tuple[str, str], ...]:
    """Read the headers that can be read; one that is malformed does not cost the call."""
    pairs = [(item.get("name"), item.get("value")) for item in _list(value) if isinstance(item, dict)]
    read: list[tuple[str, str]] = []
    left = MAX_HEADERS_LENGTH
    for name, text in pairs[:MAX_HEADERS]:
        if isinstance(name, str) and isinstance(text, str):
            header = clean_header(name, text, longest_name=_MAX_NAME_LENGTH, longest_value=MAX_VALUE_LENGTH)
            left -= len(header[0]) + len(header[1])
            if left < 0:
                break
            read.append(header)
    return tuple(read)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
