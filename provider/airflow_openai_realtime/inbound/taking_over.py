"""Taking over a live call that a standing order has answered, so that a DAG looks after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import owner_of_order
from airflow_openai_realtime.exceptions import ClaimLost, UnknownCall
from airflow_openai_realtime.inbound.feed import newest_own
from airflow_openai_realtime.inbound.waiting import Claiming, Sleep, taken_up
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls, take_over_call


@dataclass(frozen=True)
class AnsweredMatch:
    """
    What is looked for: a call that a standing order has accepted, and that is still the order's.

    :param order: Name of the order.
    :param match: What else must hold.
    """

    order: str
    match: CallMatch
    takes_answered: ClassVar[bool] = True

    def matches(self, call: SwitchboardCall, /) -> bool:
        """
        Tell whether this call is wanted.

        :param call: A call that is accepted.
        """
        is_the_orders = call.state == CallState.ACCEPTED and call.claimed_by == owner_of_order(self.order)
        return is_the_orders and self.match.matches(call)

    def meets(self, call: SwitchboardCall, /) -> bool:
        """
        Tell whether a call that was taken over before is the one that is asked for.

        :param call: A call that the owner has.
        """
        return self.match.matches(call)


class TakingOver(Claiming):
    """
    Takes calls over, as others are claimed. For the caller nothing changes.

    :param client: Client of the line at its switchboard.
    :param owner: Stable name of who waits.
    :param order: Name of the order.
    :param sleep: Waits between attempts; for tests.
    """

    status: str = CallState.ACCEPTED

    def __init__(self, client: SwitchboardClient, owner: str, order: str, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(client, owner, sleep)
        self._order = order

    async def _ask(self, call_id: str) -> SwitchboardCall:
        return await self._client.asend(take_over_call(call_id, self._owner, self._order))


def take_over_now(client: SwitchboardClient, match: AnsweredMatch, owner: str) -> SwitchboardCall | None:
    """
    Look once: the call the owner already has, else the oldest one that the order has answered and that matches.

    :param client: Client of the line at its switchboard.
    :param match: What is looked for.
    :param owner: Stable name of who looks.
    :return: The call, or ``None`` when there is none.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    own = newest_own(client.send(list_calls(claimed_by=owner)).calls, match)
    own = own and taken_up(client, own, owner)
    if own is not None:
        return own
    for call in client.send(list_calls(state=CallState.ACCEPTED, claimed_by=owner_of_order(match.order))).calls:
        if match.matches(call):
            try:
                return client.send(take_over_call(call.call_id, owner, match.order))
            except (ClaimLost, UnknownCall):
                continue
    return None
