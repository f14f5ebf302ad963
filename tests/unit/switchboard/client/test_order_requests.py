"""What the clients send about standing orders; the routes' tests show what comes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import StandingOrder
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.order_requests import get_order, put_order
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import take_over_call

ORDER = StandingOrder("day", "accept", "r1", START, START)
CALL = SwitchboardCall("rtc_1", "support", "accepted", START, START, claimed_by="me")


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


def body_of(request: httpx.Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.content)
    return body


def test_only_what_was_given_is_sent() -> None:
    client, seen = answering(httpx.Response(200, json={"order": ORDER.to_dict()}))
    with client:
        put = client.send(put_order("day", match=CallMatch(to="+1*"), expires_at=START, edition="run-1"))
    assert put == ORDER
    assert (seen[0].method, seen[0].url.path) == ("PUT", "/v1/orders/day")
    assert body_of(seen[0]) == {
        "match": {"to": "+1*"},
        "expires_at": "2026-11-22T08:00:00+00:00",
        "edition": "run-1",
        "priority": 0,
    }


def test_a_repeated_request_is_of_the_same_edition_and_the_next_call_of_another() -> None:
    done = httpx.Response(200, json={"order": ORDER.to_dict()})
    client, seen = answering(httpx.Response(503), done, done)
    with client:
        client.send(put_order("day", uses=3))
        client.send(put_order("day", uses=3))
    first, again, second = (body_of(request)["edition"] for request in seen)
    assert first == again != second


def test_taking_over_says_from_whom() -> None:
    client, seen = answering(httpx.Response(200, json={"call": CALL.to_dict()}))
    with client:
        assert client.send(take_over_call("rtc_1", "me", "day")) == CALL
    assert seen[0].url.path == "/v1/calls/rtc_1/claim"
    assert body_of(seen[0]) == {"claimant": "me", "from_claimant": "order:day"}


def test_an_answer_that_is_no_order_is_refused() -> None:
    client, _ = answering(httpx.Response(200, json={"order": {"name": "day"}}))
    with client, pytest.raises(SwitchboardRefused, match="cannot be read"):
        client.send(get_order("day"))
