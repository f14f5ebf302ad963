"""Connections looked up by triggers: once for all that ask in the same moment."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.hooks import connections
from airflow_openai_realtime.hooks.connection_fields import ConnectionFields
from airflow_openai_realtime.hooks.connections import find_connection_async, hide_async

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
    look_up = connections._find_connection_async

    async def counted(connection_id: str, conn_type: str) -> ConnectionFields:
        nonlocal made
        made += 1
        return await look_up(connection_id, conn_type)

    monkeypatch.setattr(connections, "_find_connection_async", counted)
    found = await asyncio.gather(*(find_connection_async("line_a", CONN_TYPE) for _ in range(50)))
    assert made == 1
    assert {each.host for each in found} == {"first"}


async def test_a_change_is_seen_when_the_moment_is_over(set_host, monkeypatch: pytest.MonkeyPatch) -> None:
    set_host("line_a", "first")
    assert (await find_connection_async("line_a", CONN_TYPE)).host == "first"
    set_host("line_a", "second")
    assert (await find_connection_async("line_a", CONN_TYPE)).host == "first"
    monkeypatch.setattr(connections, "SHARED_SECONDS", 0.0)
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
    monkeypatch.setattr(connections, "async_connections_are_safe", lambda: False)
    monkeypatch.setattr(connections, "mask_secret", told.append)
    await hide_async("one-secret", "", "another-secret")
    await hide_async("another-secret", "a-third-secret")
    # In the background, so that nothing waits for that process.
    await asyncio.gather(*connections._telling)
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
        connections.find_connection("line_d", conn_type)
    assert "secret-key" not in str(refused.value)


@pytest.mark.parametrize("conn_type", ["openai-realtime", "telephony-carrier"])
def test_a_uri_with_a_hyphen_is_read(conn_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LINE_E", f"{conn_type}://login:secret-key@example.com/?webhook_secret=whsec_MTIz")
    found = connections.find_connection("line_e", conn_type.replace("-", "_"))
    assert (found.login, found.password, found.host) == ("login", "secret-key", "example.com")
    assert found.extra == {"webhook_secret": "whsec_MTIz"}
