"""
The timeline of a conversation at the switchboard: saved in the background, so that the call never waits for it.

New entries are saved every second, and those that must not be lost at once. While the switchboard is unreachable,
entries are kept in memory up to a limit, and the call goes on. What the switchboard heard while no owner listened is
read once it has written all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import MOST_ENTRIES_AT_ONCE, TimelineEntry
from airflow_openai_realtime.conversation.run.ports import CallPorts, wait_for_any
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    OpenAIRealtimeError,
    SwitchboardError,
    SwitchboardUnreachable,
)

#: Seconds between regular saves.
SAVE_SECONDS = 1.0
#: Pauses while the switchboard is unreachable, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
#: Seconds after attaching at which the timeline is read again: the switchboard then has written what it heard.
WRITTEN_SECONDS = 3.0
#: Most entries that wait for the switchboard; beyond them, the oldest entries of speech are dropped.
MOST_WAITING = 2_000


class Saving:
    """
    Saves one conversation.

    :param ports: The switchboard and the clock.
    :param call_id: OpenAI's id of the call.
    :param on_opened: Called with the conversation once it is open.
    """

    def __init__(self, ports: CallPorts, call_id: str, on_opened: Callable[[Conversation], None]) -> None:
        self._ports = ports
        self._call_id = call_id
        self._on_opened = on_opened
        self._waiting: deque[TimelineEntry] = deque()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._saved: dict[str, asyncio.Future[bool]] = {}
        self._known: frozenset[str] = frozenset()
        self._told: set[str] = set()
        self.conversation: Conversation | None = None

    def add(self, entry: TimelineEntry, *, at_once: bool) -> None:
        """
        Queue an entry.

        :param entry: The entry.
        :param at_once: Whether to save it now instead of with the next regular save.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._drop_one()
        self._waiting.append(entry)
        self._wake.set()
        if at_once:
            self._saved.setdefault(entry.key, asyncio.get_running_loop().create_future())
            self._hurry.set()

    async def is_saved(self, key: str, seconds: float) -> bool:
        """
        Wait until an entry is saved.

        :param key: Key of an entry that was added with ``at_once``.
        :param seconds: Longest wait in seconds.
        :return: Whether we saved it; False if it is not saved yet, or if an earlier owner had saved it.
        """
        saved = self._saved.get(key)
        if saved is None:
            return key not in self._known
        await wait_for_any({saved}, seconds, self._ports.sleep)
        return saved.done() and saved.result()

    async def run(self) -> None:
        """
        Open the conversation and save entries until cancelled.

        :raises ConversationSuperseded: Another owner runs it now, or it is finished.

        Retries: with pauses of 0.5 to 10 s, without a limit, while the switchboard is unreachable.
        """
        await self._open()
        while True:
            await self._wake.wait()
            await self._until_due()
            await self._save_with_retries()

    async def leave(self) -> None:
        """Save queued entries and give the conversation up, without a retry. An unreachable switchboard is logged."""
        try:
            await self._save()
            if self.conversation is not None:
                await self._ports.give_up(self._call_id, self.conversation.generation)
        except ConversationSuperseded:
            return  # Another owner already has it.
        except OpenAIRealtimeError as error:
            self._tell(error)

    async def finish(self, result: CallResult, until: datetime) -> CallResult:
        """
        Write the result.

        :param result: The result.
        :param until: When to stop retrying, aware.
        :return: The stored result, which is the first one written for the call; ``result`` if none could be written.
        :raises ConversationSuperseded: Another owner runs the conversation now.

        Retries: with pauses of 0.5 to 10 s while the switchboard is unreachable, until ``until``.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._finish_once(result)
            except ConversationSuperseded:
                raise
            except (SwitchboardError, InvalidInput) as error:
                self._tell(error)
                is_hopeless = not isinstance(error, SwitchboardUnreachable)
                if is_hopeless or self._ports.now() >= until:
                    self._ports.report(f"The result of call {self._call_id} could not be saved: {error}")
                    return result
            await self._ports.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _finish_once(self, result: CallResult) -> CallResult:
        opened = self.conversation
        if opened is None:
            opened = await self._ports.open(self._call_id)
            self._opened(opened)
        entries = list(self._waiting)
        kept = await self._ports.finish(self._call_id, opened.generation, result.outcome, result.to_dict(), entries)
        self._waiting.clear()
        return CallResult.from_dict(kept.result) if kept.result is not None else result

    async def _open(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while self.conversation is None:
            try:
                self._opened(await self._ports.open(self._call_id))
            except ConversationSuperseded:
                raise
            except SwitchboardError as error:
                self._tell(error)
                await self._ports.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _opened(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._known = frozenset(entry.key for entry in conversation.entries)
        for entry in [each for each in self._waiting if each.key in self._known]:
            # An earlier owner has saved the same entry.
            self._waiting.remove(entry)
            self._settle(entry.key, False)
        self._on_opened(conversation)
        if conversation.is_finished:
            raise ConversationSuperseded(
                f"the conversation of call {self._call_id} is finished", code="finished", call_id=self._call_id
            )

    async def _until_due(self) -> None:
        if not self._hurry.is_set():
            hurry = asyncio.ensure_future(self._hurry.wait())
            try:
                await wait_for_any({hurry}, SAVE_SECONDS, self._ports.sleep)
            finally:
                hurry.cancel()
        self._wake.clear()
        self._hurry.clear()

    async def _save_with_retries(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while self._waiting:
            try:
                await self._save()
                return
            except ConversationSuperseded:
                raise
            except SwitchboardUnreachable as error:
                self._tell(error)
            except (SwitchboardError, InvalidInput) as error:
                # The switchboard rejects these entries, so retries are useless. The result still counts them.
                self._tell(error)
                self._drop_batch()
            await self._ports.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _save(self) -> None:
        while self._waiting and self.conversation is not None:
            batch = list(self._waiting)[:MOST_ENTRIES_AT_ONCE]
            new = await self._ports.append(self._call_id, self.conversation.generation, batch)
            for entry in batch:
                self._forget(entry)
                # An entry that is not new, and was not there when we opened the conversation, was saved by us: the
                # answer to that request was lost.
                self._settle(entry.key, entry.key in new or entry.key not in self._known)

    def _forget(self, entry: TimelineEntry) -> None:
        if self._waiting and self._waiting[0] is entry:
            self._waiting.popleft()
        elif entry in self._waiting:
            self._waiting.remove(entry)

    def _settle(self, key: str, is_ours: bool) -> None:
        saved = self._saved.pop(key, None)
        if saved is not None and not saved.done():
            saved.set_result(is_ours)
        if not is_ours:
            self._known |= {key}

    def _drop_one(self) -> None:
        oldest = next((each for each in self._waiting if each.kind in ("caller", "agent", "usage")), self._waiting[0])
        self._waiting.remove(oldest)
        self._settle(oldest.key, False)
        if "full" not in self._told:
            self._told.add("full")
            self._ports.report(
                f"The switchboard is unreachable for too long: call {self._call_id} loses part of its transcript."
            )

    def _drop_batch(self) -> None:
        for entry in list(self._waiting)[:MOST_ENTRIES_AT_ONCE]:
            self._forget(entry)
            self._settle(entry.key, False)

    def _tell(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._told:
            self._told.add(kind)
            self._ports.report(f"The progress of call {self._call_id} cannot be saved; the call goes on: {error}")


class Resync:
    """
    Reads the timeline of one call again, once after each time that another process may have listened.

    The switchboard listens until the next owner is attached, and then writes what it has heard.

    :param ports: The switchboard and the clock.
    :param call_id: OpenAI's id of the call.
    :param start: Starts the read as a task.
    :param on_read: Called with the conversation.
    """

    def __init__(
        self,
        ports: CallPorts,
        call_id: str,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[Any]],
        on_read: Callable[[Conversation], None],
    ) -> None:
        self._ports = ports
        self._call_id = call_id
        self._start = start
        self._on_read = on_read
        self._reading: asyncio.Task[None] | None = None
        self._is_due = False

    def begin(self) -> None:
        """Schedule a read: another process may have listened until now."""
        self._is_due = True
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self._start(self._read_later())

    async def make_sure(self, *, is_due: bool = False) -> None:
        """
        Finish a scheduled read before the call is finished.

        :param is_due: Whether another process may have listened although :meth:`begin` was not called.
        """
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._is_due or (is_due and self._reading is None):
            await self._read()

    async def _read_later(self) -> None:
        await self._ports.sleep(WRITTEN_SECONDS)
        await self._read()

    async def _read(self) -> None:
        try:
            kept = await self._ports.read(self._call_id)
        except OpenAIRealtimeError as error:
            self._ports.report(f"What the switchboard heard in call {self._call_id} cannot be read: {error}")
            return
        self._is_due = False
        if kept is not None:
            self._on_read(kept)
