"""
Where the page's calls come from: the store of the switchboard in this API server, and standalone switchboards.

In what they give, a call's ``line`` is the id of the connection, whatever the line is called at its switchboard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import Protocol

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.recent import (
    ConversationSummary,
    Place,
    RecentCall,
    RecentPage,
    UnreachedAttempt,
)
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import UnknownCall
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    get_conversation,
    get_recent_call,
    list_recent_calls,
)
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    end_call,
    get_attempt,
    get_call,
    list_calls,
    report_ended,
)
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store

CLIENT_TIMEOUT_SECONDS = 3.0
_AFTER_ALL_NAMES = "~" * 255


@dataclass(frozen=True)
class FoundCall:
    """
    A call with its conversation.

    :param recent: The call, with a summary of its conversation.
    :param conversation: The conversation with its timeline; ``None``: no process has attached to the call.
    """

    recent: RecentCall
    conversation: Conversation | None


class Source(Protocol):
    """Some calls; every method raises ``SwitchboardError`` when it cannot be reached."""

    @property
    def conn_id(self) -> str | None:
        """The connection whose calls they are; ``None``: those of several."""
        ...  # pragma: no cover

    def page(self, before: Place | None, limit: int) -> RecentPage:
        """
        Live calls and the newest that are over.

        :param before: Where the page before ended; ``None``: the first page.
        :param limit: Most calls that are over.
        """
        ...  # pragma: no cover

    def find(self, conn_id: str, call_id: str) -> FoundCall | None:
        """
        One call; ``None`` when it is not here.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        """
        ...  # pragma: no cover

    def find_attempt(self, conn_id: str, attempt_id: str) -> UnreachedAttempt | None:
        """
        One attempt, also one that has become a call; ``None`` when it is not here.

        :param conn_id: Id of the connection.
        :param attempt_id: Id of the attempt.
        """
        ...  # pragma: no cover

    def find_claimed(self, conn_id: str, owner: str) -> str | None:
        """
        Id of the newest call of an owner; ``None`` when it has none here.

        :param conn_id: Id of the connection.
        :param owner: Name of the owner.
        """
        ...  # pragma: no cover

    def end(self, conn_id: str, call_id: str, reason: str, by: str) -> None:
        """
        Note who is about to end the call; the switchboard ends it when nothing more is reported.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :param reason: Why it is to end.
        :param by: Who wants that.
        """
        ...  # pragma: no cover

    def ended(self, conn_id: str, call_id: str, account: Account, too_late_for: str | None = None) -> None:
        """
        Note that the call is over, and who had wanted that and came too late.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :param account: What is known of its end.
        :param too_late_for: Who had wanted that and came too late.
        """
        ...  # pragma: no cover


class StoreSource:
    """
    The store of the switchboard that is mounted in this API server.

    :param store: A store of the page's own, so that people who look on do not keep deliveries waiting.
    :param now: The clock.
    """

    conn_id = None

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._turn = threading.Lock()

    def page(self, before: Place | None, limit: int) -> RecentPage:
        """
        Live calls and the newest that are over, of all lines.

        :param before: Where the page before ended; ``None``: the first page.
        :param limit: Most calls that are over.
        """
        return self._prepared().recent.page(None, before, limit, self._now())

    def find(self, conn_id: str, call_id: str) -> FoundCall | None:
        """
        One call.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        """
        store = self._prepared()
        recent = store.recent.one(conn_id, call_id)
        if recent is None:
            return None
        return FoundCall(recent, store.conversations.find(conn_id, call_id) if recent.conversation else None)

    def find_attempt(self, conn_id: str, attempt_id: str) -> UnreachedAttempt | None:
        """
        One attempt.

        :param conn_id: Id of the connection.
        :param attempt_id: Id of the attempt.
        """
        try:
            return UnreachedAttempt.of(conn_id, self._prepared().attempts.find(conn_id, attempt_id), self._now())
        except UnknownCall:
            return None

    def find_claimed(self, conn_id: str, owner: str) -> str | None:
        """
        Id of the newest call of an owner.

        :param conn_id: Id of the connection.
        :param owner: Name of the owner.
        """
        wanted = CallFilter(claimed_by=owner)
        found = self._prepared().calls.select(conn_id, wanted, 1, self._now())
        return found[-1].call_id if found else None

    def end(self, conn_id: str, call_id: str, reason: str, by: str) -> None:
        """
        Note who is about to end the call.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :param reason: Why it is to end.
        :param by: Who wants that.
        """
        now = self._now()
        rule = partial(moves.want_end, now=now, reason=reason, by=by, acting_seconds=moves.ACTING_SECONDS)
        self._prepared().calls.move(conn_id, call_id, rule, now)

    def ended(self, conn_id: str, call_id: str, account: Account, too_late_for: str | None = None) -> None:
        """
        Note that the call is over; the switchboard's workers read it from the feed.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :param account: What is known of its end.
        :param too_late_for: Who had wanted that and came too late.
        """
        now = self._now()
        rule = partial(moves.ended, now=now, reason=account, too_late_for=too_late_for)
        self._prepared().calls.move(conn_id, call_id, rule, now)

    def _prepared(self) -> Store:
        """The store; the switchboard may not have made its tables yet."""
        if not self._store.database.ready:
            with self._turn:
                if not self._store.database.ready:
                    self._store.prepare()
        return self._store


@dataclass(frozen=True)
class ClientSource:
    """
    One line of a standalone switchboard.

    :param conn_id: The connection.
    :param address: Where and with what token the switchboard is asked, and what the line is called there.
    """

    conn_id: str
    address: SwitchboardAddress

    def page(self, before: Place | None, limit: int) -> RecentPage:
        """
        Live calls and the newest that are over, of the line.

        :param before: Where the page before ended; ``None``: the first page.
        :param limit: Most calls that are over.
        """
        place = None if before is None else self._place_there(before)
        with self._client() as client:
            page = client.send(list_recent_calls(before=place, limit=limit))
        end = None if page.next is None else replace(page.next, line=self.conn_id)
        attempts = tuple(replace(each, line=self.conn_id) for each in page.attempts)
        return RecentPage(tuple(self._here(recent) for recent in page.calls), end, attempts)

    def find(self, conn_id: str, call_id: str) -> FoundCall | None:
        """
        One call.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        """
        if conn_id != self.conn_id:
            return None
        with self._client() as client:
            try:
                call = client.send(get_call(call_id))
            except UnknownCall:
                return None
            conversation = client.send(get_conversation(call_id))
            recent = client.send(get_recent_call(call_id))
        if recent is None:  # a switchboard of an older release
            recent = RecentCall(call, None if conversation is None else ConversationSummary.of(conversation))
        return FoundCall(self._here(recent), conversation)

    def find_attempt(self, conn_id: str, attempt_id: str) -> UnreachedAttempt | None:
        """
        One attempt.

        :param conn_id: Id of the connection.
        :param attempt_id: Id of the attempt.
        """
        if conn_id != self.conn_id:
            return None
        with self._client() as client:
            try:
                attempt = client.send(get_attempt(attempt_id))
            except UnknownCall:
                return None
        return UnreachedAttempt.of(self.conn_id, attempt, datetime.now(timezone.utc))

    def find_claimed(self, conn_id: str, owner: str) -> str | None:
        """
        Id of the newest call of an owner.

        :param conn_id: Id of the connection.
        :param owner: Name of the owner.
        """
        if conn_id != self.conn_id:
            return None
        with self._client() as client:
            found = client.send(list_calls(state="all", claimed_by=owner, limit=1)).calls
        return found[-1].call_id if found else None

    def end(self, conn_id: str, call_id: str, reason: str, by: str) -> None:
        """
        Note who is about to end the call.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :param reason: Why it is to end.
        :param by: Who wants that.
        """
        with self._client() as client:
            client.send(end_call(call_id, reason=reason, by=by, acting=True))

    def ended(self, conn_id: str, call_id: str, account: Account, too_late_for: str | None = None) -> None:
        """
        Note that the call is over.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :param account: What is known of its end.
        :param too_late_for: Who had wanted that and came too late.
        """
        with self._client() as client:
            client.send(report_ended(call_id, account, too_late_for=too_late_for))

    def _client(self) -> SwitchboardClient:
        url, token, line = self.address.url, self.address.token, self.address.line
        return SwitchboardClient(url, token, line=line, timeout_seconds=CLIENT_TIMEOUT_SECONDS, retries=False)

    def _here(self, recent: RecentCall) -> RecentCall:
        return replace(recent, call=replace(recent.call, line=self.conn_id))

    def _place_there(self, place: Place) -> Place:
        """A place among all calls, in the words of this switchboard, where the line may have another name."""
        if place.line == self.conn_id:
            return replace(place, line=self.address.line)
        call_id = _AFTER_ALL_NAMES if self.conn_id < place.line else ""
        return Place(place.received_at, self.address.line, call_id)
