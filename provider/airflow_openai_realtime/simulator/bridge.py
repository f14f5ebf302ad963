"""
A person on the phone, connected to a call at OpenAI, and after a transfer to another person.

The same for both ways in: the carrier's ``<Dial><Sip>`` and a caller whose trunk leads straight to OpenAI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from airflow_openai_realtime.simulator.calls import Calls, SimulatedCall
from airflow_openai_realtime.simulator.clock import Clock, Timer
from airflow_openai_realtime.simulator.log import CallRecord, Log
from airflow_openai_realtime.simulator.phones import Phones, PhoneScript, Ring


@dataclass(frozen=True)
class Exchange:
    """The parts of the simulated telephone world that a bridge works with."""

    clock: Clock
    log: Log
    phones: Phones
    calls: Calls


class Bridge:
    """
    One person's call with OpenAI. It is the :class:`SipLeg` of that call.

    :param exchange: Where it happens.
    :param record: Row of the call in the log's table.
    :param script: How the person behaves.
    :param on_over: Called once, when the person's phone is free again.
    :param ring_limit_seconds: How long the carrier lets OpenAI ring; None: as long as OpenAI does.
    :param time_limit_seconds: How long the carrier lets the two talk; None: no limit.
    :param can_transfer: Whether the carrier acts on a transfer.
    """

    def __init__(
        self,
        exchange: Exchange,
        record: CallRecord,
        script: PhoneScript,
        on_over: Callable[[], None],
        *,
        ring_limit_seconds: float | None = None,
        time_limit_seconds: float | None = None,
        can_transfer: bool = True,
    ) -> None:
        self._exchange = exchange
        self._record = record
        self._script = script
        self._on_over = on_over
        self._ring_limit_seconds = ring_limit_seconds
        self._time_limit_seconds = time_limit_seconds
        self._can_transfer = can_transfer
        self._number = record.number
        self._timers: list[Timer] = []
        self._call: SimulatedCall | None = None
        self._target_ring: Ring | None = None
        self._over = False

    def start(self, sip_headers: tuple[tuple[str, str], ...], call_id: str | None = None) -> None:
        """
        Call OpenAI.

        :param sip_headers: Headers of the INVITE, in order.
        :param call_id: OpenAI's id of the call; ``None``: a new one.
        """
        self._exchange.phones.connect(self._number, self.leave)
        self._after(self._script.gives_up_after_seconds, self.leave)
        self._after(self._ring_limit_seconds, lambda: self.hang_up("carrier_timeout"))
        self._call = self._exchange.calls.invite(self._record, sip_headers, self, self._script.dialogue, call_id)

    def leave(self) -> None:
        """The person hangs up; OpenAI may notice it only later."""
        if self._over:
            return
        self._exchange.log.add("phone.hung_up", self._record, number=self._number)
        call, unnoticed_seconds = self._call, self._script.hang_up_noticed_after_seconds
        if call is None or not unnoticed_seconds:
            self.hang_up("caller")
            return
        call.person_gone = True
        self._record.settle("missed" if call.state == "ringing" else "completed", "caller")
        self._exchange.clock.call_later(unnoticed_seconds, lambda: self._exchange.calls.caller_left(call, "caller"))
        self._finish()

    def hang_up(self, ended_by: str) -> None:
        """
        The person's side ends, whatever it was connected to.

        :param ended_by: Who did it, as in :class:`CallRecord`.
        """
        if self._over:
            return
        if self._call is not None:
            self._exchange.calls.caller_left(self._call, ended_by)
        self._finish()

    def on_accepted(self) -> None:
        """The person and the model talk; the person's patience is at rest, their day goes on."""
        if self._over:
            return
        self._cancel_timers()
        self._exchange.log.add("phone.talking", self._record, number=self._number)
        self._after(self._script.talks_for_seconds, self.leave)
        self._after(self._time_limit_seconds, lambda: self.hang_up("carrier_limit"))

    def on_refused(self, sip_status: int) -> None:
        """OpenAI did not take the call."""
        self._finish()

    def on_ended(self, ended_by: str) -> None:
        """The session is over."""
        self._finish()

    def on_referred(self, target_uri: str) -> bool:
        """Let the target's phone ring; the person stays on the line meanwhile."""
        if not self._can_transfer or self._over:
            return False
        self._call = None
        target = phone_of(target_uri)
        script = self._exchange.phones.dial(target, self._record)
        if script.reaction in ("busy", "invalid"):
            self._exchange.log.add("transfer.failed", self._record, target=target, why=script.reaction)
            # The session must be written down as ended before the phone is free.
            self._timers.append(self._exchange.clock.call_later(0, self._finish))
            return True
        self._target_ring = self._exchange.phones.ring(target, self._record)
        if script.reaction == "answers":
            self._after(script.after_seconds, lambda: self._target_answers(target, script))
        elif script.reaction == "declines":
            self._after(script.after_seconds, self._finish)
        return True

    def _target_answers(self, target: str, script: PhoneScript) -> None:
        if self._target_ring is not None:
            self._target_ring.stop()
        self._exchange.log.add("transfer.talking", self._record, target=target)
        self._after(script.talks_for_seconds, self._finish)

    def _after(self, seconds: float | None, callback: Callable[[], None]) -> None:
        if seconds is not None:
            self._timers.append(self._exchange.clock.call_later(seconds, callback))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        self._cancel_timers()
        if self._target_ring is not None:
            self._target_ring.stop()
        self._exchange.phones.disconnect(self._number, self.leave)
        self._on_over()


def phone_of(target_uri: str) -> str:
    """
    Which phone a transfer leads to: the number of a ``tel:`` URI, the user part of a SIP URI that holds a number,
    and else ``user@host``.

    :param target_uri: As given to *refer*.
    """
    _, _, address = target_uri.partition(":")
    bare = unquote(address.partition(";")[0].partition("?")[0])
    user = bare.partition("@")[0]
    return user if user.startswith("+") else bare
