"""
Our sideband at the simulator: what OpenAI was seen to do, each with a test.

Sources: OpenAI's guides on SIP and server controls; reports of users, 2025 and 2026.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from tests.unit.simulator.support import CALLER, PERSON

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.api.sideband.commands import function_output, say, update_session
from airflow_openai_realtime.api.sideband.connection import Sideband, attach
from airflow_openai_realtime.api.sideband.events import (
    ACTIVE_RESPONSE,
    SESSION_EXPIRED,
    AgentSaid,
    AudioCleared,
    AudioStopped,
    CallerSaid,
    CallerSpeaking,
    CallerTranscriptFailed,
    FunctionCall,
    KeyPressed,
    ResponseDone,
    ResponseStarted,
    SessionCreated,
    SessionError,
    SessionUpdated,
    read_event,
)
from airflow_openai_realtime.exceptions import CallGone
from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply, Simulator

pytestmark = pytest.mark.realtime_simulator(speed=0, settle_seconds=30)

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    "tools": [{"type": "function", "name": "book", "parameters": {"type": "object", "properties": {}}}],
}
Kind = TypeVar("Kind")


@pytest.fixture
def settings(realtime_simulator: Simulator) -> ApiSettings:
    return ApiSettings(
        realtime_simulator.api_key, endpoints_for(base_url=realtime_simulator.openai_base_url), timeout_seconds=30
    )


class Reader:
    """Reads a sideband's events in their typed form."""

    def __init__(self, sideband: Sideband, simulator: Simulator) -> None:
        self.sideband = sideband
        self._simulator = simulator
        self._events = aiter(sideband)
        self.seen: list[Any] = []

    async def until(self, kind: type[Kind], meets: Callable[[Kind], bool] = lambda event: True) -> Kind:
        """The next event of a kind."""
        while True:
            event = read_event(await asyncio.wait_for(anext(self._events), 30))
            self.seen.append(event)
            if isinstance(event, kind) and meets(event):
                return event

    async def to_the_end(self) -> None:
        """Read until the socket closes."""
        with pytest.raises(StopAsyncIteration):
            await self.until(type("Never", (), {}))

    async def advance(self, seconds: float) -> None:
        await asyncio.to_thread(self._simulator.clock.advance, seconds)

    async def send(self, command: dict[str, Any]) -> None:
        """Send a command, and wait until the simulator has it."""
        log = self._simulator.log
        before = len(log.of_kind("sideband.command"))
        await self.sideband.send(command)
        arrived = lambda: len(log.of_kind("sideband.command")) > before  # noqa: E731
        assert await asyncio.to_thread(self._simulator.wait_for, arrived, timeout_seconds=30)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.seen if isinstance(event, kind)]


async def accept(simulator: Simulator, settings: ApiSettings, script: PhoneScript) -> str:
    call_id = simulator.call_in(PERSON, CALLER, script=script)
    async with CallsClient(settings) as client:
        await client.asend(accept_call(call_id, SESSION))
    return call_id


@asynccontextmanager
async def attached(
    simulator: Simulator, settings: ApiSettings, *moves: Move, replies: tuple[Any, ...] = ("Hello.", "I see.")
) -> AsyncIterator[Reader]:
    script = PhoneScript.talks_for_ever(dialogue=Dialogue(replies, moves))
    call_id = await accept(simulator, settings, script)
    async with attach(settings, call_id) as sideband:
        reader = Reader(sideband, simulator)
        await reader.until(SessionCreated)
        yield reader


async def test_an_accept_that_is_answered_and_then_dies_has_no_sideband(
    realtime_simulator: Simulator, settings: ApiSettings
) -> None:
    realtime_simulator.faults.dead_session()
    call_id = await accept(realtime_simulator, settings, PhoneScript.talks_for_ever())
    with pytest.raises(CallGone):
        async with attach(settings, call_id, retry_seconds=0):
            pass
    assert realtime_simulator.log.call(call_id=call_id).ended_by == "dead_session"


