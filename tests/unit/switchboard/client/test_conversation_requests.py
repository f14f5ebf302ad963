"""What the clients send about conversations; the routes' tests show what comes of it."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    append_entries,
    finish_conversation,
    get_conversation,
    list_recent_calls,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

CONVERSATION = Conversation("rtc_1", "support", "me", 1, START, START)
ENTRY = TimelineEntry("a", "caller", START, {"text": "half \ud800"})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_requests, "POLICY", replace(switchboard_requests.POLICY, first_pause_seconds=0.0))


def answering(*answers: httpx.Response) -> tuple[SwitchboardClient, list[httpx.Request]]:
    seen: list[httpx.Request] = []
    left = iter(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return next(left)

    return SwitchboardClient("http://sb", "token-1", transport=httpx.MockTransport(handler)), seen


def test_the_synchronous_client_does_it_all() -> None:
    found = httpx.Response(200, json={"conversation": CONVERSATION.to_dict()})
    page = httpx.Response(200, json={"calls": [], "next": None})
    client, seen = answering(found, httpx.Response(200, json={"new": ["a"]}), found, found, page)
    with client:
        assert client.send(open_conversation("rtc_1", "me")) == CONVERSATION
        assert client.send(append_entries("rtc_1", 1, [ENTRY])) == {"a"}
        assert client.send(finish_conversation("rtc_1", 1, "completed", {"x": 1})) == CONVERSATION
        assert client.send(get_conversation("rtc_1")) == CONVERSATION
        assert client.send(list_recent_calls(limit=7)).calls == ()
    assert [(request.method, str(request.url.raw_path.decode())) for request in seen] == [
        ("POST", "/v1/calls/rtc_1/conversation/open"),
        ("POST", "/v1/calls/rtc_1/conversation/append"),
        ("POST", "/v1/calls/rtc_1/conversation/finish"),
        ("GET", "/v1/calls/rtc_1/conversation"),
        ("GET", "/v1/recent?limit=7"),
    ]
    assert json.loads(seen[1].content)["entries"][0]["body"] == {"text": "half "}


def test_a_lost_answer_is_asked_for_again_with_the_same_request() -> None:
    client, seen = answering(httpx.Response(503), httpx.Response(200, json={"new": []}))
    with client:
        assert client.send(append_entries("rtc_1", 1, [ENTRY])) == frozenset()
    assert seen[0].content == seen[1].content


def test_a_call_without_a_conversation_gives_none() -> None:
    unknown = httpx.Response(404, json={"error": {"code": "unknown_call", "message": "none"}})
    client, _ = answering(unknown)
    with client:
        assert client.send(get_conversation("rtc_1")) is None


def test_an_answer_that_is_no_conversation_is_refused() -> None:
    client, _ = answering(httpx.Response(200, json={"conversation": {"entries": ["x"]}}))
    with client, pytest.raises(SwitchboardRefused, match="cannot be read"):
        client.send(open_conversation("rtc_1", "me"))


def test_a_conversation_is_opened_at_an_older_switchboard_without_a_process() -> None:
    unknown_field = httpx.Response(422, json={"error": {"code": "invalid_input", "message": "process: extra"}})
    client, seen = answering(unknown_field, httpx.Response(200, json={"conversation": CONVERSATION.to_dict()}))
    with client:
        assert client.send(open_conversation("rtc_1", "me", "p1")) == CONVERSATION
    assert [json.loads(request.content) for request in seen] == [
        {"holder": "me", "process": "p1"},
        {"holder": "me"},
    ]
