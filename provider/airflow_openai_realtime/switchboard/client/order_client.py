"""What the clients of the switchboard can do with standing orders; mixed into both of them."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import StandingOrder, claimant_of_order
from airflow_openai_realtime.switchboard.client import order_requests as ask
from airflow_openai_realtime.switchboard.client.switchboard_requests import SwitchboardRequest


class OrderMethods(ABC):
    """Standing orders, for synchronous code."""

    @abstractmethod
    def _send(self, request: SwitchboardRequest) -> dict[str, Any]:
        """Send a request."""

    def put_order(
        self,
        name: str,
        *,
        match: CallMatch | None = None,
        session: Mapping[str, Any] | None = None,
        max_duration_seconds: float | None = None,
        greeting: str | None = None,
        caller_fields: Mapping[str, str] | None = None,
        status_code: int | None = None,
        priority: int = 0,
        uses: int | None = None,
        expires_at: datetime | None = None,
        expires_in_seconds: float | None = None,
        unclaimed_after_seconds: float | None = None,
        edition: str | None = None,
    ) -> StandingOrder:
        """
        Let the line accept calls by itself, or decline them; replaces the order of this name.

        The session rests in the switchboard's store, with the credentials of tools in it, until the order is removed.
        No answer and no log shows it.

        :param name: Letters, digits and ``_ . -``, at most 100.
        :param match: Which calls it is for; ``None``: all that carry no correlation id.
        :param session: What calls are accepted with, of the shape of ``RealtimeSession``; ``None``: OpenAI's defaults.
        :param max_duration_seconds: When an accepted call is ended at the latest, in seconds, above 0, at most 3,600;
            ``None``: the switchboard's default.
        :param greeting: What the model is told to say first; ``None``: it waits until the caller speaks.
        :param caller_fields: Fields of the call to put into the instructions, by placeholder.
        :param status_code: Decline calls with this SIP status, 300 to 699, instead of accepting them.
        :param priority: Of several orders that fit a call the highest answers it; of several such, the oldest.
        :param uses: How many calls it answers; ``None``: any number. A use counts when the order takes a call, also
            when the caller is gone by then.
        :param expires_at: Until when it answers calls, aware.
        :param expires_in_seconds: The same from now on, by the switchboard's clock; above 0.
        :param unclaimed_after_seconds: Answer only calls that nobody has claimed for so long, above 0, at most 600.
        :param edition: When an order is put again with the same edition, the uses that were made count on. Left out:
            made up anew for each call of this method.
        :raises SwitchboardRefused: A value cannot be used; the message names it.

        Retries: up to 5 within 5 s, with one edition.
        """
        request = ask.put_order(
            name,
            match=match,
            session=session,
            max_duration_seconds=max_duration_seconds,
            greeting=greeting,
            caller_fields=caller_fields,
            status_code=status_code,
            priority=priority,
            uses=uses,
            expires_at=expires_at,
            expires_in_seconds=expires_in_seconds,
            unclaimed_after_seconds=unclaimed_after_seconds,
            edition=edition or uuid.uuid4().hex,
        )
        return ask.as_order(self._send(request))

    def order(self, name: str) -> StandingOrder:
        """
        One order of the line, without what it accepts calls with.

        :raises UnknownCall: The line has no such order.
        """
        return ask.as_order(self._send(ask.one_order(name)))

    def orders(self) -> list[StandingOrder]:
        """All orders of the line by name, also those that have expired or are used up."""
        return ask.as_orders(self._send(ask.all_orders()))

    def remove_order(self, name: str) -> bool:
        """
        Remove an order. Calls that it has answered go on.

        :returns: Whether it was there.
        """
        return bool(self._send(ask.remove_order(name)).get("removed"))

    def take_over(self, call_id: str, claimant: str, order: str) -> SwitchboardCall:
        """
        Take over a live call from the standing order that has accepted it. Only one claimant gets it; the same one
        asking again gets it again. For the caller nothing changes.

        :param call_id: The call.
        :param claimant: A stable name, for example of the task instance.
        :param order: Name of the order.
        :raises MoveRefused: ``not_accepted``: it is not accepted yet; ``claimed_by_other``: somebody else has it;
            ``ended``: it is over.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.take_over(call_id, claimant, claimant_of_order(order))))


class AsyncOrderMethods(ABC):
    """Standing orders, for asynchronous code; :class:`OrderMethods` describes parameters and methods."""

    @abstractmethod
    async def _send(self, request: SwitchboardRequest) -> dict[str, Any]:
        """Send a request."""

    async def put_order(
        self,
        name: str,
        *,
        match: CallMatch | None = None,
        session: Mapping[str, Any] | None = None,
        max_duration_seconds: float | None = None,
        greeting: str | None = None,
        caller_fields: Mapping[str, str] | None = None,
        status_code: int | None = None,
        priority: int = 0,
        uses: int | None = None,
        expires_at: datetime | None = None,
        expires_in_seconds: float | None = None,
        unclaimed_after_seconds: float | None = None,
        edition: str | None = None,
    ) -> StandingOrder:
        """Let the line answer calls by itself; see :meth:`OrderMethods.put_order`."""
        request = ask.put_order(
            name,
            match=match,
            session=session,
            max_duration_seconds=max_duration_seconds,
            greeting=greeting,
            caller_fields=caller_fields,
            status_code=status_code,
            priority=priority,
            uses=uses,
            expires_at=expires_at,
            expires_in_seconds=expires_in_seconds,
            unclaimed_after_seconds=unclaimed_after_seconds,
            edition=edition or uuid.uuid4().hex,
        )
        return ask.as_order(await self._send(request))

    async def order(self, name: str) -> StandingOrder:
        """One order of the line; see :meth:`OrderMethods.order`."""
        return ask.as_order(await self._send(ask.one_order(name)))

    async def orders(self) -> list[StandingOrder]:
        """All orders of the line; see :meth:`OrderMethods.orders`."""
        return ask.as_orders(await self._send(ask.all_orders()))

    async def remove_order(self, name: str) -> bool:
        """Remove an order; see :meth:`OrderMethods.remove_order`."""
        return bool((await self._send(ask.remove_order(name))).get("removed"))

    async def take_over(self, call_id: str, claimant: str, order: str) -> SwitchboardCall:
        """Take over a live call from a standing order; see :meth:`OrderMethods.take_over`."""
        return ask.as_call(await self._send(ask.take_over(call_id, claimant, claimant_of_order(order))))
