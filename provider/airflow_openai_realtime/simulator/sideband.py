"""
Sessions as their sidebands see them: events out, commands in, one conversation per call.

No sockets here: an attached client is a queue. Steps of the dialogue run on the simulator's clock.

Source: https://developers.openai.com/api/docs/guides/voice-server-controls
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.clock import Clock, Timer
from airflow_openai_realtime.simulator.dialogue import Event, Step
from airflow_openai_realtime.simulator.log import Log
from airflow_openai_realtime.simulator.refusals import Refusal, missing_parameter

_SESSION_SECONDS = 3600
_SILENT_COMMANDS = (
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
)


class Attachment:
    """
    One client attached to a session.

    :param loop: Event loop of the socket that is fed from it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event | None) -> None:
        """Hand an event over from any thread; None: the session is over."""
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, event)
        except RuntimeError:  # the loop is closed: the simulator is stopping
            return

    async def get(self) -> Event | None:
        """The next event; None when the session is over."""
        return await self._queue.get()


@dataclass
class Session:
    """The conversation of one call, and who listens to it."""

    call: SimulatedCall
    values: dict[str, Any]
    attachments: list[Attachment] = field(default_factory=list)
    responses: int = 0
    active_response: Event | None = None
    speaking: str | None = None
    timers: list[Timer] = field(default_factory=list)


