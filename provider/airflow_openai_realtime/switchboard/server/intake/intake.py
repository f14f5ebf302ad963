"""
Store deliveries: all waiting deliveries are committed together, and only then is each of them answered.

One thread writes. While it commits, new deliveries collect for the next transaction, so a burst costs few commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import NewCall
from airflow_openai_realtime.switchboard.server.store.order_taking import Stored
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)


class IntakeWriter:
    """
    Takes calls and says whether they were new, once they are committed.

    :param store: Stores calls and commits, and says what became of them; called in the writing thread.
    :param settings: How many may wait, how many go together, and for how long.
    :param on_new: Called with the calls that were new and what became of them, right after the commit, in the event
        loop.
    """

    def __init__(
        self,
        store: Callable[[Sequence[NewCall]], Stored],
        settings: SwitchboardSettings,
        on_new: Callable[[Sequence[NewCall], Stored], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._on_new = on_new
        self._waiting: deque[tuple[NewCall, asyncio.Future[bool]]] = deque()
        self._thread = Executor(1, "switchboard-intake")
        self._writer: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many deliveries wait for the next transaction."""
        return len(self._waiting)

    async def take(self, call: NewCall) -> bool:
        """
        Store a call and wait for the commit.

        :param call: The call to store.
        :returns: Whether it was new.
        :raises StoreUnavailable: It is not known to be stored: too many wait, or the store does not answer in time.
        """
        if len(self._waiting) >= self._settings.intake_queue_limit:
            raise StoreUnavailable("too many deliveries wait for the store", call_id=call.call_id)
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((call, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._write_all())
        # A timer of its own: wait_for makes a task for each delivery.
        timer = loop.call_later(self._settings.intake_timeout_seconds, _give_up, call, stored)
        try:
            return await stored
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Write what still waits, and stop."""
        if self._writer is not None:
            await asyncio.wait([self._writer])
        self._thread.close()

    async def _write_all(self) -> None:
        while self._waiting:
            size = min(len(self._waiting), self._settings.intake_batch_limit)
            batch = [self._waiting.popleft() for _ in range(size)]
            await self._write([item for item in batch if not item[1].done()])

    async def _write(self, batch: list[tuple[NewCall, asyncio.Future[bool]]]) -> None:
        if not batch:
            return
        try:
            stored = await self._thread.run(self._store, [call for call, _ in batch])
        except StoreUnavailable as error:
            log.error(logs.line("intake.store_unavailable", deliveries=len(batch), error=error))
            _fail(batch, error)
        except Exception as error:
            # One delivery that the database cannot take must not cost the others theirs.
            if len(batch) > 1:
                for item in batch:
                    await self._write([item])
            else:
                log.exception(logs.line("intake.failed", call_id=batch[0][0].call_id))
                _fail(batch, StoreUnavailable(f"the store cannot take the call ({type(error).__name__})"))
        else:
            self._answer(batch, stored)

    def _answer(self, batch: list[tuple[NewCall, asyncio.Future[bool]]], stored: Stored) -> None:
        new: dict[tuple[str, str], NewCall] = {}
        for call, answered in batch:
            key = (call.line, call.call_id)
            is_new = key in stored.added and key not in new  # the same call twice in one batch is new once
            if is_new:
                new[key] = call
            if not answered.done():
                answered.set_result(is_new)
        if new:
            self._on_new(list(new.values()), stored)


def _give_up(call: NewCall, stored: asyncio.Future[bool]) -> None:
    _fail([(call, stored)], StoreUnavailable("the store does not answer in time", call_id=call.call_id))


def _fail(batch: list[tuple[NewCall, asyncio.Future[bool]]], error: StoreUnavailable) -> None:
    for _, stored in batch:
        if not stored.done():
            stored.set_exception(error)