@pytest.mark.realtime_simulator(speed=0, settle_seconds=30, sideband_ready_seconds=0.7)
async def test_a_socket_that_is_opened_too_early_is_tried_again(
    realtime_simulator: Simulator, settings: ApiSettings
) -> None:
    call_id = await accept(realtime_simulator, settings, PhoneScript.talks_for_ever())
    refused = lambda: realtime_simulator.log.of_kind("sideband.refused")  # noqa: E731

    async def be_ready() -> None:
        assert await asyncio.to_thread(realtime_simulator.wait_for, refused)
        await asyncio.to_thread(realtime_simulator.clock.advance, 1)

    waiting = asyncio.ensure_future(be_ready())
    async with attach(settings, call_id, retry_seconds=60) as sideband:
        await Reader(sideband, realtime_simulator).until(SessionCreated)
    await waiting
    assert refused()[0].detail["answer"] == 404


async def test_a_change_without_its_type_is_an_error_and_ours_always_has_it(
    realtime_simulator: Simulator, settings: ApiSettings
) -> None:
    async with attached(realtime_simulator, settings) as reader:
        await reader.send({"type": "session.update", "session": {"instructions": "x"}, "event_id": "event_mine"})
        error = await reader.until(SessionError)
        assert (error.message, error.event_id) == ("Missing required parameter: 'session.type'.", "event_mine")
        await reader.send(update_session(tools=[{"type": "function", "name": "other"}]))
        assert (await reader.until(SessionUpdated)).tools == ({"type": "function", "name": "other"},)


async def test_a_call_that_ends_closes_the_socket_without_a_frame(
    realtime_simulator: Simulator, settings: ApiSettings
) -> None:
    async with attached(realtime_simulator, settings, Move.hangs_up()) as reader:
        await reader.advance(2)
        await reader.to_the_end()
        assert not reader.sideband.clean_end
        with pytest.raises(CallGone):
            async with attach(settings, reader.sideband.call_id, retry_seconds=0):
                pass


