from __future__ import annotations

import pytest
from tests.unit.simulator.support import twiml

from airflow_openai_realtime.simulator.twiml_instructions import TwimlError, parse_twiml


def test_a_bridge_to_openai_is_read_whole() -> None:
    dial = parse_twiml(
        twiml(
            headers="X-Correlation-Id=a%20b&amp;X-Campaign=c1",
            attributes='answerOnBridge="true" timeout="20" timeLimit="600" callerId="+14155550111" referUrl="https://x"',
        )
    )
    assert dial.sip.user == "proj_simulator"
    assert dial.sip.host == "sip.api.openai.com"
    assert dial.sip.transport == "tls"
    assert dial.sip.headers == (("X-Correlation-Id", "a b"), ("X-Campaign", "c1"))
    assert dial.answer_on_bridge
    assert (dial.timeout_seconds, dial.time_limit_seconds) == (20, 600)
    assert (dial.caller_id, dial.refer_url) == ("+14155550111", "https://x")


def test_without_a_transport_it_is_udp() -> None:
    assert parse_twiml(twiml(params="")).sip.transport == "udp"


def test_a_sips_uri_means_tls() -> None:
    text = "<Response><Dial><Sip>sips:proj_1@host</Sip></Dial></Response>"
    assert parse_twiml(text).sip.transport == "tls"


def test_headers_that_twilio_does_not_pass_on_are_dropped() -> None:
    sip = parse_twiml(twiml(headers="Subject=hi&amp;X-A=1&amp;User-to-User=u")).sip
    assert sip.headers == (("X-A", "1"), ("User-to-User", "u"))
    assert sip.dropped_headers == ("Subject",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "12100"),
        ("<Response>", "12100"),
        ("<Reply/>", "not <Response>"),
        ("<Response><Say>Hi</Say></Response>", "exactly one <Dial>"),
        ("<Response><Dial><Number>+1</Number></Dial></Response>", "exactly one <Sip>"),
        ("<Response><Dial><Sip>tel:+1</Sip></Dial></Response>", "13224"),
        ("<Response><Dial><Sip></Sip></Dial></Response>", "13224"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Response/>', "document type"),
        (twiml(project="p" * 256), "255"),
        (twiml(headers="X-A=" + "a" * 1024), "1024"),
        (twiml(attributes='timeout="soon"'), "timeout"),
        (twiml(attributes='timeLimit="0"'), "timeLimit"),
    ],
)
def test_twiml_that_twilio_cannot_carry_out_is_refused(text: str, why: str) -> None:
    with pytest.raises(TwimlError, match=why):
        parse_twiml(text)
