from __future__ import annotations

import math

import pytest

from airflow_openai_realtime.api.settings import (
    REGIONS,
    ApiSettings,
    Endpoints,
    check_base_url,
    check_server,
    check_sip_host,
    endpoints_for,
    settings_for,
)
from airflow_openai_realtime.exceptions import ConfigurationError


def test_the_key_is_not_shown(settings):
    assert settings.api_key not in repr(settings)


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


def test_nothing_given_means_the_global_hosts():
    expected = Endpoints("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime", "sip.api.openai.com")
    assert endpoints_for() == expected
    assert endpoints_for(region="global", base_url="", sip_host="") == expected
    assert endpoints_for(region=" ") == expected


@pytest.mark.parametrize("region", [region for region in REGIONS if region != "global"])
def test_a_region_gives_rest_and_websocket_hosts_that_agree(region):
    found = endpoints_for(region=region.upper())
    assert found.rest_url == f"https://{region}.api.openai.com/v1"
    assert found.websocket_url == f"wss://{region}.api.openai.com/v1/realtime"


@pytest.mark.parametrize(
    ("region", "sip_host"),
    [("eu", "sip-eu.api.openai.com"), ("in", "sip-in.api.openai.com"), ("us", "sip.api.openai.com")],
)
def test_regions_with_a_sip_host_of_their_own_use_it(region, sip_host):
    assert endpoints_for(region=region).sip_host == sip_host
    assert endpoints_for(base_url=f"https://{region}.api.openai.com/v1/").sip_host == sip_host
    assert endpoints_for(region=region, sip_host="sip.example.com:5061").sip_host == "sip.example.com:5061"


def test_azure_and_plain_http_give_matching_websocket_addresses():
    azure = endpoints_for(base_url="https://x.openai.azure.com/openai/v1/")
    assert azure.rest_url == "https://x.openai.azure.com/openai/v1"
    assert azure.websocket_url == "wss://x.openai.azure.com/openai/v1/realtime"
    assert endpoints_for(base_url="http://127.0.0.1:8099/v1").websocket_url == "ws://127.0.0.1:8099/v1/realtime"


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"region": "mars"}, "use one of global, us"),
        ({"region": "eu", "base_url": "https://eu.api.openai.com/v1"}, "exclude each other"),
        ({"base_url": "https://api.openai.com"}, "must end in /v1"),
        ({"base_url": "https://x.openai.azure.com/"}, "must end in /openai/v1"),
        ({"sip_host": "sip:proj@host"}, "bare host"),
    ],
)
def test_contradictions_are_refused_with_a_remedy(given, remedy):
    with pytest.raises(ConfigurationError, match=remedy):
        endpoints_for(**given)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/v1",
        "//host/v1",
        "host/v1",
        "https://",
        "https:///v1",
        "https://host:99999/v1",
        "https://host:port/v1",
        "https://[::1/v1",
        "https://user:hunter2@host/v1",
        "https://host/v1?key=hunter2",
        "https://host/v1?",
        "https://host/v1#x",
        "https://host/v1\n",
        "https://ho st/v1",
        "https://hóst/v1",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        check_base_url(url)
    assert "hunter2" not in str(caught.value)


def test_a_base_url_keeps_its_port_and_path_and_loses_slashes_at_its_end():
    assert check_base_url("HTTPS://host:8443/a/b//") == "https://host:8443/a/b"
    assert check_base_url("http://[::1]:80") == "http://[::1]:80"


@pytest.mark.parametrize("host", ["sip.example.com", "10.0.0.1:5061", "[2001:db8::1]", "[::1]:5061", "x"])
def test_sip_hosts_with_and_without_port_are_taken(host):
    assert check_sip_host(host) == host


@pytest.mark.parametrize("host", ["a b", "a:99999", "a:0", "a;transport=tcp", "a/b", "a@b", "-a", "a\n", "::1", "a:x"])
def test_sip_hosts_of_another_shape_are_refused(host):
    with pytest.raises(ConfigurationError, match="openai_sip_host must be a bare host"):
        check_sip_host(host, "openai_sip_host")


def test_one_call_makes_the_settings_of_a_project():
    assert settings_for("sk-1") == ApiSettings("sk-1", endpoints_for())
    assert settings_for("sk-1", region="eu", project="proj_1", timeout_seconds=3) == ApiSettings(
        "sk-1", endpoints_for(region="eu"), project="proj_1", timeout_seconds=3
    )
    azure = settings_for("k", base_url="https://x.openai.azure.com/openai/v1", auth_style="api-key")
    assert (azure.auth_style, azure.endpoints.sip_host) == ("api-key", "sip.api.openai.com")
    with pytest.raises(ConfigurationError, match="exclude each other"):
        settings_for("sk-1", region="eu", base_url="https://eu.api.openai.com/v1")


@pytest.mark.parametrize(
    ("url", "secret", "named"),
    [("http://h", "hunter2\n", "my_token has"), ("ftp://h", "hunter2", "my_url must start")],
)
def test_a_server_is_refused_by_the_names_of_its_fields_without_showing_the_secret(url, secret, named):
    with pytest.raises(ConfigurationError, match=named) as caught:
        check_server(url, secret, url_field="my_url", key_field="my_token")
    assert "hunter2" not in str(caught.value)
    assert check_server("http://h/", "hunter2", key_field="my_token") == "http://h"
