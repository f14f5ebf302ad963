"""The dialer against a scripted transport; every test runs once for ``send`` and once for ``asend``."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Dial, VoiceResponse

from airflow_openai_realtime.exceptions import (
    CarrierRefused,
    CarrierUnavailable,
    DialError,
    InvalidInput,
    PlacementUnknown,
)
from airflow_openai_realtime.outbound.carriers.port import CarrierCall, DialRequest, PlacedCall
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer, bridge, dialer_for

PLACED = httpx.Response(201, json={"sid": "CA1", "status": "queued"})
RINGING = httpx.Response(200, json={"sid": "CA1", "status": "ringing"})
REPEATED = ("look", "end", "check")
OVER = httpx.Response(400, json={"code": 21220, "message": "Call is not in-progress. Cannot redirect."})


class Run:
    """Sends a request in one of the two ways against a script of answers and errors, and keeps what was sent."""

    def __init__(self, kind: str, settings: Any, pace: Any, order: Any) -> None:
        self.kind, self.settings, self.pace = kind, settings, pace
        self.build: dict[str, Callable[[TwilioDialer], Any]] = {
            "place": lambda dialer: dialer.place(order),
            "look": lambda dialer: dialer.look("CA1"),
            "end": lambda dialer: dialer.end("CA1"),
            "cancel": lambda dialer: dialer.cancel("CA1"),
            "check": lambda dialer: dialer.check(),
        }
        self.sent: list[httpx.Request] = []

    def __call__(self, operation: str, *script: Any) -> Any:
        steps = iter(script)

        def answer(request: httpx.Request) -> httpx.Response:
            self.sent.append(request)
            step = next(steps)
            if isinstance(step, Exception):
                raise step
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)

        transport = httpx.MockTransport(answer)
        if self.kind == "sync":
            with TwilioDialer(self.settings, transport=transport, pace=self.pace) as dialer:
                return dialer.send(self.build[operation](dialer))

        async def run() -> Any:
            async with TwilioDialer(self.settings, transport=transport, pace=self.pace) as dialer:
                return await dialer.asend(self.build[operation](dialer))

        return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def run(request, settings, pace, order):
    return Run(request.param, settings, pace, order)


def test_an_order_is_sent_as_a_form_with_account_and_token(run):
    assert run("place", PLACED) == PlacedCall("CA1", "queued")
    request = run.sent[0]
    assert str(request.url) == "https://carrier.test/2010-04-01/Accounts/AC123/Calls.json"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode())["To"] == ["+14155550123"]
    credentials = base64.b64encode(f"AC123:{run.settings.token}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {credentials}"


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("")], ids=lambda it: type(it).__name__
)
def test_an_order_that_never_left_rang_nobody(run, error):
    with pytest.raises(CarrierUnavailable, match="nothing was sent") as caught:
        run("place", error)
    assert caught.value.safe_to_retry
    assert len(run.sent) == 1


@pytest.mark.parametrize(
    "step",
    [
        httpx.ReadTimeout(""),
        httpx.WriteTimeout(""),
        httpx.ReadError(""),
        httpx.RemoteProtocolError(""),
        httpx.Response(500),
        httpx.Response(503, headers={"retry-after": "1"}),
        httpx.Response(201, text="<html>"),
    ],
)
def test_an_order_that_may_have_left_is_in_doubt_and_sent_once(run, step):
    with pytest.raises(PlacementUnknown) as caught:
        run("place", step)
    assert not caught.value.safe_to_retry
    assert len(run.sent) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 429, 302])
def test_a_refused_order_is_sent_once_and_not_redirected(run, status):
    with pytest.raises(CarrierRefused):
        run("place", httpx.Response(status, headers={"retry-after": "1", "location": "https://evil.test"}))
    assert len(run.sent) == 1


TROUBLES = [httpx.ConnectError(""), httpx.ReadTimeout(""), httpx.Response(500), httpx.Response(429)]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("operation", REPEATED)
def test_looking_ending_and_checking_are_repeated(run, operation, trouble):
    run(operation, trouble, RINGING)
    assert len(run.sent) == 2


@pytest.mark.parametrize(("operation", "requests"), [("look", 3), ("end", 4), ("check", 2)])
def test_they_give_up_in_the_end(run, operation, requests):
    with pytest.raises(CarrierUnavailable):
        run(operation, *[httpx.ReadTimeout("")] * requests)
    assert len(run.sent) == requests


@pytest.mark.parametrize("first", [RINGING, OVER], ids=["taken", "over"])
@pytest.mark.parametrize("status", ["canceled", "in-progress", "busy"])
def test_taking_an_order_back_says_how_the_call_is_after_that(run, first, status):
    call = run("cancel", first, httpx.Response(200, json={"sid": "CA1", "status": status}))
    assert (call.status, call.final) == (status, status != "in-progress")
    assert parse_qs(run.sent[0].content.decode()) == {"Status": ["canceled"]}
    assert run.sent[1].method == "GET"


def test_a_look_gives_the_call(run):
    assert run("look", RINGING) == CarrierCall("CA1", "ringing")


@pytest.mark.parametrize("operation", ["place", *REPEATED])
def test_no_error_holds_the_token_or_a_full_number(run, operation):
    token = run.settings.token
    said = f"{token} +14155550123"
    for step in (
        httpx.Response(400, json={"message": said, "code": token}),
        httpx.ReadError(said),
        httpx.ConnectError(said),
    ):
        with pytest.raises(DialError) as caught:
            run(operation, *[step] * 5)
        assert token not in f"{caught.value} {caught.value.__dict__}"
        assert "4155550123" not in str(caught.value)


def test_the_call_is_bridged_to_openai_with_its_correlation_header_and_a_limit(order):
    assert bridge(order) == (
        '<Response><Dial answerOnBridge="true" timeout="60" timeLimit="300"><Sip>'
        "sip:proj_abc@sip.api.openai.com;transport=tls?X-Correlation-Id=c-1</Sip></Dial></Response>"
    )


def test_it_says_the_same_as_twilios_own_library(order):
    theirs = VoiceResponse()
    dial = Dial(answer_on_bridge=True, timeout=60, time_limit=300)
    dial.sip("sip:proj_abc@sip.api.openai.com;transport=tls?X-Correlation-Id=c-1")
    theirs.append(dial)
    assert canonical(bridge(order)) == canonical(str(theirs))


def test_a_refer_url_says_the_same_as_in_twilios_own_library(order):
    url = "https://example.com/refer?a=1&b=%22<\"'>"
    theirs = VoiceResponse()
    dial = Dial(answer_on_bridge=True, timeout=60, time_limit=300, refer_url=url)
    dial.sip("sip:proj_abc@sip.api.openai.com;transport=tls?X-Correlation-Id=c-1")
    theirs.append(dial)
    ours = bridge(dataclasses.replace(order, refer_url=url))
    assert canonical(ours) == canonical(str(theirs))
    assert ElementTree.fromstring(ours).find("Dial").get("referUrl") == url


def canonical(xml: str) -> str:
    return ElementTree.canonicalize(xml)


def test_a_header_already_in_the_address_is_kept(order):
    xml = bridge(dataclasses.replace(order, sip_uri="sip:a@b?X-Campaign=1"))
    assert "X-Campaign=1&amp;X-Correlation-Id=c-1" in xml
    assert ElementTree.fromstring(xml).findtext("Dial/Sip") == "sip:a@b?X-Campaign=1&X-Correlation-Id=c-1"


def test_part_seconds_are_rounded_up(order):
    assert 'timeLimit="301"' in bridge(dataclasses.replace(order, max_duration_seconds=300.2))


def test_an_address_of_255_characters_is_too_long(order):
    header = len("?X-Correlation-Id=c-1")
    bridge(dataclasses.replace(order, sip_uri="sip:" + "a" * (250 - header)))
    with pytest.raises(InvalidInput, match="255 characters") as caught:
        bridge(dataclasses.replace(order, sip_uri="sip:" + "a" * (251 - header)))
    assert caught.value.field == "sip_uri"


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), st.from_regex(r"sip:[!-~]{1,100}", fullmatch=True))
def test_no_correlation_id_and_no_address_breaks_the_xml(correlation_id, sip_uri):
    order = DialRequest("+14155550123", "+14155550100", sip_uri, correlation_id)
    sip = ElementTree.fromstring(bridge(order)).findtext("Dial/Sip") or ""
    assert sip.startswith(sip_uri)
    assert sip.endswith(f"X-Correlation-Id={correlation_id}")


async def test_the_dialer_of_the_carrier_is_found(settings):
    with dialer_for(settings) as dialer:
        assert isinstance(dialer, TwilioDialer)
    async with dialer_for(settings) as dialer:
        assert isinstance(dialer, TwilioDialer)
