"""One open resource for everything in an event loop that asks for the same thing, closed after the last user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Resource = TypeVar("Resource")


@dataclass
class _Entry(Generic[Resource]):
    resource: Resource
    users: int = 0


class SharedResources(Generic[Resource]):
    """
    Resources by event loop and key, with a count of their users.

    A triggerer process runs hundreds of triggers in one loop; what they share (a feed, a client with its connection
    pool) costs once, however many they are.

    :param close: Called with the resource after its last user has left.
    """

    def __init__(self, close: Callable[[Resource], Awaitable[None]]) -> None:
        self._close = close
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Entry[Resource]]] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def use(self, key: Hashable, create: Callable[[], Resource]) -> AsyncIterator[Resource]:
        """
        Use the resource of a key; it is created for the first user and closed after the last.

        :param key: What makes two users want the same resource; kept in memory only.
        :param create: Makes the resource. Must not block: it runs in the event loop.
        """
        entries = self._by_loop.setdefault(asyncio.get_running_loop(), {})
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = _Entry(create())
        entry.users += 1
        try:
            yield entry.resource
        finally:
            entry.users -= 1
            if entry.users == 0:
                # Taken out before the first await, so that a newcomer never gets a resource that is closing.
                del entries[key]
                await self._close(entry.resource)

    def open_count(self) -> int:
        """Count the resources that are open in the running loop."""
        return len(self._by_loop.get(asyncio.get_running_loop(), {}))
