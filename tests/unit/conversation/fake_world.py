"""A world for one live call without sockets, with a clock that a test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.offered_tools import offered_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, FunctionSpec
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.run_call import run_call
from airflow_openai_realtime.exceptions import CallGone, ConversationSuperseded, SwitchboardUnreachable

CALL = "rtc_1"
START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


class Time:
    """Time that passes when the test moves it, or when nothing else happens."""

    def __init__(self) -> None:
        self.now = START
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def sleep(self, seconds: float) -> None:
        """Wait until it has passed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + timedelta(seconds=seconds), next(self._numbers), done))
        await done

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def go_on(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + timedelta(seconds=seconds)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, done = heapq.heappop(self._sleepers)
            if not done.done():
                self.now = max(self.now, at)
                done.set_result(None)
                await self.settle()
        self.now = until


class Socket:
    """A sideband: what it hears is put in, what was sent is kept."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.sent: list[Mapping[str, Any]] = []
        self.clean_end = False
        self.is_open = True
        self.was_left = False

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        while (event := await self._events.get()) is not None:
            yield event

    async def send(self, event: Mapping[str, Any]) -> None:
        if not self.is_open:
            raise CallGone("closed", call_id=CALL)
        self.sent.append(event)

    def hear(self, kind: str, **fields: Any) -> None:
        """An event comes."""
        self._events.put_nowait({"type": kind, **fields})

    def close(self, *, clean: bool) -> None:
        """It closes."""
        self.clean_end, self.is_open = clean, False
        self._events.put_nowait(None)

    def types(self) -> list[str]:
        """What was sent, by type."""
        return [command["type"] for command in self.sent]


@dataclass
class FakeWorld:
    """
    OpenAI and a switchboard for one call.

    :param is_alive: Whether OpenAI knows the call.
    """

    plan: ConversationPlan = field(default_factory=ConversationPlan)
    is_alive: bool = True
    is_session_sent: bool = True
    seconds: float = 600
    accepted_before: float | None = 0.0
    is_board_away: bool = False
    attach_fails: list[Exception] = field(default_factory=list)
    hang_up_fails: list[Exception] = field(default_factory=list)
    refer_fails: Exception | None = None
    row: SwitchboardCall | None = None
    functions: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.time = Time()
        self.sockets: list[Socket] = []
        self.entries: list[TimelineEntry] = []
        self.generation = 0
        self.finished: Conversation | None = None
        self.hung_up = 0
        self.referred: list[str] = []
        self.reasons: list[str] = []
        self.reports: list[str] = []
        self.ran: list[str] = []
        self.given_up: list[int] = []
        self.reads = 0
        self.heard_until: datetime | None = None

    @property
    def socket(self) -> Socket:
        """The newest socket."""
        return self.sockets[-1]

    def call(self) -> SwitchboardCall:
        """The call as it was accepted."""
        accepted = None if self.accepted_before is None else START - timedelta(seconds=self.accepted_before)
        hangup_at = START + timedelta(seconds=self.seconds)
        return SwitchboardCall(
            CALL, "support", "accepted", START, START, accepted_at=accepted, hangup_at=hangup_at, claimed_by="me"
        )

    def start(self, **changes: Any) -> asyncio.Task[CallResult]:
        """Run the call."""
        return asyncio.ensure_future(run_call(replace(self.ports(), **changes), self.plan, self.call()))

    def ports(self) -> CallPorts:
        """The ports of this world."""
        return CallPorts(
            attach=self._attach,
            hang_up=self._hang_up,
            refer=self._refer,
            find=self._find,
            ended=self._ended,
            open=self._open,
            read=self._read,
            append=self._append,
            give_up=self._give_up,
            finish=self._finish,
            report=self.reports.append,
            run_function=self._run_function,
            now=lambda: self.time.now,
            sleep=self.time.sleep,
        )

    def end(self, *, clean: bool = True) -> None:
        """The call ends at OpenAI's."""
        self.is_alive = False
        for socket in self.sockets:
            if socket.is_open:
                socket.close(clean=clean)

    def conversation(self) -> Conversation:
        """What the switchboard has."""
        return self.finished or Conversation(
            CALL, "l", "me", self.generation, START, START, entries=tuple(self.entries), heard_until=self.heard_until
        )

    def kept(self, kind: str) -> list[TimelineEntry]:
        """The saved entries of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]

    @asynccontextmanager
    async def _attach(self, call_id: str, doubt_seconds: float) -> AsyncIterator[Socket]:
        if self.attach_fails:
            raise self.attach_fails.pop(0)
        if not self.is_alive:
            await self.time.sleep(doubt_seconds)
            raise CallGone("404", call_id=call_id)
        socket = Socket(self)
        self.sockets.append(socket)
        if self.is_session_sent:
            session = {"id": "sess_1", "model": "gpt-realtime-2.1", "tools": offered_tools(self.plan)}
            socket.hear("session.created", session=session)
        try:
            yield socket
        finally:
            socket.is_open, socket.was_left = False, True

    async def _hang_up(self, call_id: str) -> HangUpResult:
        self.hung_up += 1
        if self.hang_up_fails:
            raise self.hang_up_fails.pop(0)
        was_alive = self.is_alive
        self.end()
        return HangUpResult(gone=not was_alive)

    async def _refer(self, call_id: str, target_uri: str) -> None:
        if self.refer_fails is not None:
            raise self.refer_fails
        self.referred.append(target_uri)

    async def _find(self, call_id: str) -> SwitchboardCall | None:
        self._board()
        return self.row

    async def _ended(self, call_id: str, told: Account, ended_at: datetime) -> SwitchboardCall | None:
        self.reasons.append(told.reason)
        return self.row

    async def _open(self, call_id: str) -> Conversation:
        self._board()
        if self.finished is None:
            self.generation += 1
        return self.conversation()

    async def _read(self, call_id: str) -> Conversation | None:
        self._board()
        self.reads += 1
        return self.conversation() if self.generation else None

    async def _append(self, call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> frozenset[str]:
        self._board()
        self._own(generation)
        known = {entry.key for entry in self.entries}
        new = [entry.check() for entry in entries if entry.key not in known]
        self.entries += new
        return frozenset(entry.key for entry in new)

    async def _give_up(self, call_id: str, generation: int) -> None:
        self._board()
        self._own(generation)
        self.given_up.append(generation)

    async def _finish(
        self, call_id: str, generation: int, outcome: str, result: Mapping[str, Any], entries: Sequence[TimelineEntry]
    ) -> Conversation:
        self._board()
        if self.finished is None:
            self._own(generation)
            await self._append(call_id, generation, entries)
            self.finished = replace(self.conversation(), finished_at=self.time.now, outcome=outcome, result=result)
        return self.finished

    async def _run_function(self, spec: FunctionSpec, arguments: str, call: SwitchboardCall) -> ToolAnswer:
        self.ran.append(spec.name)
        answer = self.functions.get(spec.name, ToolAnswer("ok", "42"))
        found = await answer() if callable(answer) else answer
        assert isinstance(found, ToolAnswer)
        return found

    def _board(self) -> None:
        if self.is_board_away:
            raise SwitchboardUnreachable("away")

    def _own(self, generation: int) -> None:
        if generation != self.generation:
            raise ConversationSuperseded("another holder has it", call_id=CALL)
        if self.finished is not None:
            raise ConversationSuperseded("it is finished", code="finished", call_id=CALL)
