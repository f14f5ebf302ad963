"""The client of one line at its switchboard."""

from __future__ import annotations

import httpx
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import Attempt
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

ATTEMPT = Attempt("a1", "c", "x", 1, "reserved", "abc", START, START)


def test_a_client_is_made_from_an_address_and_does_not_show_its_token() -> None:
    client = SwitchboardClient.at(SwitchboardAddress("http://sb:1/x", "token-1", "support"))
    assert client.service.base_url == "http://sb:1/x"
    assert client.service.headers["OpenAI-Realtime-Line"] == "support"
    assert "token-1" not in repr(client) + repr(client.service)


def test_attempts_are_listed_without_building_a_request() -> None:
    page = httpx.Response(200, json={"attempts": [ATTEMPT.to_dict()], "next": None})
    with SwitchboardClient("http://sb", "t", transport=httpx.MockTransport(lambda _: page)) as client:
        assert client.attempts("c", contact="x") == [ATTEMPT]
