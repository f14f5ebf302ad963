from __future__ import annotations

import dataclasses

import pytest

from airflow_openai_realtime.exceptions import ConfigurationError


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
