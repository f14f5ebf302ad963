"""Deliveries for measurements: each of another call, signed, ready to be sent."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator

from airflow_openai_realtime.api.webhooks import sign_webhook
from bench.load import post

SECRET = "whsec_YSBzZWNyZXQgZm9yIG1lYXN1cmVtZW50cw=="
PEER_SECRET = "a secret for measurements"

_NUMBERS = itertools.count(1)


def ours(url: str, amount: int) -> list[bytes]:
    """As OpenAI signs them."""
    now = int(time.time())
    requests = []
    for number, body in _events(amount, now):
        headers = sign_webhook(body, webhook_id=f"wh_{number}", timestamp=now, secret=SECRET)
        requests.append(post(url, headers, body))
    return requests


def of_inbound_webhooks(url: str, amount: int) -> list[bytes]:
    """The same events, signed as ``airflow-provider-inbound-webhooks`` can verify: over the body alone."""
    requests = []
    for _, body in _events(amount, int(time.time())):
        signature = hmac.new(PEER_SECRET.encode(), body, hashlib.sha256).hexdigest()
        requests.append(post(url, {"X-Signature": signature}, body))
    return requests


def _events(amount: int, now: int) -> Iterator[tuple[int, bytes]]:
    for number in itertools.islice(_NUMBERS, amount):
        headers = [
            {"name": "From", "value": f'"Caller" <sip:+1415555{number % 10_000:04}@carrier.example>;tag={number}'},
            {"name": "To", "value": "<sip:+14155550199@sip.api.openai.com>"},
            {"name": "Call-ID", "value": f"{number}@carrier.example"},
            {"name": "X-Correlation-Id", "value": f"c{number}"},
        ]
        event = {
            "object": "event",
            "id": f"evt_{number}",
            "type": "realtime.call.incoming",
            "created_at": now,
            "data": {"call_id": f"rtc_{number}", "sip_headers": headers},
        }
        yield number, json.dumps(event).encode()
