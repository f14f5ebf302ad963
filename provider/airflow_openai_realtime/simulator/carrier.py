"""
A carrier with Twilio's manners, as a state machine: ``queued → ringing → in-progress → completed``, or ``busy``,
``no-answer``, ``canceled``, ``failed``.

It rings the person first; when they answer it carries out the TwiML, which bridges them to OpenAI. No HTTP here.

Source: https://www.twilio.com/docs/voice/api/call-resource
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airflow_openai_realtime.simulator.bridge import Bridge, Exchange
from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.clock import Timer
from airflow_openai_realtime.simulator.log import CallRecord
from airflow_openai_realtime.simulator.phones import PhoneScript, Ring
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings
from airflow_openai_realtime.simulator.twiml_instructions import DialVerb, TwimlError, parse_twiml

FINAL_STATUSES = ("completed", "busy", "no-answer", "canceled", "failed")

_FATES = {"busy": "busy", "no-answer": "no_answer", "canceled": "canceled", "failed": "failed"}


@dataclass
class CarrierCall:
    """
    One call of the carrier, to one person.

    :param sid: The carrier's id.
    :param order: What was asked for.
    :param record: Its row in the log's table.
    :param created_at: Unix seconds of simulated time, as are all instants here.
    :param status: As Twilio names it.
    :param answered_by: Result of answering machine detection, when that was asked for.
    """

    sid: str
    order: Order
    record: CallRecord
    created_at: float
    status: str = "queued"
    started_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    answered_by: str | None = None
    timers: list[Timer] = field(default_factory=list)
    ring: Ring | None = None
    bridge: Bridge | None = None

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.status in FINAL_STATUSES

    @property
    def duration_seconds(self) -> int | None:
        """Whole seconds from answer to end; None while it goes on, or when it was not answered."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return round(self.ended_at - self.answered_at)


