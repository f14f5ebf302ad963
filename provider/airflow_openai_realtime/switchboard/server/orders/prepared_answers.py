"""What standing orders accept calls with, read and checked before a phone rings."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_openai_realtime.calls.order import ACCEPT, OrderAnswer, StandingOrder
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedAnswer:
    """
    An answer, ready to be sent.

    :param answer: As it was put.
    :param session: Its session, checked.
    """

    answer: OrderAnswer = field(repr=False)
    session: RealtimeSession = field(repr=False)


class PreparedAnswers:
    """
    The answers of all open orders, by the revision of the order.

    :param threads: To read and check in: the first check loads modules for hundreds of milliseconds.
    """

    def __init__(self, store: Store, threads: Executor) -> None:
        self._store = store
        self._threads = threads
        self._prepared: Mapping[str, PreparedAnswer] = {}

    @property
    def known(self) -> Mapping[str, PreparedAnswer]:
        """What is known here now, by revision; this mapping does not change any more."""
        return self._prepared

    async def add(self, revision: str, answer: OrderAnswer) -> PreparedAnswer:
        """
        Check an answer, and know it from now on.

        :raises InvalidSession: It is not one that this release knows.
        """
        prepared = await self._threads.run(_prepared, answer)
        self._prepared = {**self._prepared, revision: prepared}
        return prepared

    async def prepare(self, orders: dict[str, list[StandingOrder]]) -> None:
        """
        Have the answers of these orders ready, and forget all others.

        :param orders: By line.
        :raises StoreUnavailable: The store does not answer.
        """
        for line, of_line in orders.items():
            for order in of_line:
                if order.action == ACCEPT and order.revision not in self._prepared:
                    await self._prepare(line, order)
        self._forget_all_but({order.revision for of_line in orders.values() for order in of_line})

    async def _prepare(self, line: str, order: StandingOrder) -> None:
        try:
            found = await self._threads.run(self._store.orders.answer, line, order.name)
            if found is not None and found[0] == order.revision:  # else it was removed or replaced meanwhile
                await self.add(order.revision, found[1])
        except InvalidInput as error:
            log.error(logs.line("order.unusable", line=line, order=order.name, field=error.field))

    def _forget_all_but(self, revisions: Collection[str]) -> None:
        self._prepared = {key: value for key, value in self._prepared.items() if key in revisions}


def _prepared(answer: OrderAnswer) -> PreparedAnswer:
    if answer.greeting is not None:
        importlib.import_module("websockets.asyncio.client")  # else it is loaded while somebody waits
    return PreparedAnswer(answer, answer.parsed())
