"""The calls of a line as one stream for all watchers of a triggerer; needs Airflow 3.3."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_openai_realtime.inbound.feed import wait_at_most
from airflow_openai_realtime.inbound.notifier import Notifier
from airflow_openai_realtime.triggers.ringing import ring_for_ever

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.call import SwitchboardCall

#: Rings that may be under way, not stored by Airflow yet. A trigger whose queue holds more than 1,024 is failed.
MOST_UNDER_WAY = 500
#: How long to hold back when as many are, at most, in seconds.
LONGEST_HOLD_SECONDS = 5.0

log = logging.getLogger(__name__)


class RingingStream(SharedStreamProducer):
    """
    Yields the calls to fire for; fires again soon when Airflow did not store an event.

    There is no broker to acknowledge: the claim ends the events of a call, and until then the stream repeats them.

    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
    :param ring_again_seconds: Pause between two rings for one call, in seconds.
    :param monotonic: Seconds that only grow; for tests.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """

    def __init__(
        self,
        openai_realtime_conn_id: str,
        ring_again_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conn_id = openai_realtime_conn_id
        self._notifier = Notifier(ring_again_seconds)
        self._monotonic = monotonic
        self._under_way = 0
        self._advanced = asyncio.Event()

    async def open_stream(self) -> AsyncIterator[tuple[SwitchboardCall, str]]:
        """Yield each call to ring for, with its id for :meth:`advance`."""
        async with aclosing(ring_for_ever(self._conn_id, self._notifier, _report)) as calls:
            async for call in calls:
                await self._hold_back()
                self._under_way += 1
                yield call, call.call_id

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Note which rings Airflow has dealt with; those that went wrong are repeated soon.

        :param batch: Rings for one call, with how many watchers took them, and how many failed to.
        """
        self._under_way -= len(batch)
        self._advanced.set()
        for item in batch:
            if not item.outcome.is_clean:
                self._notifier.ring_soon(item.broker_payload, self._monotonic())

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """
        Let no call wait for another one: each is a lane of its own.

        :param broker_payload: Id of the call.
        """
        lane: str = broker_payload
        return lane

    async def _hold_back(self) -> None:
        if self._under_way >= MOST_UNDER_WAY:
            # At most for a while: when a watcher hangs, Airflow fails it in time, and the others shall hear of calls.
            self._advanced.clear()
            await wait_at_most(self._advanced, LONGEST_HOLD_SECONDS)


def _report(line: str) -> None:
    log.warning("%s", line)
