"""Ports: the functions through which a running call reaches OpenAI, the switchboard and the clock, and waits by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any, Protocol

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec
from airflow_openai_realtime.conversation.run.function_running import run_function


class Sideband(Protocol):
    """The open socket of a call."""

    @property
    def clean_end(self) -> bool:
        """Whether the socket was closed in the normal way, as it is when the call is over."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the call's events until the socket closes."""

    async def send(self, event: Mapping[str, Any], /) -> None:
        """
        Send a command; raises ``CallGone`` when the socket is closed.

        :param event: The command.
        """


_utc_now = partial(datetime.now, timezone.utc)


@dataclass(frozen=True)
class CallPorts:
    """
    The functions that running a call needs.

    :param attach: Opens the sideband socket of a call; raises ``CallGone`` when there is no such call, still so after
        the seconds given.
    :param hang_up: Ends a call; ending one that is over is success.
    :param refer: Requests a transfer of a call to a target.
    :param find: The switchboard's row of a call; None when it has none.
    :param ended: Reports the end of a call to the switchboard, with its owner's account; returns the row with the
        account that counts, or None when the switchboard cannot be reached; never raises then.
    :param open: Opens the conversation of a call for its owner.
    :param read: Reads the conversation of a call as it is now; None when it has none.
    :param append: Saves timeline entries under a generation; returns the keys that were new.
    :param give_up: Reports to the switchboard that the owner of a generation stops though the conversation goes on.
    :param finish: Writes outcome and result.
    :param report: Called with lines for the owner's log, without personal data.
    :param run_function: Runs a function of a DAG author; never raises.
    :param now: The time, aware.
    :param sleep: Waits, in seconds.
    :param prices: Own prices for the estimate of the cost, checked; see ``calls/timeline/usage.py``.
    """

    attach: Callable[[str, float], AbstractAsyncContextManager[Sideband]]
    hang_up: Callable[[str], Awaitable[HangUpResult]]
    refer: Callable[[str, str], Awaitable[None]]
    find: Callable[[str], Awaitable[SwitchboardCall | None]]
    ended: Callable[[str, Account, datetime], Awaitable[SwitchboardCall | None]]
    open: Callable[[str], Awaitable[Conversation]]
    read: Callable[[str], Awaitable[Conversation | None]]
    append: Callable[[str, int, Sequence[TimelineEntry]], Awaitable[frozenset[str]]]
    give_up: Callable[[str, int], Awaitable[None]]
    finish: Callable[[str, int, str, Mapping[str, Any], Sequence[TimelineEntry]], Awaitable[Conversation]]
    report: Callable[[str], None]
    run_function: Callable[[FunctionSpec, str, SwitchboardCall], Awaitable[ToolAnswer]] = run_function
    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    prices: Mapping[str, Mapping[str, Any]] | None = None


async def wait_for_any(
    things: set[asyncio.Future[Any]], seconds: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """
    Wait until one of several futures is done, or the time is over. Nothing is cancelled or raised.

    :param things: Futures or tasks.
    :param seconds: Longest wait in seconds.
    :param sleep: Sleeps for a number of seconds.
    """
    pause = asyncio.ensure_future(sleep(seconds))
    try:
        await asyncio.wait({*things, pause}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pause.cancel()
