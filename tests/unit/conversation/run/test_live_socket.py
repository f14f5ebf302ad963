"""The socket of a call is opened again until the call is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.conversation.fake_world import CALL, FakeWorld

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.live_socket import LiveSocket, SocketEnd
from airflow_openai_realtime.exceptions import AuthenticationError, ServiceUnavailable

LISTENING = ConversationPlan.only_listening()


def said(world: FakeWorld, text: str, item_id: str = "item_1") -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    world.socket.hear(kind, item_id=item_id, transcript=text)


async def result_of(world: FakeWorld, task: asyncio.Task[CallResult], *, seconds: float = 30) -> CallResult:
    await world.time.go_on(seconds)
    assert task.done()
    return task.result()


async def test_a_socket_that_breaks_is_opened_again() -> None:
    world = FakeWorld(LISTENING)
    task = world.start()
    await world.time.go_on(3)
    for _ in range(2):
        world.socket.close(clean=False)
        await world.time.go_on(1)
    said(world, "Are you still there?")
    world.end()
    result = await result_of(world, task)
    assert len(world.sockets) == 3
    assert (result.outcome, result.resumed, result.turns["caller"]) == ("caller_hung_up", True, 1)
    assert result.gap_seconds == 0.4
    assert world.reports == ["The socket of the call broke, and was opened again."]


async def test_a_socket_that_cannot_be_opened_is_tried_with_longer_pauses() -> None:
    world = FakeWorld(LISTENING, attach_fails=[ServiceUnavailable("no route")] * 8)
    task = world.start()
    await world.time.go_on(27)
    assert world.sockets == []
    await world.time.go_on(10)
    assert len(world.sockets) == 1
    assert len(world.reports) == 1
    task.cancel()


async def test_a_refused_key_ends_it_and_leaves_the_call_to_the_switchboard() -> None:
    world = FakeWorld(LISTENING, attach_fails=[AuthenticationError("401")])
    task = world.start()
    await world.time.go_on(1)
    with pytest.raises(AuthenticationError):
        task.result()
    assert (world.hung_up, world.finished) == (0, None)


# -- by itself -----------------------------------------------------------------------------------------------------


class Live:
    """One socket, and what it told."""

    def __init__(self, *, is_known: bool = False, **world: Any) -> None:
        self.world = FakeWorld(LISTENING, **world)
        self.heard: list[Any] = []
        self.breaks = 0
        self.saved = asyncio.Event()
        self.waited_for: list[str] = []
        self.socket = LiveSocket(
            self.world.ports(),
            CALL,
            on_event=self.heard.append,
            on_broken=self._broke,
            before=self._before,
            is_known=is_known,
        )
        self.task = asyncio.ensure_future(self.socket.run())

    def _broke(self) -> None:
        self.breaks += 1

    async def _before(self, key: str) -> None:
        self.waited_for.append(key)
        await self.saved.wait()

    async def end(self, seconds: float = 30) -> SocketEnd:
        await self.world.time.go_on(seconds)
        return await self.task


async def test_a_call_that_does_not_exist_was_refused_and_one_that_did_is_closed() -> None:
    assert await Live(is_alive=False).end() is SocketEnd.REFUSED
    assert await Live(is_alive=False, is_known=True).end() is SocketEnd.CLOSED


@pytest.mark.parametrize(("is_known", "seconds"), [(False, 3.0), (True, 1.0)])
async def test_just_after_the_accept_a_missing_call_is_doubted_for_longer(is_known: bool, seconds: float) -> None:
    live = Live(is_alive=False, is_known=is_known)
    await live.world.time.go_on(seconds - 0.1)
    assert not live.task.done()
    await live.world.time.go_on(0.1)
    assert live.task.done()


async def test_events_are_read_and_unknown_ones_left_out() -> None:
    live = Live()
    await live.world.time.settle()
    live.world.socket.hear("something.new", item_id="x")
    live.world.socket.hear("input_audio_buffer.speech_started", item_id="item_1")
    live.world.end()
    assert await live.end() is SocketEnd.CLOSED
    assert [type(event).__name__ for event in live.heard] == ["SessionCreated", "CallerSpeaking"]
    assert live.breaks == 1


async def test_commands_are_sent_in_their_order_also_when_one_waits_for_its_entry() -> None:
    live = Live()
    await live.world.time.settle()
    live.socket.send({"type": "response.create"}, after="note:greeted")
    live.socket.send({"type": "response.cancel"})
    await live.world.time.settle()
    assert (live.world.socket.types(), live.waited_for) == ([], ["note:greeted"])
    live.saved.set()
    await live.world.time.settle()
    assert live.world.socket.types() == ["response.create", "response.cancel"]
    live.task.cancel()


async def test_what_was_to_be_said_on_a_socket_that_broke_is_not_said_on_the_next() -> None:
    live = Live()
    await live.world.time.settle()
    live.socket.send({"type": "response.create"}, after="note:greeted")
    live.world.socket.close(clean=False)
    await live.world.time.settle()
    live.socket.send({"type": "response.cancel"})
    await live.world.time.go_on(1)
    live.saved.set()
    live.socket.send({"type": "session.update"})
    await live.world.time.settle()
    assert [socket.types() for socket in live.world.sockets] == [[], ["session.update"]]
    live.task.cancel()


async def test_a_command_on_a_socket_that_has_just_closed_ends_nothing() -> None:
    live = Live()
    await live.world.time.settle()
    live.world.socket.is_open = False
    live.socket.send({"type": "response.create"})
    await live.world.time.settle()
    assert not live.task.done()
    live.world.end()
    live.world.socket.close(clean=True)
    assert await live.end() is SocketEnd.CLOSED


async def test_once_the_call_is_hung_up_a_broken_socket_is_its_end() -> None:
    live = Live()
    await live.world.time.settle()
    live.socket.expect_end()
    live.world.socket.close(clean=False)
    assert await live.end(0) is SocketEnd.CLOSED
    assert len(live.world.sockets) == 1


async def test_pauses_grow_while_it_cannot_be_opened_and_start_anew_once_it_was() -> None:
    live = Live(attach_fails=[ServiceUnavailable("no route")] * 3)
    await live.world.time.go_on(0.2 + 0.4 + 0.8 - 0.1)
    assert live.world.sockets == []
    await live.world.time.go_on(0.1)
    assert len(live.world.sockets) == 1
    live.world.socket.close(clean=False)
    await live.world.time.go_on(0.2)
    assert len(live.world.sockets) == 2
    failed, again = live.world.reports
    assert "cannot be opened" in failed
    assert "was opened again" in again
    live.task.cancel()


async def test_an_error_that_no_repetition_helps_against_is_raised() -> None:
    live = Live(attach_fails=[AuthenticationError("401")])
    with pytest.raises(AuthenticationError):
        await live.end(0)
