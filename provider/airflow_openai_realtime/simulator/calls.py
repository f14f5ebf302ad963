"""
OpenAI's side of a call as a state machine: ``ringing → accepted → ended``, or ``rejected``, or ``missed``.

No HTTP here: the routes turn a :class:`Refusal` into an answer. Each method takes the simulator's lock.

Source: https://developers.openai.com/api/docs/guides/voice-sip
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_openai_realtime.simulator.clock import Clock, Timer
from airflow_openai_realtime.simulator.dialogue import Dialogue
from airflow_openai_realtime.simulator.log import CallRecord, Log
from airflow_openai_realtime.simulator.refusals import already_decided, call_gone
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings


class SipLeg(Protocol):
    """The other end of the SIP call: a carrier's leg or a caller. Called with the simulator's lock held."""

    def on_accepted(self) -> None:
        """The call was accepted: the person and the model can talk."""

    def on_refused(self, sip_status: int) -> None:
        """The call was refused with a SIP status before it was answered."""

    def on_ended(self, ended_by: str) -> None:
        """The session is over."""

    def on_referred(self, target_uri: str) -> bool:
        """Hand the person over; False when that is impossible and the call goes on as it is."""

    def leave(self) -> None:
        """The person hangs up."""


@dataclass
class SimulatedCall:
    """
    One SIP call at OpenAI.

    :param call_id: OpenAI's id.
    :param record: Its row in the log's table.
    :param sip_headers: Headers of the INVITE as the webhook tells them.
    :param leg: The other end.
    :param dialogue: What is said on it.
    :param state: ``ringing, accepted, rejected, missed`` or ``ended``.
    :param session: The body that it was accepted with.
    :param refer_is_lost: Whether a *refer* says 200 and does nothing, as after a session error.
    :param person_gone: Whether the person has hung up, be it noticed or not.
    """

    call_id: str
    record: CallRecord
    sip_headers: tuple[tuple[str, str], ...]
    leg: SipLeg
    dialogue: Dialogue
    created_at: float
    state: str = "ringing"
    accepted_at: float | None = None
    session: dict[str, Any] = field(default_factory=dict)
    refer_is_lost: bool = False
    person_gone: bool = False
    timers: list[Timer] = field(default_factory=list)
    on_end: list[Callable[[str], None]] = field(default_factory=list)


class Calls:
    """
    All SIP calls at OpenAI.

    :param clock: The simulator's clock.
    :param log: The simulator's log.
    :param settings: Tells the settings of the moment.
    """

    def __init__(self, clock: Clock, log: Log, settings: Callable[[], SimulatorSettings]) -> None:
        self._clock = clock
        self._log = log
        self._settings = settings
        self._calls: dict[str, SimulatedCall] = {}
        self.announce: Callable[[SimulatedCall], None] = lambda call: None
        self.begin: Callable[[SimulatedCall], None] = lambda call: None

    @property
    def session_limit_seconds(self) -> float:
        """Longest session."""
        return self._settings().session_limit_seconds

    def invite(
        self,
        record: CallRecord,
        sip_headers: tuple[tuple[str, str], ...],
        leg: SipLeg,
        dialogue: Dialogue,
        call_id: str | None = None,
    ) -> SimulatedCall:
        """
        Let a call ring at OpenAI: the webhook goes out, and the ring limit starts.

        :param record: Its row in the log's table.
        :param sip_headers: Headers of the INVITE, in order.
        :param leg: The other end.
        :param dialogue: What will be said.
        :param call_id: The call's id, which no other call has; ``None``: a new one.
        """
        with self._clock.lock:
            call = SimulatedCall(
                call_id=call_id or f"rtc_u1_{uuid.uuid4().hex}",
                record=record,
                sip_headers=sip_headers,
                leg=leg,
                dialogue=dialogue,
                created_at=self._clock.now(),
            )
            record.call_id = call.call_id
            self._calls[call.call_id] = call
            self._log.add("openai.ringing", record)
            call.timers.append(self._clock.call_later(self._settings().ring_seconds, lambda: self._miss(call)))
            self.announce(call)
            return call

    def find(self, call_id: str) -> SimulatedCall | None:
        """The call with an id, in whatever state."""
        with self._clock.lock:
            return self._calls.get(call_id)

    def accept(self, call_id: str, session: Mapping[str, Any], *, dies: bool = False) -> None:
        """
        Accept a call that rings.

        :param call_id: OpenAI's id.
        :param session: The body, already found valid.
        :param dies: Whether the call dies right after it was accepted (a fault).
        :raises Refusal: 404 when the call is gone, 400 when it was decided before.
        """
        with self._clock.lock:
            call = self._ringing(call_id)
            call.state, call.accepted_at, call.session = "accepted", self._clock.now(), dict(session)
            self._cancel_timers(call)
            call.record.accepted += 1
            call.record.open = True
            self._log.add("openai.accepted", call.record, model=session.get("model"))
            if dies:
                self._refuse(call, 400, "ended", "failed", "dead_session")
                return
            call.timers.append(
                self._clock.call_later(
                    self.session_limit_seconds, lambda: self._end(call, "completed", "session_limit")
                )
            )
            self.begin(call)
            call.leg.on_accepted()

    def reject(self, call_id: str, sip_status: int) -> None:
        """
        Refuse a call that rings.

        :param call_id: OpenAI's id.
        :param sip_status: SIP status that the caller's side gets.
        :raises Refusal: 404 when the call is gone, 400 when it was decided before.
        """
        with self._clock.lock:
            self._refuse(self._ringing(call_id), sip_status, "rejected", "rejected", "api_reject")

    def refer(self, call_id: str, target_uri: str) -> None:
        """
        Transfer the person of a live call to another person, ``refer_seconds`` later.

        :param call_id: OpenAI's id.
        :param target_uri: ``tel:`` or ``sip:`` URI.
        :raises Refusal: 404 when the call is not live.
        """
        with self._clock.lock:
            call = self.live(call_id)
            self._log.add("openai.referred", call.record, target_uri=target_uri)
            if call.refer_is_lost:
                self._log.add("openai.refer_lost", call.record, why="the session had an error before")
                return
            call.timers.append(
                self._clock.call_later(self._settings().refer_seconds, lambda: self._transfer(call, target_uri))
            )

    def hang_up(self, call_id: str) -> None:
        """
        End a live call.

        :param call_id: OpenAI's id.
        :raises Refusal: 404 when the call is not live.
        """
        with self._clock.lock:
            self._end(self.live(call_id), "completed", "api_hangup")

    def end_session(self, call: SimulatedCall, fate: str, ended_by: str) -> None:
        """
        End a live call from OpenAI's side; one that is over stays as it is.

        :param call: The call.
        :param fate: As in :class:`CallRecord`.
        :param ended_by: As in :class:`CallRecord`.
        """
        with self._clock.lock:
            self._end(call, fate, ended_by)

    def caller_left(self, call: SimulatedCall, ended_by: str) -> None:
        """
        The other end hangs up, whether the call rings or is live.

        :param call: The call.
        :param ended_by: Who did it, as in :class:`CallRecord`.
        """
        with self._clock.lock:
            if call.state == "ringing":
                call.state = "missed"
                self._cancel_timers(call)
                call.record.settle("missed", ended_by)
                self._log.add("openai.missed", call.record, ended_by=ended_by)
            elif call.state == "accepted":
                self._end(call, "completed", ended_by, tell_leg=False)

    def live(self, call_id: str) -> SimulatedCall:
        """
        A call that was accepted and is not over.

        :raises Refusal: 404: there is no such call.
        """
        with self._clock.lock:
            call = self._calls.get(call_id)
            if call is None or call.state != "accepted":
                raise call_gone()
            return call

    def reset(self) -> None:
        """Forget all calls and notify their watchers that they are over."""
        with self._clock.lock:
            for call in self._calls.values():
                self._cancel_timers(call)
                self._tell_watchers(call, "reset")
            self._calls.clear()

    def _ringing(self, call_id: str) -> SimulatedCall:
        call = self._calls.get(call_id)
        if call is None or call.state in ("missed", "ended"):
            raise call_gone()
        if call.state != "ringing":
            raise already_decided()
        return call

    def _miss(self, call: SimulatedCall) -> None:
        if call.state == "ringing":
            self._refuse(call, 400, "missed", "missed", "ring_limit")

    def _refuse(self, call: SimulatedCall, sip_status: int, state: str, fate: str, ended_by: str) -> None:
        call.state = state
        self._cancel_timers(call)
        call.record.open = False
        call.record.sip_status = sip_status
        call.record.settle(fate, ended_by)
        self._log.add(f"openai.{state}", call.record, sip_status=sip_status, ended_by=ended_by)
        call.leg.on_refused(sip_status)

    def _transfer(self, call: SimulatedCall, target_uri: str) -> None:
        if call.state != "accepted":
            return
        call.record.transferred_to = target_uri
        if call.leg.on_referred(target_uri):
            self._end(call, "transferred", "transfer", tell_leg=False)
        else:
            call.record.transferred_to = None
            self._log.add("openai.refer_lost", call.record, why="the carrier does not act on transfers")

    def _end(self, call: SimulatedCall, fate: str, ended_by: str, *, tell_leg: bool = True) -> None:
        if call.state != "accepted":
            return
        call.state = "ended"
        self._cancel_timers(call)
        call.record.open = False
        call.record.talked_seconds = round(self._clock.now() - (call.accepted_at or 0.0), 3)
        call.record.settle(fate, ended_by)
        self._log.add("openai.ended", call.record, ended_by=ended_by, talked_seconds=call.record.talked_seconds)
        self._tell_watchers(call, ended_by)
        if tell_leg:
            call.leg.on_ended(ended_by)

    def _tell_watchers(self, call: SimulatedCall, ended_by: str) -> None:
        watchers, call.on_end = call.on_end, []
        for tell in watchers:
            tell(ended_by)

    def _cancel_timers(self, call: SimulatedCall) -> None:
        for timer in call.timers:
            timer.cancel()
        call.timers.clear()
