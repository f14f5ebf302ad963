"""From the fields of a connection to settings."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET

from airflow_openai_realtime.calls.line_settings import (
    api_settings_from_fields,
    is_line_name,
    line_from_fields,
    read_connection,
    secrets_from_fields,
    switchboard_address_from_fields,
    webhook_secrets_from_fields,
)
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConfigurationError

URL = "http://airflow:8080/openai-realtime"


def test_empty_fields_of_the_form_count_as_not_given() -> None:
    extra = {"region": "", "organization": "", "project": None, "auth_style": "", "timeout_seconds": ""}
    settings = api_settings_from_fields(password=" sk-1 ", host="", extra=extra)
    assert settings.api_key == "sk-1"
    assert settings.endpoints.rest_url == "https://api.openai.com/v1"
    assert (settings.organization, settings.project, settings.auth_style) == (None, None, "bearer")
    assert settings.timeout_seconds == 10.0


def test_all_fields_are_used() -> None:
    extra = {"organization": "org-1", "project": "proj_1", "auth_style": "api-key", "timeout_seconds": "2.5"}
    settings = api_settings_from_fields(password="k", host="https://x.openai.azure.com/openai/v1", extra=extra)
    assert settings.endpoints.rest_url == "https://x.openai.azure.com/openai/v1"
    assert (settings.organization, settings.project, settings.auth_style) == ("org-1", "proj_1", "api-key")
    assert settings.timeout_seconds == 2.5


@pytest.mark.parametrize(
    ("given", "secrets"),
    [("", ()), (SECRET, (SECRET,)), (f"{SECRET} {OTHER_SECRET}", (SECRET, OTHER_SECRET)), ("a,\n b", ("a", "b"))],
)
def test_one_or_two_secrets_are_read(given: str, secrets: tuple[str, ...]) -> None:
    assert webhook_secrets_from_fields({"webhook_secret": given}) == secrets


def test_everything_that_must_not_show_is_named_once_for_all_who_hide_it() -> None:
    extra = {"webhook_secret": f"{SECRET} {OTHER_SECRET}", "switchboard_token": " t0ken "}
    derived = (derived_token(SECRET), derived_token(OTHER_SECRET))
    assert secrets_from_fields(" sk-1 ", extra) == ("sk-1", "t0ken", SECRET, OTHER_SECRET, *derived)
    assert secrets_from_fields(None, {"webhook_secret": "", "switchboard_token": None}) == ()


def test_both_sides_derive_the_same_token() -> None:
    extra = {"webhook_secret": f"{SECRET} {OTHER_SECRET}", "switchboard_url": URL + "/"}
    address = switchboard_address_from_fields("my_line", extra)
    assert (address.url, address.line) == (URL, "my_line")
    assert line_from_fields("my_line", "k", None, extra).takes_token(address.token)
    assert address.token == derived_token(SECRET)
    assert address.token not in repr(address)


def test_a_line_at_a_standalone_switchboard_may_have_another_name() -> None:
    extra = {"switchboard_url": URL, "switchboard_token": "t", "line": "support"}
    assert switchboard_address_from_fields("my_conn", extra).line == "support"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"webhook_secret": ""}, "webhook_secret"),
        ({"region": "mars"}, "region"),
        ({"timeout_seconds": "soon"}, "timeout_seconds"),
        ({"timeout_seconds": "0"}, "timeout_seconds"),
        ({"auth_style": "basic"}, "auth_style"),
        ({"switchboard_token": "not a header"}, "switchboard_token"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_line(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"line support: .*{named}"):
        line_from_fields("support", "sk-1", None, {"webhook_secret": SECRET, **changes})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"line support: .*API key"):
        line_from_fields("support", None, None, {"webhook_secret": SECRET})


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"switchboard_token": "t"}, "switchboard_url"),
        ({"switchboard_url": "airflow:8080", "switchboard_token": "t"}, "switchboard_url"),
        ({"switchboard_url": "http://me:secret@airflow", "switchboard_token": "t"}, "switchboard_url"),
        ({"switchboard_url": "http://", "switchboard_token": "t"}, "switchboard_url"),
        ({"switchboard_url": URL}, "switchboard_token"),
        ({"switchboard_url": URL, "switchboard_token": "é"}, "switchboard_token"),
        ({"switchboard_url": URL, "switchboard_token": "t", "line": "a/b"}, "line"),
    ],
)
def test_an_address_that_cannot_be_used_names_the_field(extra: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as refused:
        switchboard_address_from_fields("my_line", extra)
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", "é", "x" * 201, "a\n"])
def test_what_cannot_be_a_line_name(name: str) -> None:
    assert not is_line_name(name)
    with pytest.raises(ConfigurationError):
        line_from_fields(name, "k", None, {"webhook_secret": SECRET})


def test_a_connection_is_read_at_once_and_what_it_lacks_for_one_part_leaves_the_other_usable() -> None:
    extra = {"webhook_secret": SECRET, "switchboard_url": URL}
    whole = read_connection("my_line", "sk-1", None, extra)
    assert whole.api == api_settings_from_fields(password="sk-1", host=None, extra=extra)
    assert whole.switchboard == switchboard_address_from_fields("my_line", extra)
    assert whole.secrets == secrets_from_fields("sk-1", extra)
    assert SECRET not in repr(whole)
    without_url = read_connection("my_line", "sk-1", None, {"webhook_secret": SECRET})
    assert without_url.api == whole.api
    assert isinstance(without_url.switchboard, ConfigurationError)
    assert "switchboard_url is missing" in str(without_url.switchboard)
    without_key = read_connection("my_line", None, None, extra)
    assert without_key.switchboard == whole.switchboard
    assert isinstance(without_key.api, ConfigurationError)
    # Also of what cannot be used the secrets are known, so that they can be hidden first.
    assert SECRET in without_url.secrets
