from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact
from airflow_world import World

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
from airflow_openai_realtime.testing.local_airflow import CARRIER_CONN_ID

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "carrier-token-0123456789"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the connection; arguments replace single fields."""

    def set_connection(**fields: Any) -> None:
        value = {"conn_type": "telephony_carrier", "login": ACCOUNT, "password": TOKEN, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CARRIER_CONN_ID.upper()}", json.dumps(value))

    return set_connection


def test_a_connection_becomes_settings(connect: Any) -> None:
    extra = {
        "caller_number": "+14155550100",
        "openai_project_id": "proj_x",
        "openai_sip_host": "sip-eu.api.openai.com",
        "refer_url": "https://example.com/refer",
    }
    connect(host="https://api.example.com", extra=extra)
    settings = TelephonyCarrierHook().settings()
    assert (settings.account, settings.token, settings.carrier) == (ACCOUNT, TOKEN, "twilio")
    assert settings.base_url == "https://api.example.com"
    assert settings.sip_uri == "sip:proj_x@sip-eu.api.openai.com;transport=tls"
    assert settings.refer_url == "https://example.com/refer"


def test_fields_left_empty_in_the_form_have_their_defaults(connect: Any) -> None:
    connect(host="", extra={"carrier": "", "caller_number": "", "openai_sip_host": None, "refer_url": ""})
    settings = TelephonyCarrierHook().settings()
    assert (settings.base_url, settings.carrier) == ("https://api.twilio.com", "twilio")
    assert (settings.caller_number, settings.refer_url) == (None, None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"login": ""}, "account"),
        ({"password": None}, "token"),
        ({"extra": {"carrier": "pigeon"}}, "pigeon"),
        ({"host": "nowhere"}, "nowhere|base"),
        ({"extra": {"openai_sip_host": "sip host"}}, "openai_sip_host"),
        ({"extra": {"refer_url": "http://example.com"}}, "refer_url"),
        ({"extra": "nonsense"}, "extra must be a JSON object"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_its_connection(
    connect: Any, fields: dict[str, Any], named: str
) -> None:
    connect(**fields)
    with pytest.raises(ConfigurationError, match=named) as error:
        TelephonyCarrierHook().settings()
    assert CARRIER_CONN_ID in str(error.value)
    assert TOKEN not in str(error.value)


def test_the_token_is_masked(connect: Any) -> None:
    connect()
    asyncio.run(TelephonyCarrierHook().asettings())
    assert TOKEN not in str(redact(TOKEN))
    assert TOKEN not in repr(TelephonyCarrierHook().settings())


def test_testing_the_connection_rings_nobody(world: World) -> None:
    works, message = TelephonyCarrierHook().test_connection()
    assert works
    assert message.startswith("The carrier accepted account and token.")
    assert not world.simulator.log.calls


def test_an_api_key_signs_in_for_its_account(world: World, connect: Any) -> None:
    simulator = world.simulator
    extra = {"api_key": simulator.api_key_sid, "caller_number": "+14155550100", "openai_project_id": "proj_x"}
    host, login = simulator.twilio_base_url, simulator.account_sid
    connect(host=host, login=login, password=simulator.api_key_secret, extra=extra)
    works, message = TelephonyCarrierHook().test_connection()
    assert works
    assert message.startswith("The carrier accepted account and API key.")
    connect(host=host, login=login, password=simulator.auth_token, extra=extra)
    works, message = TelephonyCarrierHook().test_connection()
    assert not works
    assert simulator.auth_token not in message


def test_an_api_key_as_login_says_where_it_belongs(connect: Any) -> None:
    connect(login="SK00000000000000000000000000000001")
    works, message = TelephonyCarrierHook().test_connection()
    assert not works
    assert "account SID (AC…)" in message


def test_testing_a_connection_with_a_wrong_token_says_so(world: World, connect: Any) -> None:
    connect(host=world.simulator.twilio_base_url, login=world.simulator.account_sid, password="wrong-token-123")
    works, message = TelephonyCarrierHook().test_connection()
    assert not works
    assert "wrong-token-123" not in message


def test_testing_an_incomplete_connection_says_what_is_missing(connect: Any) -> None:
    connect(login="")
    works, message = TelephonyCarrierHook().test_connection()
    assert not works
    assert "login" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"caller_number": ""}, "caller_number is missing"),
        ({"caller_number": "4155550100"}, "caller_number"),
        ({"caller_number": "+15550123"}, "caller_number"),
        ({"openai_project_id": ""}, "openai_project_id is missing"),
        ({"openai_project_id": "foo"}, "openai_project_id must be like proj_abc"),
    ],
)
def test_testing_a_connection_that_can_place_no_call_says_so(
    world: World, connect: Any, changes: dict[str, str], said: str
) -> None:
    simulator = world.simulator
    extra = {"caller_number": "+14155550100", "openai_project_id": "proj_x", **changes}
    connect(host=simulator.twilio_base_url, login=simulator.account_sid, password=simulator.auth_token, extra=extra)
    works, message = TelephonyCarrierHook().test_connection()
    assert not works
    assert said in message


async def test_a_dialer_for_triggers(world: World) -> None:
    async with await TelephonyCarrierHook().async_dialer() as dialer:
        await dialer.asend(dialer.check())
