from __future__ import annotations

import dataclasses
import math

import pytest

from airflow_openai_realtime import __version__
from airflow_openai_realtime.api.endpoints import endpoints_for
from airflow_openai_realtime.api.settings import ApiSettings, headers
from airflow_openai_realtime.exceptions import ConfigurationError


def test_the_key_is_not_shown(settings):
    assert settings.api_key not in repr(settings)


def test_bearer_is_the_default_and_our_version_is_told(settings):
    sent = headers(settings)
    assert sent["Authorization"] == f"Bearer {settings.api_key}"
    assert __version__ in sent["User-Agent"]
    assert not {"api-key", "OpenAI-Organization", "OpenAI-Project", "OpenAI-Beta"} & sent.keys()


def test_azure_keys_and_scopes_have_their_own_headers(settings):
    sent = headers(dataclasses.replace(settings, auth_style="api-key", organization="org-1", project="proj_1"))
    assert sent["api-key"] == settings.api_key
    assert "Authorization" not in sent
    assert sent["OpenAI-Organization"] == "org-1"
    assert sent["OpenAI-Project"] == "proj_1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"api_key": ""}, "API key is missing"),
        ({"api_key": "sk-hunter2\n"}, "API key has"),
        ({"api_key": "sk-hünter2"}, "API key has"),
        ({"organization": "a b"}, "organization"),
        ({"project": "a\r\nb"}, "project"),
        ({"auth_style": "basic"}, "auth_style"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": math.nan}, "timeout_seconds"),
        ({"timeout_seconds": math.inf}, "timeout_seconds"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_showing_the_key(change, named):
    with pytest.raises(ConfigurationError, match=named) as caught:
        ApiSettings(**{"api_key": "sk-1", "endpoints": endpoints_for(), **change})
    assert "nter2" not in str(caught.value)
