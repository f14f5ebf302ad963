from __future__ import annotations

import dataclasses
import math

import pytest

from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput, InvalidPhoneNumber
from airflow_openai_realtime.outbound.carriers.port import STATUSES, CarrierCall

NO_REFER_URLS = ["", "http://example.com/refer", "https://", "https:///x", "example.com", "https://me:s3cret@host/x"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sip_uri", "proj_abc@sip.api.openai.com"),
        ("sip_uri", "sip:a b"),
        ("correlation_id", ""),
        ("correlation_id", "a b"),
        ("correlation_id", "x" * 65),
        ("correlation_id", 'a"<>&'),
        ("header_name", "Correlation-Id"),
        ("header_name", "X-A: b"),
        ("header_name", "X-A=b"),
        *(("refer_url", url) for url in NO_REFER_URLS),
        ("ring_seconds", 0),
        ("ring_seconds", math.nan),
        ("max_duration_seconds", -1),
        ("max_duration_seconds", math.inf),
    ],
)
def test_a_value_that_no_carrier_could_use_is_refused_by_name(order, field, value):
    with pytest.raises(InvalidInput, match=field) as caught:
        dataclasses.replace(order, **{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("url", NO_REFER_URLS)
def test_what_is_refused_as_a_refer_url_is_not_repeated(order, url):
    with pytest.raises(InvalidInput, match=r"https://example.com/refer") as caught:
        dataclasses.replace(order, refer_url=url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("field", ["to", "from_number"])
def test_both_numbers_must_be_e164(order, field):
    with pytest.raises(InvalidPhoneNumber) as caught:
        dataclasses.replace(order, **{field: "4155550123"})
    assert caught.value.field == field


def test_an_order_shows_no_full_number(order):
    assert "415555" not in repr(order)
    assert order.to_masked == "+1***0123"


@pytest.mark.parametrize("status", STATUSES)
def test_a_call_is_over_unless_it_is_queued_rings_or_is_in_progress(status):
    assert CarrierCall("CA1", status).final is (status not in ("queued", "ringing", "in-progress"))


def test_the_token_is_not_shown(settings):
    assert settings.token not in repr(settings)


def test_answered_calls_go_to_the_project_at_openai(settings):
    assert settings.sip_uri == "sip:proj_abc@sip.api.openai.com;transport=tls"
    europe = dataclasses.replace(settings, sip_host="sip-eu.api.openai.com")
    assert europe.sip_uri == "sip:proj_abc@sip-eu.api.openai.com;transport=tls"


def test_without_a_project_there_is_nowhere_to_send_calls(settings):
    with pytest.raises(ConfigurationError, match="openai_project_id"):
        _ = dataclasses.replace(settings, openai_project_id=None).sip_uri


def test_a_slash_at_the_end_of_the_base_url_does_no_harm(settings):
    assert dataclasses.replace(settings, base_url="http://127.0.0.1:1/").base_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"carrier": "pigeon"}, "unknown carrier 'pigeon': use one of twilio"),
        ({"account": ""}, "account"),
        ({"account": "../x"}, "account"),
        ({"account": "SK123"}, "api_key"),
        ({"api_key": "AC123"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"token": ""}, "token is missing"),
        ({"token": "hunter2\n"}, "token has"),
        ({"base_url": "api.twilio.com"}, "base_url"),
        ({"sip_host": "sip:x"}, "openai_sip_host"),
        ({"openai_project_id": "a@b"}, "openai_project_id"),
        ({"refer_url": "http://example.com/refer"}, "refer_url"),
        ({"refer_url": "https://me:hunter2@example.com/refer"}, "refer_url"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_showing_the_token(settings, change, named):
    with pytest.raises(ConfigurationError, match=named) as caught:
        dataclasses.replace(settings, **change)
    assert "hunter2" not in str(caught.value)
