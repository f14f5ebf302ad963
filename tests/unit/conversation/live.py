"""Live calls over real sockets, for tests: the simulator, a switchboard in a thread, and the coroutine between them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

import httpx
from airflow_world import CALLER, CONN_ID, World

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.conversation.rules.offered_tools import with_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.live_run import live_ports
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.progress import ProgressSender
from airflow_openai_realtime.conversation.run.run_call import run_call
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, report_accepted

SESSION = {
    "model": "gpt-realtime-2.1",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}, "turn_detection": {"type": "semantic_vad"}}},
}
HOLDER = "campaign/run/task/-1"


class Way(httpx.AsyncHTTPTransport):
    """The way to the switchboard, which may be cut."""

    is_cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, if it gets there."""
        if self.is_cut:
            raise httpx.ConnectError("the way is cut", request=request)
        return await super().handle_async_request(request)


class Line:
    """
    Accepts and runs the calls of a small world.

    :param world: The simulator and the switchboard.
    :param way: The way to the switchboard; cut it, and this process is as good as dead.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.way = Way()
        self.reports: list[str] = []
        self._stack = AsyncExitStack()
        endpoints = endpoints_for(base_url=world.simulator.openai_base_url)
        self._api = ApiSettings(api_key=world.simulator.api_key, endpoints=endpoints, timeout_seconds=5)

    async def __aenter__(self) -> Line:
        self.calls = await self._stack.enter_async_context(CallsClient(self._api))
        client = SwitchboardClient(self.world.url, self.world.token, line=CONN_ID, transport=self.way)
        self.switchboard = await self._stack.enter_async_context(client)
        self.progress = ProgressSender(self.switchboard)
        self._stack.push_async_callback(self.progress.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def accept(
        self,
        script: Any,
        plan: ConversationPlan,
        *,
        seconds: float = 60,
        number: str = CALLER,
        offer: bool = True,
        session: Any = SESSION,
    ) -> SwitchboardCall:
        """Let a person call, and accept the call."""
        call_id = await asyncio.to_thread(self.world.ring, number, script=script)
        await self.switchboard.asend(announce_accept(call_id, HOLDER, seconds))
        await self.calls.asend(accept_call(call_id, with_tools(session, plan) if offer else session))
        return await self.switchboard.asend(report_accepted(call_id, HOLDER))

    def ports(self, **changes: Any) -> CallPorts:
        """The real ports, with what a test wants to be different."""
        given = self._api, self.calls, self.switchboard, self.progress, HOLDER, self.reports.append
        return replace(live_ports(*given), **changes)

    async def run(self, call: SwitchboardCall, plan: ConversationPlan, **changes: Any) -> CallResult:
        """Run a call to its end."""
        return await run_call(self.ports(**changes), plan, call)

    async def conversation(self, call_id: str) -> Conversation:
        """What the switchboard has."""
        found = await self.switchboard.asend(get_conversation(call_id))
        assert found is not None
        return found
