"""
What a client asks the carrier for when it places a call, checked as Twilio does.

Source: https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_openai_realtime.simulator.refusals import Refusal

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_LONGEST_TWIML = 4000
_LONGEST_RING_SECONDS = 600


@dataclass(frozen=True)
class Order:
    """
    One call to be placed.

    :param to: The person's number, E.164.
    :param from_number: The caller's number, E.164.
    :param twiml: What to do once they answer.
    :param ring_seconds: How long to let the phone ring.
    :param time_limit_seconds: How long the whole call may last from the answer on; None: no limit.
    :param detects_machines: Whether answering machine detection was asked for.
    """

    to: str
    from_number: str
    twiml: str
    ring_seconds: float = 60.0
    time_limit_seconds: float | None = None
    detects_machines: bool = False

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Order:
        """
        Read the form of a ``POST …/Calls.json``.

        ``Url`` is refused: the simulator fetches no TwiML. Status callbacks are ignored.

        :param form: Fields of the form, the first value of each.
        :raises Refusal: 400 with the code that Twilio has for what is wrong.
        """
        return cls(
            to=_number(form, "To", missing=21201, invalid=21211),
            from_number=_number(form, "From", missing=21213, invalid=21212),
            twiml=_twiml(form),
            ring_seconds=_seconds(form, "Timeout", longest=_LONGEST_RING_SECONDS) or 60.0,
            time_limit_seconds=_seconds(form, "TimeLimit", longest=86_400),
            detects_machines=form.get("MachineDetection", "") in ("Enable", "DetectMessageEnd"),
        )


def _number(form: Mapping[str, str], name: str, *, missing: int, invalid: int) -> str:
    number = form.get(name, "")
    if not number:
        raise Refusal(400, missing, f"No '{name}' number is specified")
    if not _E164.fullmatch(number):
        raise Refusal(400, invalid, f"Invalid '{name}' Phone Number: {number[:5]}…")
    return number


def _twiml(form: Mapping[str, str]) -> str:
    if form.get("Url"):
        raise Refusal(400, 21205, "Url parameter is not supported by the simulator; send Twiml instead.")
    twiml = form.get("Twiml", "")
    if not twiml:
        raise Refusal(400, 21205, "Url parameter is required.")
    if len(twiml) > _LONGEST_TWIML:
        raise Refusal(400, 20001, f"Twiml is longer than {_LONGEST_TWIML} characters")
    return twiml


def _seconds(form: Mapping[str, str], name: str, *, longest: int) -> float | None:
    value = form.get(name)
    if value is None or value == "":
        return None
    if not value.isdigit() or not 1 <= int(value) <= longest:
        raise Refusal(400, 20001, f"Invalid {name}: give a whole number of seconds from 1 to {longest}")
    return float(value)