class Sidebands:
    """
    The sessions of all live calls.

    :param clock: The simulator's clock.
    :param log: The simulator's log.
    """

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._sessions: dict[str, Session] = {}

    def attach(self, call: SimulatedCall, attachment: Attachment) -> bool:
        """
        Let a client listen to a live call; it gets ``session.created`` first.

        :param call: The call.
        :param attachment: The client.
        :return: False when the call is not live (any more).
        """
        with self._clock.lock:
            if call.state != "accepted":
                return False
            session = self._sessions.get(call.call_id)
            if session is None:
                session = Session(call, _session_values(call, self._clock.now()))
                self._sessions[call.call_id] = session
                call.on_end.append(lambda ended_by: self._end(session, ended_by))
            session.attachments.append(attachment)
            self._log.add("sideband.attached", call.record)
            _send([attachment], {"type": "session.created", "session": session.values})
            return True

    def detach(self, call: SimulatedCall, attachment: Attachment) -> None:
        """Stop feeding a client; the call goes on."""
        with self._clock.lock:
            session = self._sessions.get(call.call_id)
            if session is not None and attachment in session.attachments:
                session.attachments.remove(attachment)
                self._log.add("sideband.detached", call.record)

    def receive(self, call: SimulatedCall, attachment: Attachment, text: str) -> None:
        """
        Carry out a command of a client.

        :param call: Its call.
        :param attachment: The client; errors go to it alone.
        :param text: The command, JSON.
        """
        with self._clock.lock:
            session = self._sessions.get(call.call_id)
            if session is None:
                return
            command: Any = None
            try:
                command = _parse(text)
                self._log.add("sideband.command", call.record, type=command["type"])
                self._carry_out(session, command)
            except Refusal as refusal:
                command_id = command.get("event_id") if isinstance(command, dict) else None
                _send([attachment], _error(refusal, command_id))
                self._log.add("sideband.error", call.record, code=refusal.code, param=refusal.param)

    def _carry_out(self, session: Session, command: Event) -> None:
        kind = command["type"]
        if kind == "session.update":
            self._update(session, command)
        elif kind == "response.create":
            self._respond(session, command)
        elif kind == "response.cancel":
            self._cancel(session)
        elif kind == "conversation.item.create":
            self._add_item(session, command)
        elif kind == "output_audio_buffer.clear":
            self._clear_audio(session)
        elif kind not in _SILENT_COMMANDS:
            raise Refusal(400, "invalid_value", f"Invalid value: '{kind}'.", param="type")

    def _update(self, session: Session, command: Event) -> None:
        changes = command.get("session")
        if not isinstance(changes, dict):
            raise missing_parameter("session")
        if "type" not in changes:
            # Staff explained in May 2026 that a session with this error swallows a later refer.
            session.call.refer_is_lost = True
            raise missing_parameter("session.type")
        session.values = _merged(session.values, changes)
        _send(session.attachments, {"type": "session.updated", "session": session.values})

    def _respond(self, session: Session, command: Event) -> None:
        if session.active_response is not None:
            raise Refusal(
                400,
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress. Wait until it is finished.",
            )
        request = command.get("response")
        voice = session.values.get("audio", {}).get("output", {}).get("voice", "marin")
        steps = session.call.dialogue.reply(session.responses, request if isinstance(request, dict) else {}, str(voice))
        session.responses += 1
        self._play(session, steps)

    def _play(self, session: Session, steps: Iterator[Step]) -> None:
        step = next(steps, None)
        if step is None:
            return

        def happen() -> None:
            self._note_response(session, step.event)
            _send(session.attachments, step.event)
            self._play(session, steps)

        if step.after_seconds <= 0:
            happen()
        else:
            session.timers.append(self._clock.call_later(step.after_seconds, happen))

    def _note_response(self, session: Session, event: Event) -> None:
        if event["type"] == "response.created":
            session.active_response = event["response"]
        elif event["type"] == "response.done":
            session.active_response = None
        elif event["type"] == "output_audio_buffer.started":
            session.speaking = event["response_id"]
        elif event["type"] == "output_audio_buffer.stopped":
            session.speaking = None

    def _cancel(self, session: Session) -> None:
        response = session.active_response
        if response is None:
            raise Refusal(400, "response_cancel_not_active", "Cancellation failed: no active response found")
        self._stop_playing(session)
        details = {"type": "cancelled", "reason": "client_cancelled"}
        done = {**response, "status": "cancelled", "status_details": details}
        _send(session.attachments, {"type": "response.done", "response": done})

    def _clear_audio(self, session: Session) -> None:
        if session.speaking is not None:
            response_id = session.speaking
            self._stop_playing(session)
            _send(session.attachments, {"type": "output_audio_buffer.cleared", "response_id": response_id})

    def _add_item(self, session: Session, command: Event) -> None:
        item = command.get("item")
        if not isinstance(item, dict):
            raise missing_parameter("item")
        added = {"id": _id("item"), "object": "realtime.item", "status": "completed", **item}
        for kind in ("conversation.item.added", "conversation.item.done"):
            _send(session.attachments, {"type": kind, "previous_item_id": None, "item": added})

    def _end(self, session: Session, ended_by: str) -> None:
        self._stop_playing(session)
        self._sessions.pop(session.call.call_id, None)
        if ended_by == "session_limit":
            expired = Refusal(400, "session_expired", "Your session hit the maximum duration of 60 minutes.")
            _send(session.attachments, _error(expired, None))
        for attachment in session.attachments:
            attachment.put(None)
        session.attachments.clear()

    def _stop_playing(self, session: Session) -> None:
        for timer in session.timers:
            timer.cancel()
        session.timers.clear()
        session.active_response = None
        session.speaking = None


def _parse(text: str) -> Event:
    try:
        command = json.loads(text)
    except ValueError as error:
        raise Refusal(400, "invalid_json", "The command is not valid JSON.") from error
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        raise missing_parameter("type")
    return command


def _session_values(call: SimulatedCall, now: float) -> Event:
    audio = _merged({"output": {"voice": "marin", "speed": 1.0}}, call.session.get("audio") or {})
    return {
        "object": "realtime.session",
        "id": _id("sess"),
        "expires_at": int(now) + _SESSION_SECONDS,
        **call.session,
        "type": "realtime",
        "audio": audio,
    }


def _merged(values: Event, changes: Event) -> Event:
    merged = dict(values)
    for name, change in changes.items():
        old = merged.get(name)
        merged[name] = _merged(old, change) if isinstance(old, dict) and isinstance(change, dict) else change
    return merged


def _error(refusal: Refusal, command_id: str | None) -> Event:
    return {"type": "error", "error": {**refusal.openai_body()["error"], "event_id": command_id}}


def _send(attachments: list[Attachment], event: Event) -> None:
    for attachment in attachments:
        attachment.put({"event_id": _id("event"), **event})


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:24]}"