@pytest.mark.realtime_simulator(speed=0, settle_seconds=30, clean_sideband_close=True)
async def test_a_socket_that_breaks_can_be_attached_again(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    async with attached(realtime_simulator, settings, Move.socket_breaks(), Move.says("Hello?")) as reader:
        await reader.advance(1)
        await reader.to_the_end()
        assert not reader.sideband.clean_end
    async with attach(settings, reader.sideband.call_id) as sideband:
        again = Reader(sideband, realtime_simulator)
        assert (await again.until(SessionCreated)).session_id == reader.of(SessionCreated)[0].session_id
        await again.advance(10)
        assert (await again.until(CallerSaid)).text == "Hello?"


@pytest.mark.realtime_simulator(speed=0, settle_seconds=30, clean_sideband_close=True)
async def test_a_clean_close_is_told_apart(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    async with attached(realtime_simulator, settings, Move.hangs_up()) as reader:
        await reader.advance(2)
        await reader.to_the_end()
        assert reader.sideband.clean_end


@pytest.mark.parametrize("while_ringing", [True, False])
async def test_a_hang_up_that_openai_notices_late_leaves_a_session_with_nobody(
    realtime_simulator: Simulator, settings: ApiSettings, while_ringing: bool
) -> None:
    script = PhoneScript(
        talks_for_seconds=1, gives_up_after_seconds=1 if while_ringing else None, hang_up_noticed_after_seconds=60
    )
    call_id = realtime_simulator.call_in(PERSON, CALLER, script=script)
    if while_ringing:
        await asyncio.to_thread(realtime_simulator.clock.advance, 2)
    async with CallsClient(settings) as client:
        await client.asend(accept_call(call_id, SESSION))
    async with attach(settings, call_id) as sideband:
        reader = Reader(sideband, realtime_simulator)
        await reader.until(SessionCreated)
        await reader.advance(5)
        row = realtime_simulator.log.call(call_id=call_id)
        assert (row.phone_up, row.open, row.ended_by) == (False, True, "caller")
        await reader.advance(60)
        await reader.to_the_end()
    assert not realtime_simulator.log.open_calls()
    assert bool(realtime_simulator.log.of_kind("phone.talking")) is not while_ringing


async def test_what_was_not_transcribed_before_the_hang_up_is_lost(
    realtime_simulator: Simulator, settings: ApiSettings
) -> None:
    moves = (Move.says("My number is", transcript_after_seconds=9), Move.hangs_up(when="anyway"))
    async with attached(realtime_simulator, settings, *moves) as reader:
        await reader.advance(20)
        await reader.to_the_end()
    assert reader.of(CallerSpeaking)
    assert not reader.of(CallerSaid)
    assert realtime_simulator.log.said(reader.sideband.call_id, "caller") == [("caller", "My number is")]


async def test_a_session_that_hits_its_limit_says_so_and_closes(
    realtime_simulator: Simulator, settings: ApiSettings
) -> None:
    async with attached(realtime_simulator, settings) as reader:
        await reader.advance(3600)
        await reader.to_the_end()
    assert [error.code for error in reader.of(SessionError)] == [SESSION_EXPIRED]


async def test_keys_come_as_they_are_pressed(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    async with attached(realtime_simulator, settings, Move.presses("42#")) as reader:
        await reader.advance(3)
        for _ in range(3):
            await reader.until(KeyPressed)
        assert "".join(event.key for event in reader.of(KeyPressed)) == "42#"
        assert all(event.received_at is not None for event in reader.of(KeyPressed))


async def test_an_interruption_cancels_and_clears(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    replies = (Reply("Let me tell you a long story.", makes_for_seconds=5), "Sorry.")
    async with attached(realtime_simulator, settings, Move.interrupts("Stop!"), replies=replies) as reader:
        await reader.send(say("Greet.", metadata={"why": "greeting"}))
        assert (await reader.until(ResponseStarted)).metadata == {"why": "greeting"}
        await reader.advance(20)
        cleared = await reader.until(AudioCleared)
        done = await reader.until(ResponseDone)
        assert (done.response_id, done.status, done.reason) == (cleared.response_id, "cancelled", "turn_detected")
        assert done.usage is None
        await reader.until(AgentSaid, lambda said: said.text == "Sorry.")
        await reader.until(AudioStopped)


async def test_a_tool_call_makes_the_round(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    replies = (Reply.calls("book", {"seats": 4}), "Booked.")
    async with attached(realtime_simulator, settings, replies=replies) as reader:
        await reader.send(say())
        await reader.advance(1)
        called = await reader.until(FunctionCall)
        done = await reader.until(ResponseDone)
        assert [call.tool_call_id for call in done.function_calls] == [called.tool_call_id]
        assert done.function_calls[0].status == "completed"
        await reader.send(function_output(called.tool_call_id, '{"ok": true}'))
        await reader.send(say())
        await reader.advance(3)
        assert (await reader.until(AgentSaid)).text == "Booked."
    (answered,) = realtime_simulator.log.of_kind("session.tool_answered")
    assert answered.detail["output"] == '{"ok": true}'


async def test_a_response_asked_for_too_early_is_an_error(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    async with attached(realtime_simulator, settings) as reader:
        await reader.send(say())
        await reader.send({**say(), "event_id": "event_second"})
        error = await reader.until(SessionError)
        assert (error.code, error.event_id) == (ACTIVE_RESPONSE, "event_second")


async def test_transcripts_come_late_or_fail(realtime_simulator: Simulator, settings: ApiSettings) -> None:
    moves = (Move.says("Hello?", transcript_after_seconds=4), Move.says("Anybody?", transcript="failed"))
    async with attached(realtime_simulator, settings, *moves) as reader:
        await reader.advance(20)
        await reader.until(ResponseDone)
        assert not reader.of(CallerSaid)
        assert (await reader.until(CallerTranscriptFailed)).message
        said = await reader.until(CallerSaid)
        assert said.text == "Hello?"
        assert said.usage is not None
