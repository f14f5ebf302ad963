"""What a webhook consists of: an address that can be asked, and an event that the provider reads."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_openai_realtime.api.webhooks import parse_event
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.log import CallRecord
from airflow_openai_realtime.simulator.webhook_delivery import Delivery, WebhookTarget, incoming_event

CALL: Any = SimpleNamespace(call_id="rtc_1", sip_headers=[("From", "<sip:+14155550123@a>"), ("X-Queue", "sales")])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8080/webhook", "127.0.0.1:8080/webhook"),
        ("https://user:secret@example.com/hook?token=secret#secret", "example.com/hook"),
        ("https://[::1]:9/x", "::1:9/x"),
    ],
)
def test_an_address_shows_no_secret_of_it_in_a_log(url: str, shown: str) -> None:
    target = WebhookTarget(url, "whsec_hunter2")
    assert target.shown == shown
    assert "hunter2" not in repr(target)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8080", "ftp://a/b", "http://", "http://a:99999", "http://a:0/", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        WebhookTarget(url)
    assert refused.value.field == "webhook_url"


@pytest.mark.parametrize("security", ["srtp", None])
def test_the_event_of_a_call_is_read_as_that_call(security: str | None) -> None:
    event = incoming_event(CALL, security)
    read = parse_event(json.dumps({**event, "created_at": 1_790_000_000}).encode())
    assert read is not None
    assert read.call_id == "rtc_1"
    assert ("sip_media_security" in event["data"]) == (security is not None)
    assert event["data"]["sip_headers"][1] == {"name": "X-Queue", "value": "sales"}


def test_no_two_events_have_the_same_id() -> None:
    assert incoming_event(CALL, None)["id"] != incoming_event(CALL, None)["id"]


def test_a_delivery_shows_no_secret_and_has_not_been_tried_at_first() -> None:
    record: Any = CallRecord
    delivery = Delivery("wh_1", WebhookTarget("http://a/b"), "whsec_hunter2", record, {}, 1.0, 0)
    assert "hunter2" not in repr(delivery)
    assert (delivery.attempts, delivery.body) == (0, b"")
