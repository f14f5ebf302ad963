"""What running a call needs of the world, and what stands for it when nothing else is given."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from datetime import timedelta
from typing import Any

import pytest

from airflow_openai_realtime.api.sideband import connection
from airflow_openai_realtime.conversation.run.function_running import run_function
from airflow_openai_realtime.conversation.run.ports import CallPorts, Sideband, wait_for_any

UNUSED: Any = None


def ports(**changes: Any) -> CallPorts:
    needed = {each.name: UNUSED for each in dataclasses.fields(CallPorts) if each.default is dataclasses.MISSING}
    return CallPorts(**{**needed, **changes})


def test_the_clock_and_the_functions_are_real_unless_a_test_gives_others() -> None:
    given = ports()
    assert given.now().utcoffset() == timedelta(0)
    assert given.sleep is asyncio.sleep
    assert given.run_function is run_function
    assert given.prices is None
    assert ports(sleep=len).sleep is len


def test_all_that_reaches_openai_or_the_switchboard_must_be_given() -> None:
    with pytest.raises(TypeError, match="attach"):
        CallPorts()  # type: ignore[call-arg]


def test_ports_cannot_be_changed_while_a_call_runs() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ports().sleep = len  # type: ignore[misc, assignment]


def test_the_socket_of_a_real_call_is_such_a_sideband() -> None:
    asked = {name for name, each in vars(Sideband).items() if inspect.isfunction(each) or isinstance(each, property)}
    asked = {name for name in asked if not name.startswith("_") or name == "__aiter__"}
    assert asked == {"__aiter__", "clean_end", "send"}
    made = connection.Sideband(UNUSED, "rtc_1")
    assert all(hasattr(type(made), name) or hasattr(made, name) for name in asked)


# -- waiting by the clock ----------------------------------------------------------------------------------------------


class Pause:
    """A clock that stands still until a test says that the time is over."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over = asyncio.Event()
        self.is_cancelled = False

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_thing_that_happens_ends_the_waiting_and_the_others_go_on() -> None:
    pause, first, second = Pause(), asyncio.Event(), asyncio.Event()
    things = {asyncio.ensure_future(each.wait()) for each in (first, second)}
    waiting = asyncio.ensure_future(wait_for_any(set(things), 5, pause.sleep))
    await turns()
    assert not waiting.done()
    first.set()
    await waiting
    await turns()
    assert (pause.asked, pause.is_cancelled) == ([5], True)
    assert sorted(each.done() for each in things) == [False, True]
    second.set()
    await asyncio.wait(things)


async def test_when_the_time_is_over_nothing_is_cancelled() -> None:
    pause = Pause()
    thing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(wait_for_any({thing}, 5, pause.sleep))
    await turns()
    pause.over.set()
    await waiting
    assert not thing.done()


async def test_what_fails_is_not_raised_by_waiting_for_it() -> None:
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(KeyError("gone"))
    await wait_for_any({failed}, 5, Pause().sleep)
    assert isinstance(failed.exception(), KeyError)


async def test_who_stops_waiting_stops_the_clock() -> None:
    pause = Pause()
    waiting = asyncio.ensure_future(wait_for_any({asyncio.get_running_loop().create_future()}, 5, pause.sleep))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await turns()
    assert pause.is_cancelled
