"""What the clients of the switchboard can do with conversations; mixed into both of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_openai_realtime.calls.recent import Place, RecentCall, RecentPage
from airflow_openai_realtime.calls.saved_conversation import Conversation, Progress
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import SwitchboardRefused, UnknownCall
from airflow_openai_realtime.switchboard.client import conversation_requests as ask
from airflow_openai_realtime.switchboard.client.progress_requests import Saved, SavingProgress
from airflow_openai_realtime.switchboard.client.switchboard_requests import SwitchboardRequest


class ConversationMethods(ABC):
    """Conversations, for synchronous code."""

    @abstractmethod
    def _send(self, request: SwitchboardRequest) -> dict[str, Any]:
        """Send a request."""

    def open_conversation(self, call_id: str, holder: str, process: str | None = None) -> Conversation:
        """
        Become the holder of a call's conversation; an earlier holder may add nothing more from now on.

        :param call_id: A call that the switchboard knows.
        :param holder: Who runs it: the claimant's name.
        :param process: Name of the process, 1 to 64 characters, if it says by :meth:`save_progress` twice a second that
            it is alive. While it does not, the switchboard listens in its place. ``None``: nobody does.
        :returns: The conversation with the generation to write with, and what is on its timeline already. One that is
            finished is returned as it is.
        :raises UnknownCall: The line has never seen the call.

        Retries: up to 5 within 5 s; each makes a generation of its own, and the last one counts.
        """
        try:
            return ask.as_conversation(self._send(ask.open_conversation(call_id, holder, process)))
        except SwitchboardRefused as error:
            if process is None or error.status != 422:
                raise
            # An older switchboard knows of no processes.
            return ask.as_conversation(self._send(ask.open_conversation(call_id, holder)))

    def append_entries(self, call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> frozenset[str]:
        """
        Add to the timeline, and commit. Many entries go in several requests.

        :param call_id: The call.
        :param generation: What :meth:`open_conversation` gave.
        :param entries: In their order.
        :returns: The keys that were not there yet. When an answer was lost and the request repeated, keys that the
            first one stored are not among them: then what they stand for may have begun, and must not begin again.
        :raises ConversationSuperseded: Another holder has opened it, or it is finished.
        :raises UnknownCall: The call has no conversation.
        :raises InvalidInput: An entry cannot be kept; nothing was sent.
        :raises SwitchboardRefused: The call has as many entries as it can have.

        Retries: up to 5 within 5 s for each request.
        """
        requests = ask.append_entries(call_id, generation, entries)
        return frozenset[str]().union(*(ask.as_keys(self._send(request)) for request in requests))

    def save_progress(self, process: str, conversations: Sequence[Progress], *, leaving: bool = False) -> list[Saved]:
        """
        Add to the timelines of all conversations that this process holds, and say that it is alive.

        What is more than 200 entries or 200 conversations goes in several requests.

        :param process: The name that the conversations were opened with.
        :param conversations: What is new, each call once; nothing: only the sign of life.
        :param leaving: Whether the process gives all of its conversations up now: the switchboard need not find out.
        :returns: For each conversation the keys that were not there yet (see :meth:`append_entries`), or why nothing
            was added: ``ConversationSuperseded``, ``UnknownCall``, ``InvalidInput`` (an entry cannot be kept and was
            not sent) or ``SwitchboardRefused`` (the call has as many entries as it can have).
        :raises SwitchboardUnreachable: No answer; what was saved is not known, and saving it again is safe.
        :raises SwitchboardRefused: All of it; with status 404 or 405: the switchboard is older than this.

        Retries: up to 5 within 5 s for each request.
        """
        saving = SavingProgress(process, conversations, leaving=leaving)
        return saving.result([self._send(request) for request in saving.requests])

    def finish_conversation(
        self,
        call_id: str,
        generation: int,
        outcome: str,
        result: Mapping[str, Any] | None,
        entries: Sequence[TimelineEntry] = (),
    ) -> Conversation:
        """
        Write how it ended. The first finish wins: finishing again returns what was written first.

        :param call_id: The call.
        :param generation: What :meth:`open_conversation` gave.
        :param outcome: One word, up to 64 characters.
        :param result: Of JSON values, at most 256 KiB as JSON.
        :param entries: The last of the timeline; what is beyond its limits is left out.
        :raises ConversationSuperseded: Another holder has opened it, and it is not finished.
        :raises UnknownCall: The call has no conversation.
        :raises InvalidInput: The result or an entry cannot be kept; nothing was sent.

        Retries: up to 5 within 5 s.
        """
        before, finish = ask.finish_conversation(call_id, generation, outcome, result, entries)
        for request in before:
            self._send(request)
        return ask.as_conversation(self._send(finish))

    def conversation(self, call_id: str) -> Conversation | None:
        """The conversation of a call as it is now, with its timeline; ``None`` when it has none."""
        try:
            return ask.as_conversation(self._send(ask.conversation(call_id)))
        except UnknownCall:
            return None

    def recent_calls(self, *, before: Place | None = None, limit: int = 100) -> RecentPage:
        """
        Calls of the line with what became of them: live ones first, then the newest that are over.

        :param before: ``next`` of an earlier page: only older ones that are over.
        :param limit: How many that are over, 1 to 500.
        """
        return ask.as_recent_page(self._send(ask.recent_calls(before, limit)))

    def recent_call(self, call_id: str) -> RecentCall | None:
        """A call with what became of it; ``None`` when it is unknown, or the switchboard is of an older release."""
        try:
            return ask.as_recent_call(self._send(ask.recent_call(call_id)))
        except UnknownCall:
            return None
        except SwitchboardRefused as error:
            if error.status != 404:
                raise
            return None


class AsyncConversationMethods(ABC):
    """Conversations, for asynchronous code; :class:`ConversationMethods` describes parameters and methods."""

    @abstractmethod
    async def _send(self, request: SwitchboardRequest) -> dict[str, Any]:
        """Send a request."""

    async def open_conversation(self, call_id: str, holder: str, process: str | None = None) -> Conversation:
        """Become the holder of a call's conversation; see :meth:`ConversationMethods.open_conversation`."""
        try:
            return ask.as_conversation(await self._send(ask.open_conversation(call_id, holder, process)))
        except SwitchboardRefused as error:
            if process is None or error.status != 422:
                raise
            return ask.as_conversation(await self._send(ask.open_conversation(call_id, holder)))

    async def append_entries(self, call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> frozenset[str]:
        """Add to the timeline; see :meth:`ConversationMethods.append_entries`."""
        requests = ask.append_entries(call_id, generation, entries)
        return frozenset[str]().union(*[ask.as_keys(await self._send(request)) for request in requests])

    async def save_progress(
        self, process: str, conversations: Sequence[Progress], *, leaving: bool = False
    ) -> list[Saved]:
        """Add to several timelines, as a sign of life; see :meth:`ConversationMethods.save_progress`."""
        saving = SavingProgress(process, conversations, leaving=leaving)
        return saving.result([await self._send(request) for request in saving.requests])

    async def finish_conversation(
        self,
        call_id: str,
        generation: int,
        outcome: str,
        result: Mapping[str, Any] | None,
        entries: Sequence[TimelineEntry] = (),
    ) -> Conversation:
        """Write how it ended; see :meth:`ConversationMethods.finish_conversation`."""
        before, finish = ask.finish_conversation(call_id, generation, outcome, result, entries)
        for request in before:
            await self._send(request)
        return ask.as_conversation(await self._send(finish))

    async def conversation(self, call_id: str) -> Conversation | None:
        """The conversation of a call as it is now; see :meth:`ConversationMethods.conversation`."""
        try:
            return ask.as_conversation(await self._send(ask.conversation(call_id)))
        except UnknownCall:
            return None

    async def recent_calls(self, *, before: Place | None = None, limit: int = 100) -> RecentPage:
        """Calls of the line with what became of them; see :meth:`ConversationMethods.recent_calls`."""
        return ask.as_recent_page(await self._send(ask.recent_calls(before, limit)))

    async def recent_call(self, call_id: str) -> RecentCall | None:
        """A call with what became of it; see :meth:`ConversationMethods.recent_call`."""
        try:
            return ask.as_recent_call(await self._send(ask.recent_call(call_id)))
        except UnknownCall:
            return None
        except SwitchboardRefused as error:
            if error.status != 404:
                raise
            return None
