"""People who call in: their trunk leads straight to OpenAI's SIP address."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.bridge import Bridge, Exchange
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


def call_in(
    exchange: Exchange,
    settings: SimulatorSettings,
    from_: str,
    to: str,
    headers: Headers = (),
    script: PhoneScript | None = None,
    call_id: str | None = None,
) -> str:
    """
    Make a person call a number whose trunk leads to OpenAI.

    :param exchange: Where it happens.
    :param settings: Project and SIP host that the trunk calls.
    :param from_: The caller's number, E.164.
    :param to: The number called, E.164.
    :param headers: More SIP headers; one with the name of a usual one (``To``, ``Diversion``) takes its place.
    :param script: How the caller behaves; the default waits until it is accepted, then talks for 30 s.
    :param call_id: OpenAI's id of the call, for a test that goes on with a call of an earlier run; ``None``: a new one.
    :return: OpenAI's id of the call.
    :raises InvalidInput: A number is empty, or another call has this id.
    """
    if not from_ or not to:
        raise InvalidInput("give both numbers, from and to", field="to" if from_ else "from_")
    with exchange.clock.lock:
        if call_id is not None and exchange.calls.find(call_id) is not None:
            raise InvalidInput(f"there is a call {call_id} already; give another id", field="call_id")
        record = exchange.log.open_record("inbound", from_, to)
        exchange.log.add("phone.calls_in", record, to=to)

        def over() -> None:
            record.phone_up = False
            exchange.log.add("phone.free", record)

        bridge = Bridge(exchange, record, script or PhoneScript(), over)
        bridge.start(trunk_headers(settings, from_, to, headers), call_id)
        return record.call_id or ""


def trunk_headers(settings: SimulatorSettings, from_: str, to: str, headers: Headers) -> tuple[tuple[str, str], ...]:
    """
    Headers of an INVITE as a SIP trunk sends it: addressed to the project, the number called in ``Diversion``.

    Source: seen with Twilio's Elastic SIP Trunking, 2025 and 2026.
    """
    more = list(headers.items()) if isinstance(headers, Mapping) else [(name, value) for name, value in headers]
    replaced = {name.lower() for name, _ in more}
    usual = [
        ("From", f'"{from_}" <sip:{from_}@trunk.simulator.invalid>;tag={uuid.uuid4().hex[:10]}'),
        ("To", f"<sip:{settings.project_id}@{settings.sip_host};transport=tls>"),
        ("Call-ID", f"{uuid.uuid4().hex}@trunk.simulator.invalid"),
        ("Contact", f"<sip:{from_}@trunk.simulator.invalid:5061;transport=tls>"),
        ("Diversion", f"<sip:{to}@trunk.simulator.invalid>;reason=unconditional"),
    ]
    return tuple([each for each in usual if each[0].lower() not in replaced] + more)
