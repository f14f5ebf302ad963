from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.api.client import HangUpResult
from airflow_openai_realtime.calls.watch import WatchPorts, watch_call
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallGone,
    ServiceUnavailable,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.switchboard.records import SwitchboardCall

CALL = "rtc_1"
NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


def row(state: str, end_reason: str | None = None) -> SwitchboardCall:
    return SwitchboardCall(
        call_id=CALL, line="l", state=state, received_at=NOW, expires_at=NOW, hangup_at=NOW, end_reason=end_reason
    )


class Socket:
    def __init__(self, clean_end: bool, *, stays_open: bool = False) -> None:
        self.clean_end = clean_end
        self.stays_open = stays_open

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "session.created"}
        if self.stays_open:
            await asyncio.Event().wait()


@dataclass
class Surroundings:
    """The world as a watch sees it: ``sockets`` are what each attaching meets, in order."""

    sockets: list[Socket | Exception]
    rows: list[SwitchboardCall | Exception] = field(default_factory=lambda: [row("accepted")])
    hang_up_fails: Exception | None = None
    over_before: bool = False
    hung_up: int = 0
    reasons: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def ports(self) -> WatchPorts:
        @asynccontextmanager
        async def attach(call_id: str, doubt_seconds: float) -> AsyncIterator[Socket]:
            found = self.sockets.pop(0)
            if isinstance(found, Exception):
                raise found
            yield found

        async def hang_up(call_id: str) -> HangUpResult:
            self.hung_up += 1
            if self.hang_up_fails is not None:
                raise self.hang_up_fails
            return HangUpResult(gone=self.over_before)

        async def find(call_id: str) -> SwitchboardCall:
            found = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
            if isinstance(found, Exception):
                raise found
            return found

        async def ended(call_id: str, reason: str) -> None:
            self.reasons.append(reason)

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        return WatchPorts(attach, hang_up, find, ended, self.said.append, now=lambda: NOW, sleep=sleep)


async def watched(world: Surroundings, *, seconds: float = 600) -> str:
    end = await watch_call(world.ports(), CALL, NOW + timedelta(seconds=seconds))
    assert end.call_id == CALL
    return end.outcome


async def test_a_socket_that_closes_cleanly_ends_the_call() -> None:
    world = Surroundings([Socket(clean_end=True)])
    assert await watched(world) == "ended"
    assert world.reasons == ["ended"]


async def test_a_broken_socket_and_then_no_such_call_is_the_end() -> None:
    world = Surroundings([Socket(clean_end=False), CallGone("404")])
    assert await watched(world) == "ended"


async def test_a_broken_socket_of_a_live_call_is_attached_again() -> None:
    world = Surroundings([Socket(clean_end=False), Socket(clean_end=False), Socket(clean_end=True)])
    assert await watched(world) == "ended"
    assert len([line for line in world.said if "broke" in line]) == 2


async def test_a_call_that_cannot_be_attached_at_all_is_gone() -> None:
    world = Surroundings([CallGone("404")])
    assert await watched(world) == "gone"
    assert world.reasons == ["gone"]


async def test_a_call_is_marked_as_ended_only_when_it_certainly_is() -> None:
    world = Surroundings([CallGone("404")], hang_up_fails=ServiceUnavailable("503"))
    assert await watched(world) == "gone"
    assert world.reasons == []


async def test_at_its_time_the_call_is_hung_up() -> None:
    world = Surroundings([Socket(clean_end=True, stays_open=True)])
    assert await watched(world, seconds=0.6) == "max_duration"
    assert (world.hung_up, world.reasons) == (1, ["max_duration"])


async def test_a_time_that_has_passed_hangs_up_at_once() -> None:
    world = Surroundings([Socket(clean_end=True, stays_open=True)])
    assert await watched(world, seconds=-60) == "max_duration"


async def test_a_call_that_ended_unnoticed_before_its_time_was_not_ended_by_the_time() -> None:
    world = Surroundings([Socket(clean_end=True, stays_open=True)], over_before=True)
    assert await watched(world, seconds=0.6) == "ended"


async def test_when_the_switchboard_hung_up_a_moment_before_it_was_the_time() -> None:
    world = Surroundings(
        [Socket(clean_end=True, stays_open=True)], rows=[row("ended", "max_duration")], over_before=True
    )
    assert await watched(world, seconds=0.6) == "max_duration"


async def test_when_the_switchboard_was_quicker_the_outcome_is_the_same() -> None:
    world = Surroundings(
        [Socket(clean_end=False), CallGone("404")], rows=[row("accepted"), row("ended", "max_duration")]
    )
    assert await watched(world, seconds=4) == "max_duration"


async def test_far_from_its_time_the_switchboard_is_asked_once() -> None:
    world = Surroundings([Socket(clean_end=True)], rows=[row("accepted"), row("ended", "max_duration")])
    assert await watched(world) == "ended"


async def test_a_switchboard_that_does_not_answer_changes_nothing() -> None:
    world = Surroundings([Socket(clean_end=True)], rows=[SwitchboardUnreachable("down")])
    assert await watched(world, seconds=3) == "ended"


async def test_a_connection_that_fails_is_tried_again_with_longer_pauses() -> None:
    world = Surroundings([*[ServiceUnavailable("no route")] * 7, Socket(clean_end=True)])
    assert await watched(world) == "ended"
    assert world.pauses[:7] == [0.5, 1, 2, 4, 8, 10, 10]


async def test_a_refused_key_ends_the_watch() -> None:
    with pytest.raises(AuthenticationError):
        await watched(Surroundings([AuthenticationError("401")]))
