from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON, twiml

from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.refusals import Refusal

FORM = {"To": PERSON, "From": CALLER, "Twiml": twiml()}


def test_a_whole_form_is_read() -> None:
    order = Order.from_form({**FORM, "Timeout": "15", "TimeLimit": "300", "MachineDetection": "Enable"})
    assert order == Order(PERSON, CALLER, twiml(), 15, 300, True)


def test_what_is_left_out_has_twilios_default() -> None:
    assert Order.from_form(FORM) == Order(PERSON, CALLER, twiml(), 60, None, False)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21201),
        ({"To": "4155550123"}, 21211),
        ({"From": ""}, 21213),
        ({"From": "Bob"}, 21212),
        ({"Twiml": ""}, 21205),
        ({"Url": "https://example.com/twiml"}, 21205),
        ({"Twiml": "x" * 4001}, 20001),
        ({"Timeout": "601"}, 20001),
        ({"TimeLimit": "0"}, 20001),
    ],
)
def test_a_form_that_twilio_would_refuse_is_refused_with_its_code(change: dict[str, str], code: int) -> None:
    with pytest.raises(Refusal) as caught:
        Order.from_form({**FORM, **change})
    assert (caught.value.status, caught.value.code) == (400, code)
