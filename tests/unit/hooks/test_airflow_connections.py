"""Connections looked up by triggers: once for all that ask in the same moment."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.hooks import airflow_connections
from airflow_openai_realtime.hooks.airflow_connections import (
    ConnectionFields,
    find_connection_async,
    hand_over,
    handed_over,
    hide_async,
)

CONN_TYPE = "openai_realtime"


@pytest.fixture
def set_host(monkeypatch: pytest.MonkeyPatch):
    def set_host(connection_id: str, host: str) -> None:
        fields = json.dumps({"conn_type": CONN_TYPE, "host": host})
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", fields)

    return set_host


async def test_one_look_up_serves_all_that_ask_at_the_same_time(set_host, monkeypatch: pytest.MonkeyPatch) -> None:
    set_host("line_a", "first")
    made = 0
    look_up = airflow_connections._find_connection_async

    async def counted(connection_id: str, conn_type: str) -> ConnectionFields:
        nonlocal made
        made += 1
        return await look_up(connection_id, conn_type)

    monkeypatch.setattr(airflow_connections, "_find_connection_async", counted)
    found = await asyncio.gather(*(find_connection_async("line_a", CONN_TYPE) for _ in range(50)))
    assert made == 1
    assert {each.host for each in found} == {"first"}


async def test_a_change_is_seen_when_the_moment_is_over(set_host, monkeypatch: pytest.MonkeyPatch) -> None:
    set_host("line_a", "first")
    assert (await find_connection_async("line_a", CONN_TYPE)).host == "first"
    set_host("line_a", "second")
    assert (await find_connection_async("line_a", CONN_TYPE)).host == "first"
    monkeypatch.setattr(airflow_connections, "SHARED_SECONDS", 0.0)
    assert (await find_connection_async("line_a", CONN_TYPE)).host == "second"


async def test_each_connection_is_looked_up_for_itself(set_host) -> None:
    set_host("line_a", "a")
    set_host("line_b", "b")
    hosts = [(await find_connection_async(each, CONN_TYPE)).host for each in ("line_a", "line_b")]
    assert hosts == ["a", "b"]


async def test_a_look_up_that_failed_is_made_again(set_host) -> None:
    with pytest.raises(ConfigurationError, match="there is no connection line_c"):
        await find_connection_async("line_c", CONN_TYPE)
    set_host("line_c", "now")
    assert (await find_connection_async("line_c", CONN_TYPE)).host == "now"


async def test_a_look_up_that_is_cancelled_keeps_nobody_else_from_it(set_host) -> None:
    set_host("line_a", "first")
    tasks = [asyncio.create_task(find_connection_async("line_a", CONN_TYPE)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert [each.host for each in others] == ["first", "first"]


async def test_the_other_process_is_told_of_a_secret_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(airflow_connections, "async_connections_are_safe", lambda: False)
    monkeypatch.setattr(airflow_connections, "mask_secret", told.append)
    await hide_async("one-secret", "", "another-secret")
    await hide_async("another-secret", "a-third-secret")
    # In the background, so that nothing waits for that process.
    await asyncio.gather(*airflow_connections._telling)
    assert told == ["one-secret", "another-secret", "a-third-secret"]


@pytest.mark.parametrize("conn_type", ["openai_realtime", "telephony_carrier"])
async def test_a_uri_with_an_underscore_in_its_scheme_is_named_as_the_cause(
    conn_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LINE_D", f"{conn_type}://login:secret-key@example.com/?webhook_secret=whsec_MTIz")
    said = rf"its scheme may have no underscore: write {conn_type.replace('_', '-')}://"
    with pytest.raises(ConfigurationError, match=said) as refused:
        await find_connection_async("line_d", conn_type)
    with pytest.raises(ConfigurationError, match=said):
        airflow_connections.find_connection("line_d", conn_type)
    assert "secret-key" not in str(refused.value)


@pytest.mark.parametrize("conn_type", ["openai-realtime", "telephony-carrier"])
def test_a_uri_with_a_hyphen_is_read(conn_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LINE_E", f"{conn_type}://login:secret-key@example.com/?webhook_secret=whsec_MTIz")
    found = airflow_connections.find_connection("line_e", conn_type.replace("-", "_"))
    assert (found.login, found.password, found.host) == ("login", "secret-key", "example.com")
    assert found.extra == {"webhook_secret": "whsec_MTIz"}


FIELDS = ConnectionFields("line_a", "AC1", "sk-hunter2", "https://api.example", {"webhook_secret": "whsec_hunter3"})


def test_no_secret_shows_in_a_log_and_what_tells_connections_apart_does() -> None:
    shown = f"{FIELDS!r} {FIELDS}"
    assert "hunter" not in shown
    assert all(text in shown for text in ("line_a", "AC1", "https://api.example"))


def test_connections_are_compared_by_their_fields_also_by_the_hidden_ones() -> None:
    assert dataclasses.replace(FIELDS) == FIELDS
    assert dataclasses.replace(FIELDS, password="sk-other") != FIELDS
    assert dataclasses.replace(FIELDS, extra={}) != FIELDS


def test_fields_that_were_looked_up_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FIELDS.password = "other"  # type: ignore[misc]


LINE = ConnectionFields("line_a", None, "sk-hunter2", None, {"webhook_secret": "whsec_hunter3", "timeout_seconds": 30})
CARRIER = ConnectionFields("carrier", "AC1", "token-hunter4", "https://carrier.example", {})


class Conf:
    """Airflow's configuration, with these keys."""

    def __init__(self, fernet_key: str = "", jwt_secret: str = "") -> None:
        self._values = {("core", "fernet_key"): fernet_key, ("api_auth", "jwt_secret"): jwt_secret}

    def get(self, section: str, key: str, fallback: Any = None) -> Any:
        return self._values.get((section, key)) or fallback


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Any:
    def keys(**values: str) -> None:
        monkeypatch.setattr(airflow_connections, "conf", Conf(**values))

    return keys


