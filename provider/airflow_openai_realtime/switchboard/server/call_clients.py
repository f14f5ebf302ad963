"""
Clients for OpenAI that all work of one switchboard process shares.

Making a client builds a TLS context, which keeps the processor busy for tens of milliseconds: too long while a phone
rings, and too long for the event loop. So clients are made in a thread, beforehand where possible, and kept.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

from airflow_openai_realtime.api.client import AsyncCallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.switchboard.server.process.executor import Executor

REUSE_SECONDS = 1.5
"""How long a connection is kept for the next request: through a burst of calls, and far shorter than servers wait."""

IDLE_SECONDS = 600.0
"""A client that was not used for so long is closed; a line's key may have been replaced."""

MakeClient = Callable[[ApiSettings], AsyncCallsClient]

reusing_client: MakeClient = functools.partial(AsyncCallsClient, reuse_seconds=REUSE_SECONDS)


@functools.cache
def _load_network_modules() -> None:
    """Make a first connection, to nobody: only then are modules loaded that take up to hundreds of milliseconds."""

    async def connect() -> None:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=1.0) as client:  # noqa: S501
            await client.get("http://127.0.0.1:9/")

    # Whatever comes of it: without all this, the first call is answered a little later.
    with suppress(Exception):
        asyncio.run(connect())


@dataclass
class _Entry:
    client: AsyncCallsClient
    used_at: float
    users: int = 0


class SharedClients:
    """
    One client for each project.

    :param make: Makes a client.
    :param monotonic: Seconds on a clock that never jumps; for tests.
    """

    def __init__(self, make: MakeClient = reusing_client, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._monotonic = monotonic
        self._entries: dict[ApiSettings, _Entry] = {}
        self._making: dict[ApiSettings, asyncio.Task[_Entry]] = {}
        self._threads = Executor(1, "switchboard-clients")

    @asynccontextmanager
    async def use(self, settings: ApiSettings) -> AsyncIterator[AsyncCallsClient]:
        """The client of a project; it is not closed while this is entered."""
        entry = self._entries.get(settings) or await self._made(settings)
        entry.users += 1
        try:
            yield entry.client
        finally:
            entry.users -= 1
            entry.used_at = self._monotonic()

    async def warm(self, settings: ApiSettings) -> None:
        """Have the client of a project ready."""
        entry = self._entries.get(settings) or await self._made(settings)
        entry.used_at = self._monotonic()

    async def close_idle(self) -> None:
        """Close what was not used for long."""
        limit = self._monotonic() - IDLE_SECONDS
        idle = [key for key, entry in self._entries.items() if not entry.users and entry.used_at < limit]
        for key in idle:
            await self._entries.pop(key).client.aclose()

    async def close(self) -> None:
        """Close all; a later use makes new ones."""
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in entries:
            await entry.client.aclose()
        self._threads.close()

    async def _made(self, settings: ApiSettings) -> _Entry:
        task = self._making.get(settings)
        if task is None:
            task = self._making[settings] = asyncio.ensure_future(self._make_one(settings))
            task.add_done_callback(lambda _: self._making.pop(settings, None))
        return await asyncio.shield(task)

    async def _make_one(self, settings: ApiSettings) -> _Entry:
        await self._threads.run(_load_network_modules)
        entry = _Entry(await self._threads.run(self._make, settings), self._monotonic())
        self._entries[settings] = entry
        return entry
