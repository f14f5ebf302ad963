"""
Standing orders: what a line does with a call by itself, within milliseconds, before Airflow has heard of it. Pure.

An order says which calls it is for, and whether they are accepted (with a session) or declined. Of the orders that fit
a call the one with the highest priority answers it; of several such, the oldest. A fallback order answers only what
nobody has claimed for some seconds.

A call that an order has taken is claimed by ``order:NAME``, so that everybody can see who has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_openai_realtime.api.instants import instant_text, read_instant
from airflow_openai_realtime.api.sip import check_status_code
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.caller_fields import check_caller_fields, fill_in
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

ACCEPT = "accept"
REJECT = "reject"
Action = Literal["accept", "reject"]

MOST_ORDERS = 200
"""How many orders a line can have: all of them are looked at for every call."""

LONGEST_GREETING = 4000
HIGHEST_PRIORITY = 1_000_000
MOST_USES = 1_000_000_000
LONGEST_UNCLAIMED_SECONDS = 600.0

CLAIMANT_PREFIX = "order:"
ORDER_NAME = r"[A-Za-z0-9_.\-]{1,100}"


def check_order_name(name: object) -> str:
    """
    Check the name of an order.

    :param name: What a caller gave.
    :raises InvalidInput: It is not made of letters, digits and ``_ . -``, or longer than 100.
    """
    if not isinstance(name, str) or not re.fullmatch(ORDER_NAME, name) or name in (".", ".."):
        raise InvalidInput("name must be letters, digits, '_', '.' or '-', at most 100: support_hours", field="name")
    return name


def claimant_of_order(name: str) -> str:
    """
    Who claims the calls that an order answers: ``order:NAME``.

    :param name: Name of the order.
    """
    return CLAIMANT_PREFIX + name


def order_of_claimant(claimant: str | None) -> str | None:
    """
    The name of the order that has a call; ``None`` when it is nobody's, or a task's.

    :param claimant: Name of a claimant, or ``None``.
    """
    return claimant[len(CLAIMANT_PREFIX) :] if claimant is not None and claimant.startswith(CLAIMANT_PREFIX) else None


@dataclass(frozen=True)
class OrderAnswer:
    """
    What a call is accepted with. It may hold credentials of tools: it is kept in the store, and shown nowhere.

    :param session: The session configuration, of the shape of ``RealtimeSession``; empty when calls are declined.
    :param greeting: What the model is told to say first; ``None``: it waits until the caller speaks.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder; ``None``: they are sent as
        they are.
    """

    session: Mapping[str, Any] = field(default_factory=dict, repr=False)
    greeting: str | None = field(default=None, repr=False)
    caller_fields: Mapping[str, str] | None = None

    def parsed(self) -> RealtimeSession:
        """
        The session, checked.

        :raises InvalidSession: It is not one that this release knows.
        """
        from airflow_openai_realtime.api.session.realtime_session import parse_session  # builds pydantic models: slow

        return parse_session(self.session)

    def session_for(self, parsed: RealtimeSession, call: SwitchboardCall) -> RealtimeSession | Mapping[str, Any]:
        """
        The session for one call.

        :param parsed: What :meth:`parsed` returned.
        :param call: The incoming call; its fields are treated as hostile.
        """
        if self.caller_fields is None:
            return parsed
        return {**self.session, "instructions": fill_in(self.session["instructions"], self.caller_fields, call)}


@dataclass(frozen=True)
class OrderDraft:
    """
    An order as somebody wants it.

    :param name: Its name on the line; an order of this name is replaced.
    :param match: Which calls it is for.
    :param action: ``accept`` or ``reject``.
    :param answer: What calls are accepted with.
    :param max_duration_seconds: When an accepted call is ended at the latest; above 0, at most 3,600.
    :param status_code: SIP status that a declined call gets, 300 to 699.
    :param priority: Higher ones are asked first.
    :param uses: How many calls it answers; ``None``: any number.
    :param expires_at: Until when it answers calls; ``None``: until it is removed.
    :param unclaimed_after_seconds: Answers only calls that nobody has claimed for so long; ``None``: all, at once.
    :param edition: Whoever puts an order again with the same edition goes on counting its uses; with another one it
        has all its uses again.
    """

    name: str
    match: CallMatch
    action: Action
    edition: str
    answer: OrderAnswer = field(default_factory=OrderAnswer)
    max_duration_seconds: float | None = None
    status_code: int | None = None
    priority: int = 0
    uses: int | None = None
    expires_at: datetime | None = None
    unclaimed_after_seconds: float | None = None

    def check(self) -> OrderDraft:
        """
        Refuse what could not be carried out when a call comes.

        :returns: The same, with the session in the form in which it is kept.
        :raises InvalidInput: A field cannot be used. ``InvalidSession`` names all that is wrong with the session.
        """
        check_order_name(self.name)
        if self.action == REJECT:
            _check_reject(self)
            return self
        if self.status_code is not None:
            raise InvalidInput("status_code is for orders that decline calls; leave it out", field="status_code")
        if self.max_duration_seconds is None or not 0 < self.max_duration_seconds <= LONGEST_CALL_SECONDS:
            raise InvalidInput(
                f"max_duration_seconds must be above 0 and at most {LONGEST_CALL_SECONDS:g}",
                field="max_duration_seconds",
            )
        return self._with_checked_session()

    def _with_checked_session(self) -> OrderDraft:
        session = self.answer.parsed()
        fields_of_call = self.answer.caller_fields
        if fields_of_call is not None:
            if session.instructions is None:
                raise InvalidInput("caller_fields need instructions with placeholders", field="caller_fields")
            check_caller_fields(fields_of_call, session.instructions)
        plain = session.model_dump(mode="json", exclude_unset=True)
        return OrderDraft(**{**self.__dict__, "answer": OrderAnswer(plain, self.answer.greeting, fields_of_call)})


@dataclass(frozen=True)
class StandingOrder:
    """
    An order as it stands. What calls are accepted with is left out: it may hold credentials.

    :param name: Name of the order, unique on its line.
    :param action: Whether calls are accepted or declined.
    :param revision: Another text with every change of what the order says.
    :param created_at: When an order of this name was first made on the line; the older one of two goes first.
    :param updated_at: When the order was last changed, aware.
    :param match: Which calls it is for.
    :param max_duration_seconds: Limit of an accepted call, in seconds.
    :param status_code: SIP status of a declined call, 300 to 699.
    :param priority: Of several orders that fit a call, the one with the highest answers.
    :param uses: How many calls it was to answer; ``None``: any number.
    :param uses_left: How many of them are left.
    :param expires_at: From when on it answers no calls, aware; ``None``: it does not expire.
    :param unclaimed_after_seconds: How long a call must ring unclaimed before it answers, in seconds; ``None``: at
        once.
    """

    name: str
    action: Action
    revision: str
    created_at: datetime
    updated_at: datetime
    match: CallMatch = field(default_factory=CallMatch, repr=False)
    max_duration_seconds: float | None = None
    status_code: int | None = None
    priority: int = 0
    uses: int | None = None
    uses_left: int | None = None
    expires_at: datetime | None = None
    unclaimed_after_seconds: float | None = None

    def is_open(self, now: datetime) -> bool:
        """
        Whether it answers calls at all: it has uses left and has not expired.

        :param now: The time, aware.
        """
        return (self.expires_at is None or self.expires_at > now) and (self.uses_left is None or self.uses_left > 0)

    def is_due(self, call: SwitchboardCall, now: datetime) -> bool:
        """
        Whether the time has come to answer this call.

        :param call: A call that the order fits.
        :param now: The time, aware.
        """
        wait = self.unclaimed_after_seconds
        return wait is None or call.received_at + timedelta(seconds=wait) <= now

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        shown = {name: instant_text(value) if isinstance(value, datetime) else value for name, value in values.items()}
        return {**shown, "match": self.match.to_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> StandingOrder:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: What :meth:`to_dict` wrote.
        :raises InvalidInput: A required key is missing, or a value cannot be read.
        """
        known = {each.name for each in fields(cls)}
        given = {key: item for key, item in value.items() if key in known}
        instants = {key: read_instant(key, item) for key, item in given.items() if key.endswith("_at")}
        try:
            return cls(**{**given, **instants, "match": CallMatch.from_dict(given.get("match") or {})})
        except TypeError as error:
            raise InvalidInput(f"this is no standing order: {error}", field="order") from error


def choose(orders: Iterable[StandingOrder], call: SwitchboardCall, now: datetime) -> StandingOrder | None:
    """
    The order that answers a ringing call now, if there is one.

    :param orders: Those of the call's line.
    :param call: A call that rings and is nobody's.
    :param now: The time.
    """
    ready = (order for order in orders if order.is_open(now) and order.is_due(call, now))
    fitting = [order for order in ready if order.match.matches(call)]
    return min(fitting, key=lambda order: (-order.priority, order.created_at, order.name), default=None)


def _check_reject(draft: OrderDraft) -> None:
    for name in ("session", "greeting", "caller_fields"):
        if getattr(draft.answer, name):
            raise InvalidInput(f"{name} is for orders that accept calls; leave it or status_code out", field=name)
    if draft.max_duration_seconds is not None:
        raise InvalidInput("max_duration_seconds is for orders that accept calls", field="max_duration_seconds")
    if draft.status_code is None:
        raise InvalidInput("status_code is missing: 486 is busy, 603 decline", field="status_code")
    check_status_code(draft.status_code)
