"""The conversation of one live call: its session, both sides of it, and who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_openai_realtime.simulator import server_events
from airflow_openai_realtime.simulator.attachment import Attachment
from airflow_openai_realtime.simulator.caller_side import CallerSide
from airflow_openai_realtime.simulator.calls import Calls, SimulatedCall
from airflow_openai_realtime.simulator.clock import Clock, Timer
from airflow_openai_realtime.simulator.log import Log
from airflow_openai_realtime.simulator.model_side import ModelSide
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.refusals import Refusal, missing_parameter
from airflow_openai_realtime.simulator.server_events import Event, new_id

_STARTS_AT_LATEST_SECONDS = 10.0


class Conversation:
    """
    What goes on in a live call, with or without a sideband.

    :param call: The call, just accepted.
    :param calls: Ends it.
    :param clock: The simulator's clock.
    :param log: The simulator's log.
    """

    def __init__(self, call: SimulatedCall, calls: Calls, clock: Clock, log: Log) -> None:
        self.call = call
        self.values = _session_values(call, clock.now(), calls.session_limit_seconds)
        self._calls = calls
        self._clock = clock
        self._log = log
        self._attachments: list[Attachment] = []
        self._timers: set[Timer] = set()
        self._last_item_id: str | None = None
        self._over = False
        dialogue = call.dialogue
        self.model = ModelSide(
            self,
            dialogue,
            on_begun=lambda: self.caller.model_begun(),
            on_speaking=lambda: self.caller.model_speaking(),
            on_quiet=lambda: self.caller.model_quiet(),
        )
        self.caller = CallerSide(self, self.model, dialogue.moves, repeats=dialogue.repeats)
        if dialogue.moves:
            self.later(0 if dialogue.starts == "accepted" else _STARTS_AT_LATEST_SECONDS, self.caller.begin)

    def attach(self, attachment: Attachment) -> None:
        """Let a client listen; it gets the session first."""
        self._attachments.append(attachment)
        self._log.add("sideband.attached", self.call.record)
        _send([attachment], {"type": "session.created", "session": self.values})
        self.caller.begin()

    def detach(self, attachment: Attachment) -> None:
        """Stop feeding a client."""
        if attachment in self._attachments:
            self._attachments.remove(attachment)
            self._log.add("sideband.detached", self.call.record)

    def update(self, command: Event) -> None:
        """
        Change the session.

        :raises Refusal: The command says not what, or not for which type of session.
        """
        changes = command.get("session")
        if not isinstance(changes, dict):
            raise missing_parameter("session")
        if "type" not in changes:
            # Staff explained in May 2026 that a session with this error swallows a later refer.
            self.call.refer_is_lost = True
            raise missing_parameter("session.type")
        self.values = _merged(self.values, changes)
        self.emit({"type": "session.updated", "session": self.values})

    def add_item(self, command: Event) -> None:
        """
        Add an item of the client's to the conversation.

        :raises Refusal: There is none, or it answers a call that the model did not make.
        """
        item = command.get("item")
        if not isinstance(item, dict):
            raise missing_parameter("item")
        output = item.get("type") == "function_call_output"
        if output:
            self.model.take_output(str(item.get("call_id")), item.get("output"))
        added = {"id": new_id("item"), "object": "realtime.item", "status": "completed", **item}
        for event in server_events.item_events(["added", "done"], added, self.follow(added["id"])):
            self.emit(event)
        if not output:
            self.note("item_added", item=item)

    def refuse(self, attachment: Attachment, refusal: Refusal, command_id: str | None) -> None:
        """Tell a client that its command cannot be carried out."""
        _send([attachment], server_events.error(refusal.openai_body()["error"], command_id))
        self._log.add("sideband.error", self.call.record, code=refusal.code, param=refusal.param)

    def end(self, ended_by: str) -> None:
        """The call is over: nothing more happens, the sidebands close."""
        self._over = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.model.stop()
        if ended_by == "session_limit":
            expired = Refusal(400, "session_expired", "Your session hit the maximum duration of 60 minutes.")
            self.emit(server_events.error(expired.openai_body()["error"]))
        for attachment in self._attachments:
            attachment.put(None)
        self._attachments.clear()

    def emit(self, event: Event) -> None:
        """Send an event to all who listen."""
        _send(self._attachments, event)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Let something happen after simulated seconds, unless the call is over by then."""

        def happen() -> None:
            self._timers.discard(timer)
            callback()

        self._timers = {each for each in self._timers if not each.cancelled}
        timer = self._clock.call_later(seconds, happen)
        if self._over:
            timer.cancel()
        self._timers.add(timer)
        return timer

    def note(self, kind: str, **detail: Any) -> None:
        """Write to the log what happened, and how many sidebands were there to hear of it."""
        self._log.add(f"session.{kind}", self.call.record, **detail, listeners=len(self._attachments))

    def follow(self, item_id: str) -> str | None:
        """Append an item to the conversation; returns the one before it."""
        previous, self._last_item_id = self._last_item_id, item_id
        return previous

    def now(self) -> float:
        """The simulated instant, in Unix seconds."""
        return self._clock.now()

    def at_ms(self) -> int:
        """Milliseconds since the call was accepted."""
        return int((self._clock.now() - (self.call.accepted_at or 0.0)) * 1000)

    def person_is_there(self) -> bool:
        """Whether the person has not hung up."""
        return not self.call.person_gone

    def leave(self) -> None:
        """The person hangs up."""
        self.call.leg.leave()

    def fail(self, move: Move) -> None:
        """The session has an error, and may die of it."""
        self.note("error", code=move.code, fatal=move.fatal)
        values = {"type": "server_error", "code": move.code, "message": move.message, "param": None}
        self.emit(server_events.error(values))
        if move.fatal:
            self._calls.end_session(self.call, "failed", "session_error")

    def expire(self) -> None:
        """The session hits its longest time."""
        self._calls.end_session(self.call, "completed", "session_limit")

    def break_off(self) -> None:
        """All sidebands break off without a close frame; the call goes on."""
        self.note("socket_broken")
        for attachment in self._attachments:
            attachment.break_off()


def _session_values(call: SimulatedCall, now: float, limit_seconds: float) -> Event:
    audio = _merged({"output": {"voice": "marin", "speed": 1.0}}, call.session.get("audio") or {})
    return {
        "object": "realtime.session",
        "id": new_id("sess"),
        "expires_at": int(now + limit_seconds),
        **call.session,
        "type": "realtime",
        "audio": audio,
    }


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Event:
    merged = dict(values)
    for name, change in changes.items():
        old = merged.get(name)
        merged[name] = _merged(old, change) if isinstance(old, dict) and isinstance(change, dict) else change
    return merged


def _send(attachments: list[Attachment], event: Event) -> None:
    # Alone among the events, a pressed key has no id.
    ids = {} if event["type"] == "input_audio_buffer.dtmf_event_received" else {"event_id": new_id("event")}
    for attachment in attachments:
        attachment.put({**ids, **event})
