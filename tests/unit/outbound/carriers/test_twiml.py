from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Dial, VoiceResponse

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.outbound.carriers.port import DialRequest
from airflow_openai_realtime.outbound.carriers.twiml import bridge


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
