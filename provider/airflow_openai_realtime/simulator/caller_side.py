"""
The person's side of a call: the moves of the script, one after the other, as the session hears them.

Source: https://developers.openai.com/api/docs/guides/realtime-vad and .../realtime-transcription
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from airflow_openai_realtime.simulator import server_events
from airflow_openai_realtime.simulator.clock import Timer
from airflow_openai_realtime.simulator.model_side import ModelSide, Surroundings
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.server_events import new_id

#: How long a person waits for the model to do something before they go on, in simulated seconds.
PATIENCE_SECONDS = 30.0
_KEY_SECONDS = 0.2


class CallSurroundings(Surroundings, Protocol):
    """What the person's side needs of the call."""

    def now(self) -> float:
        """The simulated instant, in Unix seconds."""

    def at_ms(self) -> int:
        """Milliseconds since the call was accepted."""

    def person_is_there(self) -> bool:
        """Whether the person has not hung up."""

    def leave(self) -> None:
        """The person hangs up."""

    def fail(self, move: Move) -> None:
        """The session has an error, and may die of it."""

    def expire(self) -> None:
        """The session hits its longest time."""

    def break_off(self) -> None:
        """All sidebands break off."""


class CallerSide:
    """
    What the person does.

    :param call: The call.
    :param model: Who they talk with.
    :param moves: What they do, in order.
    :param repeats: Whether they do it again and again.
    """

    def __init__(
        self, call: CallSurroundings, model: ModelSide, moves: Iterable[Move], *, repeats: bool = False
    ) -> None:
        self._call = call
        self._model = model
        self._moves = deque(moves)
        self._repeats = repeats
        self._timer: Timer | None = None
        self._patience: Timer | None = None
        self._waits_for: Move | None = None
        self._begun = False
        self._busy = False
        self._idle: Timer | None = None

    def begin(self) -> None:
        """Make the first move. Beginning twice changes nothing."""
        if not self._begun:
            self._begun = True
            self._next()

    def add(self, moves: Iterable[Move]) -> None:
        """More moves, after those that are left; they begin now when nothing is left."""
        self._moves.extend(moves)
        self._begun = True
        if not self._busy and self._waits_for is None:
            self._next()

    def model_begun(self) -> None:
        """The model begins to answer: who waits for it to be quiet waits on."""
        self._stop(self._idle)
        if self._waits_for is not None and self._waits_for.when == "quiet":
            self._stop(self._timer)
            self._timer = None

    def model_speaking(self) -> None:
        """The caller begins to hear the model."""
        if self._waits_for is not None and self._waits_for.when == "speaking":
            self._arm(self._waits_for)

    def model_quiet(self) -> None:
        """The model has said all."""
        self._await_idleness()
        if self._waits_for is not None and self._waits_for.when == "quiet":
            self._arm(self._waits_for)

    def _next(self) -> None:
        self._busy = False
        self._waits_for = self._moves.popleft() if self._moves else None
        move = self._waits_for
        if move is None:
            return
        if self._repeats:
            self._moves.append(move)
        if move.when == "anyway" or (move.when == "quiet" and self._model.quiet):
            self._arm(move)
        if move.when != "anyway":
            self._patience = self._call.later(PATIENCE_SECONDS + move.after_seconds, partial(self._make, move))

    def _arm(self, move: Move) -> None:
        if self._timer is None:
            self._timer = self._call.later(move.after_seconds, partial(self._make, move))

    def _make(self, move: Move) -> None:
        if move is not self._waits_for:
            return
        self._waits_for, self._busy = None, True
        self._stop(self._timer)
        self._stop(self._patience)
        self._timer = None
        person = move.kind in ("says", "presses", "hangs_up")
        if person and not self._call.person_is_there():
            self._next()
            return
        act: Mapping[str, Callable[[Move], None]] = {
            "says": self._speak,
            "presses": self._press,
            "waits": lambda move: self._next(),
            "hangs_up": lambda move: self._at_once(self._call.leave),
            "session_error": lambda move: self._at_once(partial(self._call.fail, move)),
            "session_expires": lambda move: self._at_once(self._call.expire),
            "socket_breaks": lambda move: self._at_once(self._call.break_off),
        }
        act[move.kind](move)

    def _at_once(self, happen: Callable[[], None]) -> None:
        happen()
        self._next()

    def _speak(self, move: Move) -> None:
        item_id, detection = new_id("item"), self._detection()
        self._stop(self._idle)
        if detection is not None:
            self._call.emit(server_events.speech_started(item_id, self._call.at_ms()))
            if detection.get("interrupt_response") is not False:
                self._model.interrupt()
        self._call.later(server_events.spoken_seconds(move.text), partial(self._spoken, move, item_id))

    def _spoken(self, move: Move, item_id: str) -> None:
        if not self._call.person_is_there():
            self._next()
            return
        detection = self._detection()
        heard = detection is not None
        self._call.note("said", speaker="caller", text=move.text, item_id=item_id, heard=heard)
        if detection is not None:
            self._call.emit(server_events.speech_stopped(item_id, self._call.at_ms()))
            self._commit(item_id)
            self._transcribe(move, item_id)
            if detection.get("create_response") is not False and not self._model.responding:
                self._model.respond({})
        self._next()

    def _commit(self, item_id: str) -> None:
        previous = self._call.follow(item_id)
        self._call.emit(server_events.committed(item_id, previous))
        for event in server_events.item_events(["added", "done"], server_events.caller_message(item_id), previous):
            self._call.emit(event)

    def _transcribe(self, move: Move, item_id: str) -> None:
        config = self._input().get("transcription")
        if not isinstance(config, Mapping) or move.transcript == "never":
            return
        model = str(config.get("model", ""))
        self._call.later(move.transcript_after_seconds, partial(self._transcribed, move, item_id, model))

    def _transcribed(self, move: Move, item_id: str, model: str) -> None:
        self._call.note("transcribed", item_id=item_id, text=move.text, status=move.transcript)
        if move.transcript == "failed":
            self._call.emit(server_events.transcription_failed(item_id))
            return
        for event in server_events.transcription(item_id, move.text, model):
            self._call.emit(event)

    def _press(self, move: Move, place: int = 0) -> None:
        if place == len(move.keys) or not self._call.person_is_there():
            self._next()
            return
        self._call.note("pressed", key=move.keys[place])
        self._call.emit(server_events.key_pressed(move.keys[place], self._call.now()))
        self._call.later(_KEY_SECONDS, partial(self._press, move, place + 1))

    def _await_idleness(self) -> None:
        """Start the session's ``idle_timeout_ms``, if it has one: it counts from the model's last word."""
        timeout_ms = (self._detection() or {}).get("idle_timeout_ms")
        self._stop(self._idle)
        if isinstance(timeout_ms, (int, float)) and not self._busy:
            self._idle = self._call.later(timeout_ms / 1000, partial(self._idle_timeout, timeout_ms))

    def _idle_timeout(self, timeout_ms: float) -> None:
        item_id, at_ms = new_id("item"), self._call.at_ms()
        self._call.note("idle_timeout")
        self._call.emit(server_events.idle_timeout(item_id, max(0, at_ms - int(timeout_ms)), at_ms))
        self._commit(item_id)
        self._model.respond({})

    def _detection(self) -> Mapping[str, Any] | None:
        """The session's turn detection; None: it is off. Left out it is OpenAI's default, server VAD."""
        detection = self._input().get("turn_detection", {})
        return detection if isinstance(detection, Mapping) else None

    def _input(self) -> Mapping[str, Any]:
        values = self._call.values.get("audio", {}).get("input", {})
        return values if isinstance(values, Mapping) else {}

    def _stop(self, timer: Timer | None) -> None:
        if timer is not None:
            timer.cancel()
