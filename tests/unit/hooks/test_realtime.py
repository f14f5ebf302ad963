from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact
from airflow_world import CONN_ID, World

from airflow_openai_realtime.api.call_requests import check_key
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.hooks import airflow_connections
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status

KEY = "sk-hook-0123456789"
SECRET = "whsec_aG9vay1zZWNyZXQtMDEyMzQ1Njc4OQ=="
URL = "https://airflow.example.com/openai-realtime"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the connection; arguments replace single fields, ``extra`` single fields of the extra."""

    def set_connection(extra: Any = None, **fields: Any) -> None:
        given = extra if isinstance(extra, str) else {"webhook_secret": SECRET, "switchboard_url": URL, **(extra or {})}
        value = {"conn_type": "openai_realtime", "password": KEY, "extra": given, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(value))

    return set_connection


def test_a_connection_becomes_settings(connect: Any) -> None:
    connect({"region": "eu", "organization": "org", "project": "proj", "timeout_seconds": "3"})
    line = RealtimeHook().line()
    assert line.connection_id == CONN_ID
    assert (line.api.api_key, line.api.organization, line.api.project) == (KEY, "org", "proj")
    assert line.api.endpoints.rest_url.startswith("https://eu.")
    assert line.api.timeout_seconds == 3
    assert (line.switchboard.url, line.switchboard.line) == (URL, CONN_ID)
    assert line.switchboard.token == derived_token(SECRET)


def test_a_token_and_a_line_of_its_own_win(connect: Any) -> None:
    connect({"switchboard_token": "our-own-token", "line": "sales", "webhook_secret": ""})
    at = RealtimeHook().line().switchboard
    assert (at.token, at.line) == ("our-own-token", "sales")


@pytest.mark.parametrize("in_event_loop", [False, True])
@pytest.mark.parametrize("safe", [False, True])
def test_tasks_and_triggers_read_the_same(
    connect: Any, monkeypatch: pytest.MonkeyPatch, in_event_loop: bool, safe: bool
) -> None:
    """Also on Airflow versions where looking up in an event loop is not safe, and is left to a thread."""
    if safe and not airflow_connections.async_connections_are_safe():
        pytest.skip("this Airflow version has no safe look-up")
    monkeypatch.setattr(airflow_connections, "async_connections_are_safe", lambda: safe)
    connect()
    line = asyncio.run(RealtimeHook().aline()) if in_event_loop else RealtimeHook().line()
    assert line.api.api_key == KEY


@pytest.mark.parametrize(
    ("fields", "extra", "named"),
    [
        ({"password": ""}, {}, "API key"),
        ({"password": None}, {}, "API key"),
        ({}, {"switchboard_url": ""}, "switchboard_url"),
        ({}, {"switchboard_url": "airflow.example.com"}, "switchboard_url"),
        ({}, {"webhook_secret": ""}, "webhook_secret"),
        ({}, {"region": "mars"}, "region"),
        ({"host": "https://api.example.com/v1"}, {"region": "eu"}, "region"),
        ({}, {"timeout_seconds": "soon"}, "timeout_seconds"),
        ({}, {"auth_style": "basic"}, "auth_style"),
        ({}, {"line": "a b"}, "line"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_its_connection(
    connect: Any, fields: dict[str, Any], extra: dict[str, Any], named: str
) -> None:
    connect(extra, **fields)
    with pytest.raises(ConfigurationError, match=named) as error:
        RealtimeHook().line()
    assert CONN_ID in str(error.value)
    assert not [secret for secret in (KEY, SECRET) if secret in str(error.value)]


def test_hanging_up_needs_no_switchboard(connect: Any) -> None:
    connect({"switchboard_url": ""})
    with RealtimeHook().calls():
        pass


@pytest.mark.parametrize("conn_id", ["nowhere", "", None])
def test_a_missing_connection_is_named(conn_id: Any) -> None:
    hook = RealtimeHook(openai_realtime_conn_id=conn_id)
    with pytest.raises(ConfigurationError, match=conn_id or "openai_realtime_conn_id is empty"):
        hook.line()
    with pytest.raises(ConfigurationError, match=conn_id or "openai_realtime_conn_id is empty"):
        asyncio.run(hook.aline())


def test_an_extra_that_is_no_object_is_named(connect: Any) -> None:
    connect("[1, 2]")
    with pytest.raises(ConfigurationError, match=f"{CONN_ID}: extra must be a JSON object"):
        RealtimeHook().line()


@pytest.mark.parametrize("in_event_loop", [False, True])
def test_everything_secret_is_masked_the_derived_token_too(connect: Any, in_event_loop: bool) -> None:
    key, secret, other = f"sk-mask-{in_event_loop}-123456", f"whsec_mask{in_event_loop}123456", "whsec_older9876543"
    connect({"webhook_secret": f"{secret} {other}", "switchboard_token": f"token-{in_event_loop}-123"}, password=key)
    asyncio.run(RealtimeHook().aline()) if in_event_loop else RealtimeHook().line()
    secrets = [key, secret, other, f"token-{in_event_loop}-123", derived_token(secret), derived_token(other)]
    assert not [text for text in secrets if text in str(redact(" and ".join(secrets)))]


def test_settings_show_no_secret(connect: Any) -> None:
    connect()
    shown = repr(RealtimeHook().line())
    assert not [secret for secret in (KEY, SECRET, derived_token(SECRET)) if secret in shown]


def test_testing_the_connection_tries_key_and_switchboard_and_no_call(world: World) -> None:
    works, message = RealtimeHook().test_connection()
    assert works
    assert message.startswith("OpenAI: the key works. Switchboard: reached, line openai_realtime_default")
    assert not world.simulator.log.calls


def test_testing_the_connection_tells_about_both_parts(world: World) -> None:
    world.simulator.faults.status("models", 401, times=2)
    world.connect(switchboard_url="http://127.0.0.1:9")
    works, message = RealtimeHook().test_connection()
    assert not works
    assert "OpenAI: could not check the key" in message
    assert "Switchboard: no answer from the switchboard at http://127.0.0.1:9" in message
    assert not [secret for secret in world.secrets if secret in message]


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("whsec_" + "YW5vdGhlci1zZWNyZXQtb2YtYW5vdGhlcg==", "refused it: another secret"),
        ("my-secret", "it is not whsec_ and base64"),
        ("", "webhook_secret is missing"),
    ],
)
def test_testing_a_connection_with_a_wrong_webhook_secret_says_so(world: World, secret: str, said: str) -> None:
    url = world.url if secret else f"{world.url}/openai-realtime"
    world.connect(webhook_secret=secret, switchboard_token=world.token, switchboard_url=url)
    works, message = RealtimeHook().test_connection()
    assert not works
    assert said in message
    assert not secret or secret not in message


def test_testing_a_connection_says_nothing_of_airflow_s_random_id(world: World) -> None:
    world.connect("aB3dE6gH")
    works, message = RealtimeHook(openai_realtime_conn_id="aB3dE6gH").test_connection()
    assert works
    assert "reached, version" in message or "reached, line openai_realtime_default" in message
    world.connect("aB3dE6gH", switchboard_url="nonsense")
    works, wrong = RealtimeHook(openai_realtime_conn_id="aB3dE6gH").test_connection()
    assert not works
    assert "switchboard_url" in wrong
    assert "aB3dE6gH" not in message + wrong


def test_testing_a_connection_with_half_the_fields_tells_which_half_works(world: World) -> None:
    world.connect(switchboard_url="")
    works, message = RealtimeHook().test_connection()
    assert not works
    assert "the key works" in message
    assert "switchboard_url is missing" in message


async def test_async_clients_work_in_an_event_loop(world: World) -> None:
    hook = RealtimeHook()
    async with await hook.acalls() as calls, await hook.aswitchboard() as switchboard:
        await calls.asend(check_key())
        assert (await switchboard.asend(get_status()))["line"] == CONN_ID


def test_a_request_is_sent_to_where_it_is_for(world: World) -> None:
    hook = RealtimeHook()
    assert "version" in hook.send(get_status())
    hook.send(check_key())
    world.connect(switchboard_url="")
    hook = RealtimeHook()
    # What the switchboard's part lacks keeps no request from OpenAI.
    hook.send(check_key())
    with pytest.raises(ConfigurationError, match="switchboard_url is missing"):
        hook.send(get_status())
