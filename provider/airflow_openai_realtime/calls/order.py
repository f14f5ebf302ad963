"""
Standing orders: how the switchboard answers a call by itself, within milliseconds, without waiting for Airflow. Pure.

An order names the calls that it answers, and accepts them (with a session) or declines them. Of the orders that match
a call, the one with the highest priority answers it; of several such, the oldest. A fallback order answers only calls
that have had no owner for some seconds.

The owner of a call that an order answers is ``order:NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_openai_realtime.api.sip import check_status_code
from airflow_openai_realtime.calls.call import SwitchboardCall, instant_text, read_instant
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
"""Most orders of a line: each incoming call is matched against all of them."""

LONGEST_GREETING = 4000
HIGHEST_PRIORITY = 1_000_000
MOST_USES = 1_000_000_000
LONGEST_UNCLAIMED_SECONDS = 600.0

OWNER_PREFIX = "order:"
ORDER_NAME = r"[A-Za-z0-9_.\-]{1,100}"


def check_order_name(name: object) -> str:
    """
    Check the name of an order.

    :param name: Valid: 1 to 100 letters, digits, ``_ . -``; not ``.`` or ``..``.
    :raises InvalidInput: It is not valid.
    """
    if not isinstance(name, str) or not re.fullmatch(ORDER_NAME, name) or name in (".", ".."):
        raise InvalidInput("name must be letters, digits, '_', '.' or '-', at most 100: support_hours", field="name")
    return name


def owner_of_order(name: str) -> str:
    """
    Return the owner name of calls that an order answers: ``order:NAME``.

    :param name: Name of the order.
    """
    return OWNER_PREFIX + name


def order_of_owner(owner: str | None) -> str | None:
    """
    Return the name of the order that owns a call.

    :param owner: Name of the call's owner; ``None``: it has none.
    :return: ``None`` when the call has no owner, or a task owns it.
    """
    return owner[len(OWNER_PREFIX) :] if owner is not None and owner.startswith(OWNER_PREFIX) else None


@dataclass(frozen=True)
class OrderAnswer:
    """
    What an order accepts calls with. It may hold credentials of tools, so it is stored but never shown.

    :param session: The session configuration in the form of ``RealtimeSession``; empty for orders that decline.
    :param greeting: Instruction for what the model says first; ``None``: the model waits for the caller to speak.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder; ``None``: the instructions
        are sent unchanged.
    """

    session: Mapping[str, Any] = field(default_factory=dict, repr=False)
    greeting: str | None = field(default=None, repr=False)
    caller_fields: Mapping[str, str] | None = None

    def parsed(self) -> RealtimeSession:
        """
        Return the session, validated.

        :raises InvalidSession: The session is not valid in this release.
        """
        from airflow_openai_realtime.api.session.realtime_session import parse_session  # builds pydantic models: slow

        return parse_session(self.session)

    def session_for(self, parsed: RealtimeSession, call: SwitchboardCall) -> RealtimeSession | Mapping[str, Any]:
        """
        Return the session for one call.

        :param parsed: Session that :meth:`parsed` returned.
        :param call: The incoming call; its fields are treated as hostile.
        """
        if self.caller_fields is None:
            return parsed
        return {**self.session, "instructions": fill_in(self.session["instructions"], self.caller_fields, call)}


@dataclass(frozen=True)
class OrderDraft:
    """
    An order as a client requests it.

    :param name: Its name on the line; it replaces an order of the same name.
    :param match: The calls that it answers.
    :param action: ``accept`` or ``reject``.
    :param answer: What calls are accepted with.
    :param max_duration_seconds: Longest accepted call in seconds, above 0, at most 3,600.
    :param status_code: SIP status for declined calls, 300 to 699.
    :param priority: Orders with a higher priority go first; -1,000,000 to 1,000,000.
    :param uses: How many calls it answers, 1 to 1,000,000,000; ``None``: any number.
    :param expires_at: When it stops answering calls, aware; ``None``: when it is removed.
    :param unclaimed_after_seconds: Answers only calls that have had no owner for this many seconds, above 0, at most
        600; ``None``: all calls, at once.
    :param edition: An order replaced by one of the same edition keeps its count of uses; with another edition the
        count starts again.
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
        Reject an order that would fail when a call comes.

        :returns: The order, with the session in the form in which it is stored.
        :raises InvalidInput: A field is invalid. ``InvalidSession`` lists all problems of the session.
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
    An order as stored. Its answer is left out, since it may hold credentials.

    :param name: Its name on the line.
    :param action: ``accept`` or ``reject``.
    :param revision: Text that differs after every change of the order.
    :param created_at: When an order of this name was first put on the line, aware; the older of two orders goes first.
    :param updated_at: When it was last put, aware.
    :param match: The calls that it answers.
    :param max_duration_seconds: Longest accepted call in seconds, above 0, at most 3,600.
    :param status_code: SIP status for declined calls, 300 to 699.
    :param priority: Orders with a higher priority go first.
    :param uses: How many calls it was to answer; ``None``: any number.
    :param uses_left: How many of them are left; ``None``: any number.
    :param expires_at: When it stops answering calls, aware; ``None``: when it is removed.
    :param unclaimed_after_seconds: Answers only calls that have had no owner for this many seconds; ``None``: all
        calls, at once.
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
        Tell whether it still answers calls: it has uses left and has not expired.

        :param now: Current time, aware.
        """
        return (self.expires_at is None or self.expires_at > now) and (self.uses_left is None or self.uses_left > 0)

    def is_due(self, call: SwitchboardCall, now: datetime) -> bool:
        """
        Tell whether it may answer a call now, which a fallback order may only after its delay.

        :param call: The incoming call.
        :param now: Current time, aware.
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

        :param value: JSON object.
        :raises InvalidInput: A required key is missing, or a value cannot be read.
        """
        known = {each.name for each in fields(cls)}
        given = {key: item for key, item in value.items() if key in known}
        instants = {key: read_instant(key, item) for key, item in given.items() if key.endswith("_at")}
        try:
            return cls(**{**given, **instants, "match": CallMatch.from_dict(given.get("match") or {})})
        except TypeError as error:
            raise InvalidInput(f"not a standing order: {error}", field="order") from error


def choose(orders: Iterable[StandingOrder], call: SwitchboardCall, now: datetime) -> StandingOrder | None:
    """
    Choose the order that answers a ringing call now.

    :param orders: Orders of the call's line.
    :param call: A ringing call without an owner.
    :param now: Current time, aware.
    :return: ``None`` when no order answers it now.
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
