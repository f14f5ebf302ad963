"""OpenAI's own SDK sends the same requests as this package: method, path, body and key."""

from __future__ import annotations

import json
from typing import Any

import httpx
import httpx2
import pytest
from openai import OpenAI

from airflow_openai_realtime.api.call_requests import accept_call, check_key, hang_up_call, refer_call, reject_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.session.realtime_session import parse_session
from airflow_openai_realtime.api.settings import REGIONS, ApiSettings, endpoints_for

Sent = tuple[str, str, Any, str | None]
CALL_ID = "rtc_u1_a/b c?".replace(" ", "")
SESSION = parse_session(instructions="Hi", voice="marin", transcription_model="gpt-transcribe").to_body()


def seen(request: Any) -> Sent:
    content = request.content
    return (
        request.method,
        str(request.url),
        json.loads(content) if content else None,
        request.headers.get("authorization"),
    )


def ours(do: Any, base_url: str = "https://api.openai.com/v1") -> Sent:
    sent: list[Sent] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(seen(request))
        return httpx.Response(200)

    settings = ApiSettings("sk-1", endpoints_for(base_url=base_url))
    with CallsClient(settings, transport=httpx.MockTransport(answer)) as client:
        do(client)
    return sent[0]


def theirs(do: Any, base_url: str = "https://api.openai.com/v1") -> Sent:
    sent: list[Sent] = []

    def answer(request: Any) -> Any:
        sent.append(seen(request))
        return httpx2.Response(200, json={"object": "list", "data": []})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with OpenAI(api_key="sk-1", base_url=base_url, http_client=http) as sdk:
        do(sdk)
    return sent[0]


@pytest.mark.parametrize("base_url", ["https://api.openai.com/v1", "https://x.openai.azure.com/openai/v1/"])
@pytest.mark.parametrize(
    ("our_way", "their_way"),
    [
        (
            lambda it: it.send(accept_call(CALL_ID, SESSION)),
            lambda it: it.realtime.calls.accept(CALL_ID, **SESSION),
        ),
        (
            lambda it: it.send(reject_call(CALL_ID, 486)),
            lambda it: it.realtime.calls.reject(CALL_ID, status_code=486),
        ),
        (
            lambda it: it.send(refer_call(CALL_ID, "tel:+14155550123")),
            lambda it: it.realtime.calls.refer(CALL_ID, target_uri="tel:+14155550123"),
        ),
        (lambda it: it.send(hang_up_call(CALL_ID)), lambda it: it.realtime.calls.hangup(CALL_ID)),
        (lambda it: it.send(check_key()), lambda it: it.models.list()),
    ],
    ids=["accept", "reject", "refer", "hang_up", "check_key"],
)
def test_the_sdk_sends_the_same_request(our_way, their_way, base_url):
    assert ours(our_way, base_url) == theirs(their_way, base_url)


@pytest.mark.parametrize("region", REGIONS)
def test_the_sdk_uses_the_same_host_for_a_region(region):
    with OpenAI(api_key="sk-1", data_residency=region) as sdk:
        assert str(sdk.base_url).rstrip("/") == endpoints_for(region=region).rest_url
