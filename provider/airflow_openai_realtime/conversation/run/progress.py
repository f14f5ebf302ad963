"""
Save the progress of all conversations of a process in one request, which is also the process's sign of life.

The switchboard listens to a call itself while the call has no live owner. Each process therefore sends it a request
twice a second, with the new entries of its conversations. A process that leaves calls behind says so, and the
switchboard listens to them at once.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from airflow_openai_realtime.api.network import SharedResources
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.saved_conversation import Conversation, Progress
from airflow_openai_realtime.calls.timeline.entries import MOST_ENTRIES_AT_ONCE, TimelineEntry
from airflow_openai_realtime.conversation.run.ports import wait_for_any
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    OpenAIRealtimeError,
    SwitchboardRefused,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    append_entries,
    finish_conversation,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.progress_requests import Saved, save_progress
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How often a process shows that it is there, in seconds; the switchboard misses it after two.
BEAT_SECONDS = 0.5
#: How long progress waits for that of other conversations, in seconds.
LINGER_SECONDS = 0.02
#: How long one request may take, in seconds. All conversations of the process wait for it; what was saved is not known
#: then, and is saved again.
SEND_SECONDS = 2.0
#: How long a process that leaves calls behind may take to say so, in seconds.
LEAVE_SECONDS = 1.0
#: How long an older switchboard, which knows nothing of processes, is not asked again, in seconds.
OLD_SECONDS = 60.0


@dataclass(frozen=True)
class _Waiting:
    """Progress of one conversation that is to be sent, and who waits for what becomes of it."""

    progress: Progress
    saved: asyncio.Future[frozenset[str]]

    def settle(self, answer: frozenset[str] | BaseException) -> None:
        if self.saved.done():
            return
        if isinstance(answer, BaseException):
            self.saved.set_exception(answer)
        else:
            self.saved.set_result(answer)


class ProgressSender:
    """
    Saves the progress of all conversations that one process holds on a line. While one request is under way, the next
    ones gather.

    :param switchboard: Client of the line at its switchboard; its creator closes it.
    :param process: Name of the process, unique; made up when left out.
    :param sleep: Waits; for tests.
    :param monotonic: Seconds on a clock that never jumps; for tests.
    """

    def __init__(
        self,
        switchboard: SwitchboardClient,
        *,
        process: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process = process or uuid.uuid4().hex
        self._switchboard = switchboard
        self._sleep = sleep
        self._monotonic = monotonic
        self._held: dict[str, int] = {}
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._is_closing = False
        self._is_old_until = float("-inf")

    async def open(self, call_id: str, holder: str) -> Conversation:
        """
        Become the holder of a conversation; see ``SwitchboardClient.open_conversation``.

        :param call_id: OpenAI's id of the call.
        :param holder: Id of the holder.
        """
        process = None if self._is_old else self.process
        opened = await self._switchboard.asend(open_conversation(call_id, holder, process))
        if not opened.is_finished:
            self._held[call_id] = opened.generation
            self._start()
            if len(self._held) == 1:
                self._wake.set()
        return opened

    async def append(self, call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> frozenset[str]:
        """
        Add to a timeline, with what others have to save; see ``SwitchboardClient.append_entries``.

        :param call_id: OpenAI's id of the call.
        :param generation: Number of the holder, counted from 1.
        :param entries: New entries.
        """
        if not entries:
            return frozenset()
        return await self._saved(Progress(call_id, generation, tuple(entries)))

    async def give_up(self, call_id: str, generation: int) -> None:
        """
        Give up a conversation that goes on: the switchboard listens at once.

        :param call_id: The call.
        :param generation: What opening it gave.
        :raises OpenAIRealtimeError: Not delivered. The switchboard listens when this process leaves, or falls silent.
        """
        await self._saved(Progress(call_id, generation, given_up=True))
        self._let_go(call_id, generation)

    async def finish(
        self,
        call_id: str,
        generation: int,
        outcome: str,
        result: Mapping[str, Any],
        entries: Sequence[TimelineEntry],
    ) -> Conversation:
        """
        Write how a conversation ended; see ``SwitchboardClient.finish_conversation``.

        :param call_id: OpenAI's id of the call.
        :param generation: Number of the holder, counted from 1.
        :param outcome: How the call ended.
        :param result: What the task returns.
        :param entries: The last entries.
        """
        try:
            finished = await self._switchboard.asend(finish_conversation(call_id, generation, outcome, result, entries))
        except ConversationSuperseded:
            self._let_go(call_id, generation)
            raise
        self._let_go(call_id, generation)
        return finished

    async def close(self) -> None:
        """Stop; when conversations are left that go on, tell the switchboard, which then listens at once."""
        self._is_closing = True
        if self._sending is not None:
            # A sign of life that is under way must not come after the goodbye.
            self._wake.set()
            await asyncio.wait([self._sending], timeout=LEAVE_SECONDS)
            self._sending.cancel()
            await asyncio.wait([self._sending])
        if self._held and not self._is_old:
            leaving = self._switchboard.asend(save_progress(self.process, [], leaving=True))
            # Whatever comes of it: without it the process is missed a little later.
            with suppress(OpenAIRealtimeError, asyncio.TimeoutError):
                await asyncio.wait_for(leaving, LEAVE_SECONDS)

    @property
    def _is_old(self) -> bool:
        return self._monotonic() < self._is_old_until

    async def _saved(self, progress: Progress) -> frozenset[str]:
        waiting = _Waiting(progress, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._start()
        self._wake.set()
        try:
            return await waiting.saved
        except ConversationSuperseded:
            self._let_go(progress.call_id, progress.generation)
            raise

    def _let_go(self, call_id: str, generation: int) -> None:
        if self._held.get(call_id) == generation:
            del self._held[call_id]

    def _start(self) -> None:
        # A process that ends may cancel it before those whose last words it is to send.
        if self._sending is None or (self._sending.done() and not self._is_closing):
            self._sending = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while not self._is_closing:
            await self._until_due()
            if self._waiting:
                await self._sleep(LINGER_SECONDS)
            batch = self._take()
            if self._is_old:
                await self._send_each(batch)
            elif batch or (self._held and not self._is_closing):
                await self._send(batch)

    async def _until_due(self) -> None:
        if not self._waiting:
            woken = asyncio.ensure_future(self._wake.wait())
            try:
                if self._held:
                    await wait_for_any({woken}, BEAT_SECONDS, self._sleep)
                else:
                    await woken
            finally:
                woken.cancel()
        self._wake.clear()

    def _take(self) -> list[_Waiting]:
        """Take what fits in one request; each call at most once, in the order in which it came."""
        batch: dict[str, _Waiting] = {}
        count = 0
        while self._waiting:
            first = self._waiting[0]
            count += len(first.progress.entries)
            if batch and (count > MOST_ENTRIES_AT_ONCE or first.progress.call_id in batch):
                break
            self._waiting.popleft()
            if not first.saved.done():
                batch[first.progress.call_id] = first
        return list(batch.values())

    async def _send(self, batch: list[_Waiting]) -> None:
        try:
            answers = await self._in_time(
                self._switchboard.asend(save_progress(self.process, [each.progress for each in batch]))
            )
            for each, answer in zip(batch, answers, strict=True):
                each.settle(answer)
        except SwitchboardRefused as error:
            if error.status in (404, 405):
                self._is_old_until = self._monotonic() + OLD_SECONDS
            # What is wrong with one conversation is not to hinder the others.
            await self._send_each(batch)
        except Exception as error:
            # Also for unexpected errors: the waiters get the error, and the next request is sent.
            for each in batch:
                each.settle(error)

    async def _in_time(self, request: Coroutine[Any, Any, list[Saved]]) -> list[Saved]:
        """
        Send a request that others wait for.

        :raises SwitchboardUnreachable: There was no answer in time.
        """
        sending = asyncio.ensure_future(request)
        try:
            await wait_for_any({sending}, SEND_SECONDS, self._sleep)
            if not sending.done():
                raise SwitchboardUnreachable(f"the switchboard did not answer within {SEND_SECONDS:g} s")
            return sending.result()
        finally:
            sending.cancel()

    async def _send_each(self, batch: list[_Waiting]) -> None:
        answers = await asyncio.gather(
            *(
                self._switchboard.asend(
                    append_entries(each.progress.call_id, each.progress.generation, each.progress.entries)
                )
                for each in batch
            ),
            return_exceptions=True,
        )
        for each, answer in zip(batch, answers, strict=True):
            each.settle(answer)


_SENDERS: SharedResources[ProgressSender] = SharedResources(ProgressSender.close)


@asynccontextmanager
async def shared_progress(address: SwitchboardAddress, switchboard: SwitchboardClient) -> AsyncIterator[ProgressSender]:
    """
    Use what saves the progress of all conversations of a line in this event loop.

    :param address: The line at its switchboard.
    :param switchboard: The shared client of it; every user keeps it open for longer than this.
    """
    async with _SENDERS.use(address, lambda: ProgressSender(switchboard)) as sender:
        yield sender
