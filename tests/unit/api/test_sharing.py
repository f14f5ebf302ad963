from __future__ import annotations

import asyncio

from airflow_openai_realtime.api.sharing import SharedResources


class Opened:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


async def test_users_of_a_key_get_the_same_and_the_last_closes_it() -> None:
    shared = SharedResources(Opened.close)
    async with shared.use("a", Opened) as first:
        async with shared.use("a", Opened) as second, shared.use("b", Opened) as other:
            assert first is second
            assert other is not first
            assert shared.open_count() == 2
        assert other.closed
        assert not first.closed
    assert first.closed
    assert shared.open_count() == 0


async def test_a_newcomer_does_not_get_what_is_being_closed() -> None:
    closing = asyncio.Event()
    go_on = asyncio.Event()

    async def close(opened: Opened) -> None:
        closing.set()
        await go_on.wait()
        opened.closed = True

    shared: SharedResources[Opened] = SharedResources(close)

    async def use() -> Opened:
        async with shared.use("a", Opened) as opened:
            return opened

    first = asyncio.create_task(use())
    await closing.wait()
    async with shared.use("a", Opened) as second:
        go_on.set()
        assert (await first) is not second
        assert not second.closed


async def test_a_user_that_fails_leaves_too() -> None:
    shared = SharedResources(Opened.close)
    try:
        async with shared.use("a", Opened) as opened:
            raise LookupError
    except LookupError:
        assert opened.closed


def test_two_event_loops_share_nothing() -> None:
    shared = SharedResources(Opened.close)

    async def use() -> Opened:
        async with shared.use("a", Opened) as opened:
            return opened

    assert asyncio.run(use()) is not asyncio.run(use())
