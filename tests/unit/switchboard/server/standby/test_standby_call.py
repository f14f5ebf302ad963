"""What cannot be seen at real sockets: that stopping twice does not cut off the closing of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.unit.switchboard.support import START, a_line, until

from airflow_openai_realtime.switchboard.server.standby.standby_call import StandbyCall
from airflow_openai_realtime.switchboard.server.store.standing_by import SilentCall


class Silence:
    """A socket on which nothing comes."""

    clean_end = False

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        await asyncio.Event().wait()
        yield {}


async def test_a_socket_is_closed_to_the_end_however_often_it_is_stopped() -> None:
    steps: list[str] = []
    may_close = asyncio.Event()

    @asynccontextmanager
    async def attach(settings: Any, call_id: str, *, retry_seconds: float) -> AsyncIterator[Silence]:
        steps.append("open")
        try:
            yield Silence()
        finally:
            steps.append("closing")
            await may_close.wait()
            steps.append("closed")

    call = StandbyCall(SilentCall("support", "rtc_1", 1, True, START, frozenset()), "lease1", attach, lambda: START)
    call.start(a_line().api)
    await until(lambda: steps == ["open"])
    task = call.stop("relieved")
    await until(lambda: steps == ["open", "closing"])
    assert call.stop("lost") is task
    may_close.set()
    assert task is not None
    await asyncio.wait([task])
    assert steps == ["open", "closing", "closed"]
    assert call.stopped_for == "relieved"