@pytest.mark.parametrize("given", [{"fernet_key": "key-1"}, {"jwt_secret": "jwt-1"}])
def test_each_connection_comes_out_as_it_went_in(keys: Any, given: dict[str, str]) -> None:
    keys(**given)
    sealed = hand_over(LINE, CARRIER)
    assert handed_over(sealed, "line_a") == LINE
    assert handed_over(sealed, "carrier") == CARRIER
    assert handed_over(sealed, "another") is None


def test_what_is_sealed_shows_nothing(keys: Any) -> None:
    keys(fernet_key="key-1")
    assert "hunter" not in (hand_over(LINE, CARRIER) or "")


def test_without_a_key_nothing_is_handed_over(keys: Any) -> None:
    keys(fernet_key=" , ", jwt_secret=" ")
    assert hand_over(LINE) is None
    assert handed_over(None, "line_a") is None


def test_while_a_fernet_key_is_replaced_what_the_old_one_sealed_is_read(keys: Any) -> None:
    keys(fernet_key="old")
    sealed = hand_over(LINE)
    keys(fernet_key="new, old")
    assert handed_over(sealed, "line_a") == LINE
    newer = hand_over(LINE)
    keys(fernet_key="new")
    assert handed_over(newer, "line_a") == LINE
    assert handed_over(sealed, "line_a") is None


def test_a_triggerer_with_other_keys_looks_the_connection_up_itself(keys: Any) -> None:
    keys(fernet_key="one", jwt_secret="two")
    sealed = hand_over(LINE)
    keys(fernet_key="three", jwt_secret="two")
    assert handed_over(sealed, "line_a") is None
    keys()
    assert handed_over(sealed, "line_a") is None


def test_text_that_is_no_seal_is_no_connection(keys: Any) -> None:
    keys(fernet_key="one")
    assert handed_over("not sealed", "line_a") is None
