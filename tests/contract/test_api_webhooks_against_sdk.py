"""OpenAI's own SDK and this package agree on which deliveries are genuine."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import InvalidWebhookSignatureError, OpenAI

from airflow_openai_realtime.api.webhooks import parse_event, sign_webhook, verify_webhook
from airflow_openai_realtime.exceptions import WebhookVerificationError

SDK = OpenAI(api_key="sk-not-used")
SECRETS = st.binary(min_size=1, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode()) | st.from_regex(
    r"[A-Za-z0-9 ]{0,20}[A-Za-z0-9]", fullmatch=True
)
EVENT = {
    "object": "event",
    "id": "evt_1",
    "type": "realtime.call.incoming",
    "created_at": 1_750_287_018,
    "data": {
        "call_id": "rtc_u1_abc",
        "sip_headers": [{"name": "From", "value": "sip:+14155550123@carrier"}],
        "sip_media_security": "srtp",
        "new_field": [1],
    },
    "new_field": {},
}
texts = st.text(max_size=50)


@settings(deadline=None)
@given(texts, SECRETS)
def test_what_is_signed_here_the_sdk_accepts(text, secret):
    body = json.dumps({**EVENT, "text": text}).encode()
    headers = sign_webhook(body, webhook_id="wh_1", timestamp=int(time.time()), secret=secret)
    event = SDK.webhooks.unwrap(body, headers, secret=secret)
    assert event.type == "realtime.call.incoming"


@settings(deadline=None)
@given(texts, SECRETS, st.integers(-400, 400), st.booleans(), st.sampled_from(["", "v1,AAAA ", "v2,BBBB v1,CC "]))
def test_both_give_the_same_verdict(text, secret, age, changed, before):
    if 297 <= abs(age) <= 303:
        return  # the two read the clock one after the other
    body = json.dumps({**EVENT, "text": text}).encode()
    now = time.time()
    headers = sign_webhook(body, webhook_id="wh_1", timestamp=int(now) - age, secret=secret)
    headers["webhook-signature"] = before + headers["webhook-signature"]
    body += b" " * changed
    assert ours(body, headers, secret, now) == theirs(body, headers, secret)


def ours(body: bytes, headers: dict[str, str], secret: str, now: float) -> bool:
    try:
        verify_webhook(body, headers, [secret], now)
    except WebhookVerificationError:
        return False
    return True


def theirs(body: bytes, headers: dict[str, str], secret: str) -> bool:
    try:
        SDK.webhooks.verify_signature(body, headers, secret=secret)
    except InvalidWebhookSignatureError:
        return False
    return True


def test_both_read_the_same_event():
    body = json.dumps(EVENT).encode()
    call = parse_event(body)
    headers = sign_webhook(body, webhook_id="wh_1", timestamp=int(time.time()), secret="s")
    event = SDK.webhooks.unwrap(body, headers, secret="s")
    assert call is not None
    assert event.type == "realtime.call.incoming"
    assert (call.call_id, call.event_id, call.media_security) == (
        event.data.call_id,
        event.id,
        event.data.sip_media_security,
    )
    assert call.created_at.timestamp() == event.created_at
    assert list(call.sip_headers) == [(header.name, header.value) for header in event.data.sip_headers]


def test_a_missing_header_is_refused_by_both():
    headers = sign_webhook(b"{}", webhook_id="wh_1", timestamp=int(time.time()), secret="s")
    del headers["webhook-id"]
    assert not ours(b"{}", headers, "s", time.time())
    with pytest.raises(ValueError, match="webhook-id"):
        SDK.webhooks.verify_signature(b"{}", headers, secret="s")
