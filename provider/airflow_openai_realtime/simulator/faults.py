"""Things that go wrong on demand: which operation, how, how often."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput

_REQUESTS = ("accept", "reject", "refer", "hangup", "models", "place", "look", "end", "list", "account")
_REQUEST_KINDS = ("status", "time_out", "reset")

KINDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_REQUESTS, _REQUEST_KINDS),
    "accept": (*_REQUEST_KINDS, "dead_session"),
    "hangup": (*_REQUEST_KINDS, "slow"),
    "webhook": ("late", "duplicate", "forged", "lost"),
    "sideband": (*_REQUEST_KINDS, "drop"),
}
"""Which kinds of fault each operation can have."""


@dataclass(frozen=True)
class Fault:
    """
    One fault, waiting for its operation.

    ==================  ===========================================================================================
    ``status``          answers with ``status`` and ``code``, and ``retry-after`` when ``retry_after_seconds`` is set
    ``time_out``        takes the request and never answers
    ``reset``           resets the connection instead of answering
    ``slow``            a *hangup* is carried out and answered ``seconds`` later, in real seconds
    ``dead_session``    *accept* says 200, then the call dies: the caller's leg is refused, the sideband gives 404
    ``late``            the webhook leaves ``seconds`` later
    ``duplicate``       the webhook is delivered ``copies`` times more, with the same ``webhook-id``
    ``forged``          the webhook is signed with a wrong secret (every attempt of it)
    ``lost``            the webhook is never sent
    ``drop``            the sideband breaks off ``seconds`` after it was attached; the call goes on
    ==================  ===========================================================================================

    :param operation: ``accept, reject, refer, hangup, models`` (OpenAI), ``place, look, end, list, account``
        (carrier), ``webhook`` or ``sideband``.
    :param kind: One of the above that fits the operation.
    :param status: HTTP status for ``status``, 400-599.
    :param code: For ``status`` at the carrier: Twilio's number, for example 21215; None for the usual one.
    :param retry_after_seconds: For ``status``: value of the ``retry-after`` header.
    :param carried_out: Whether the operation is carried out before the answer goes wrong.
    :param seconds: Delay of ``late`` and ``drop``, in simulated seconds; of ``slow``, in real ones.
    :param copies: Extra deliveries of ``duplicate``, 1 or more.
    :param times: How many times in a row it happens, 1 or more.
    :param number: Only for calls with this person, by phone number; None for all.
    """

    operation: str
    kind: str
    status: int = 500
    retry_after_seconds: float | None = None
    carried_out: bool = False
    seconds: float = 0.0
    copies: int = 1
    times: int = 1
    number: str | None = None
    code: int | None = None

    def __post_init__(self) -> None:
        if self.operation not in KINDS:
            raise InvalidInput(
                f"no operation {self.operation}; faults can be set for {', '.join(KINDS)}", field="operation"
            )
        if self.kind not in KINDS[self.operation]:
            raise InvalidInput(
                f"{self.operation} cannot fail by {self.kind}; it can by {', '.join(KINDS[self.operation])}",
                field="kind",
            )
        if self.times < 1 or self.copies < 1:
            raise InvalidInput("times and copies are 1 or more", field="times" if self.times < 1 else "copies")
        if not 400 <= self.status <= 599:
            raise InvalidInput(f"status {self.status} is no error; give 400 to 599", field="status")

    def to_dict(self) -> dict[str, Any]:
        """The fault as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fault:
        """
        The fault from :meth:`to_dict`; what is left out has its default.

        :raises InvalidInput: A field is unknown, missing or cannot be used.
        """
        unknown = set(values) - {each.name for each in fields(cls)}
        if unknown:
            raise InvalidInput(f"a fault has no field {sorted(unknown)[0]}", field=sorted(unknown)[0])
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidInput(f"not a fault: {error}", field="operation") from error


class FaultControls:
    """Ways to set faults; the same in the simulator's process and in another one."""

    def add(self, fault: Fault) -> None:
        """Set a fault; faults of one operation happen in the order in which they were set."""
        raise NotImplementedError

    def clear(self) -> None:
        """Take back all faults that have not happened yet."""
        raise NotImplementedError

    @property
    def pending(self) -> Sequence[Fault]:
        """Faults that have not happened yet, with the times that are left."""
        raise NotImplementedError

    def status(self, operation: str, status: int, *, retry_after_seconds: float | None = None, **others: Any) -> None:
        """Answer with an HTTP status, for example 429 or 500. ``others``: fields of :class:`Fault`."""
        self.add(Fault(operation, "status", status=status, retry_after_seconds=retry_after_seconds, **others))

    def time_out(self, operation: str, *, carried_out: bool = False, **others: Any) -> None:
        """Never answer, whether the operation was carried out or not. ``others``: fields of :class:`Fault`."""
        self.add(Fault(operation, "time_out", carried_out=carried_out, **others))

    def reset(self, operation: str, *, carried_out: bool = False, **others: Any) -> None:
        """Reset the connection, before or after carrying it out. ``others``: fields of :class:`Fault`."""
        self.add(Fault(operation, "reset", carried_out=carried_out, **others))

    def slow_hang_up(self, seconds: float, **others: Any) -> None:
        """Carry out the next hang-up later, in real seconds. ``others``: fields of :class:`Fault`."""
        self.add(Fault("hangup", "slow", seconds=seconds, **others))

    def dead_session(self, **others: Any) -> None:
        """Let *accept* say 200 to a call that then dies. ``others``: fields of :class:`Fault`."""
        self.add(Fault("accept", "dead_session", **others))

    def late_webhook(self, seconds: float, **others: Any) -> None:
        """Send the next webhook later. ``others``: fields of :class:`Fault`."""
        self.add(Fault("webhook", "late", seconds=seconds, **others))

    def duplicate_webhook(self, copies: int = 1, **others: Any) -> None:
        """Deliver the next webhook more than once. ``others``: fields of :class:`Fault`."""
        self.add(Fault("webhook", "duplicate", copies=copies, **others))

    def forged_webhook(self, **others: Any) -> None:
        """Sign the next webhook with a wrong secret. ``others``: fields of :class:`Fault`."""
        self.add(Fault("webhook", "forged", **others))

    def lost_webhook(self, **others: Any) -> None:
        """Never send the next webhook. ``others``: fields of :class:`Fault`."""
        self.add(Fault("webhook", "lost", **others))

    def drop_sideband(self, after_seconds: float = 0.0, **others: Any) -> None:
        """Break the next sideband off while its call goes on. ``others``: fields of :class:`Fault`."""
        self.add(Fault("sideband", "drop", seconds=after_seconds, **others))


class Faults(FaultControls):
    """
    The faults of a simulator in this process.

    :param lock: The simulator's lock.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set a fault; faults of one operation happen in the order in which they were set."""
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        """Take back all faults that have not happened yet."""
        with self._lock:
            self._pending.clear()

    @property
    def pending(self) -> Sequence[Fault]:
        """Faults that have not happened yet, with the times that are left."""
        with self._lock:
            return list(self._pending)

    def take(self, operation: str, number: str | None = None) -> Fault | None:
        """
        The fault that happens now, if any; it is used up by one time.

        :param operation: What is being done.
        :param number: Phone number of the person it is about, when known.
        """
        with self._lock:
            for place, fault in enumerate(self._pending):
                if fault.operation == operation and fault.number in (None, number):
                    if fault.times > 1:
                        self._pending[place] = replace(fault, times=fault.times - 1)
                    else:
                        del self._pending[place]
                    return fault
            return None