class Carrier:
    """
    All calls of the carrier.

    :param exchange: The telephone world it works in.
    :param settings: Tells the settings of the moment.
    """

    def __init__(self, exchange: Exchange, settings: Callable[[], SimulatorSettings]) -> None:
        self._exchange = exchange
        self._clock = exchange.clock
        self._log = exchange.log
        self._settings = settings
        self._calls: dict[str, CarrierCall] = {}
        self._next_start_at = 0.0

    def place(self, order: Order) -> CarrierCall:
        """
        Take an order; the phone rings as soon as the pace allows.

        :param order: What to do.
        :return: The call, ``queued``.
        """
        with self._clock.lock:
            sid = f"CA{uuid.uuid4().hex}"
            record = self._log.open_record("outbound", order.from_number, order.to, carrier_sid=sid)
            call = CarrierCall(sid=sid, order=order, record=record, created_at=self._clock.now())
            self._calls[sid] = call
            self._log.add("carrier.queued", record)
            start_at = max(self._clock.now(), self._next_start_at)
            if self._settings().calls_per_second is not None:
                self._next_start_at = start_at + 1 / (self._settings().calls_per_second or 1)
            self._after(call, start_at - self._clock.now(), lambda: self._dial(call))
            return call

    def find(self, sid: str) -> CarrierCall:
        """
        The call with an id.

        :raises Refusal: 404, Twilio's 20404: there is none.
        """
        with self._clock.lock:
            if sid not in self._calls:
                account = self._settings().account_sid
                where = f"/2010-04-01/Accounts/{account}/Calls/{sid}.json"
                raise Refusal(404, 20404, f"The requested resource {where} was not found")
            return self._calls[sid]

    def calls(self) -> Sequence[CarrierCall]:
        """All calls, newest first."""
        with self._clock.lock:
            return list(reversed(self._calls.values()))

    def end(self, sid: str, status: str) -> CarrierCall:
        """
        End a call: ``canceled`` only while it is queued or rings, ``completed`` at any time.

        :param sid: The carrier's id.
        :param status: ``completed`` or ``canceled``.
        :raises Refusal: 404 (20404) for an unknown call, 400 (21220) for one that is over.
        """
        with self._clock.lock:
            call = self.find(sid)
            if call.final:
                raise Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
            if call.status != "in-progress":
                self._finish(call, "canceled", "carrier_api")
            elif status == "completed":
                self._hang_up(call, "carrier_api")
            return call

    def reset(self) -> None:
        """Forget all calls."""
        with self._clock.lock:
            for call in self._calls.values():
                self._cancel_timers(call)
            self._calls.clear()
            self._next_start_at = 0.0

    def _dial(self, call: CarrierCall) -> None:
        call.started_at = self._clock.now()
        number, phones = call.order.to, self._exchange.phones
        script = phones.dial(number, call.record)
        if script.reaction in ("invalid", "busy"):
            self._finish(call, "failed" if script.reaction == "invalid" else "busy", "carrier")
            return
        self._move(call, "ringing")
        call.ring = phones.ring(number, call.record)
        call.record.rang += 1
        self._after(call, call.order.ring_seconds, lambda: self._finish(call, "no-answer", "carrier_timeout"))
        if script.reaction == "answers":
            self._after(call, script.after_seconds, lambda: self._answered(call, script))
        elif script.reaction == "declines":
            self._after(call, script.after_seconds, lambda: self._finish(call, "busy", "caller"))

    def _answered(self, call: CarrierCall, script: PhoneScript) -> None:
        self._cancel_timers(call)
        self._stop_ringing(call)
        call.answered_at = self._clock.now()
        if call.order.detects_machines:
            call.answered_by = script.answered_by
        self._move(call, "in-progress")
        if call.order.time_limit_seconds is not None:
            self._after(call, call.order.time_limit_seconds, lambda: self._hang_up(call, "carrier_limit"))
        try:
            dial = parse_twiml(call.order.twiml)
            self._check(dial)
        except TwimlError as error:
            self._log.add("carrier.bridge_failed", call.record, why=str(error))
            call.record.settle("failed", "carrier")
            self._finish(call, "completed", "carrier")
            return
        self._bridge(call, dial, script)

    def _check(self, dial: DialVerb) -> None:
        settings = self._settings()
        if dial.sip.host != settings.sip_host.lower():
            raise TwimlError(f"no OpenAI at {dial.sip.host}; the simulator's SIP host is {settings.sip_host}")
        if dial.sip.transport != "tls":
            raise TwimlError(
                f"OpenAI takes SIP over TLS only, the call went out over {dial.sip.transport}; add ;transport=tls"
            )
        if dial.sip.user != settings.project_id:
            raise TwimlError(f"OpenAI has no project {dial.sip.user}; the simulator's is {settings.project_id}")

    def _bridge(self, call: CarrierCall, dial: DialVerb, script: PhoneScript) -> None:
        settings = self._settings()
        if dial.sip.dropped_headers:
            self._log.add("carrier.headers_dropped", call.record, names=list(dial.sip.dropped_headers))
        call.bridge = Bridge(
            self._exchange,
            call.record,
            script,
            lambda: self._finish(call, "completed", "carrier"),
            ring_limit_seconds=dial.timeout_seconds,
            time_limit_seconds=dial.time_limit_seconds,
            can_transfer=dial.refer_url is not None or not settings.transfers_need_refer_url,
        )
        call.bridge.start(self._sip_headers(call, dial))

    def _sip_headers(self, call: CarrierCall, dial: DialVerb) -> tuple[tuple[str, str], ...]:
        settings, caller = self._settings(), dial.caller_id or call.order.from_number
        return (
            ("From", f'"{caller}" <sip:{caller}@pstn.simulator.invalid>;tag={uuid.uuid4().hex[:10]}'),
            ("To", f"<sip:{settings.project_id}@{settings.sip_host};transport=tls>"),
            ("Call-ID", f"{uuid.uuid4().hex}@pstn.simulator.invalid"),
            ("Contact", f"<sip:{caller}@pstn.simulator.invalid:5061;transport=tls>"),
            # The SIP leg is a call of its own, with an id of its own.
            ("X-Twilio-CallSid", f"CA{uuid.uuid4().hex}"),
            ("X-Twilio-AccountSid", settings.account_sid),
            *dial.sip.headers,
        )

    def _hang_up(self, call: CarrierCall, ended_by: str) -> None:
        if call.bridge is not None:
            call.bridge.hang_up(ended_by)
        else:
            self._finish(call, "completed", ended_by)

    def _finish(self, call: CarrierCall, status: str, ended_by: str) -> None:
        if call.final:
            return
        self._cancel_timers(call)
        self._stop_ringing(call)
        call.ended_at = self._clock.now()
        call.record.phone_up = False
        call.record.settle(_FATES.get(status, "completed"), ended_by)
        self._move(call, status)

    def _move(self, call: CarrierCall, status: str) -> None:
        call.status = status
        self._log.add(f"carrier.{status}", call.record)

    def _stop_ringing(self, call: CarrierCall) -> None:
        if call.ring is not None:
            call.ring.stop()

    def _after(self, call: CarrierCall, seconds: float, callback: Callable[[], None]) -> None:
        call.timers.append(self._clock.call_later(seconds, callback))

    def _cancel_timers(self, call: CarrierCall) -> None:
        for timer in call.timers:
            timer.cancel()
        call.timers.clear()
