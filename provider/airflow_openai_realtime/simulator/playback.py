"""The audio that the caller hears: one response after the other, each to its end or until it is cleared."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from airflow_openai_realtime.simulator.clock import Timer
from airflow_openai_realtime.simulator.server_events import Event


class Playback:
    """
    The output audio buffer of a call.

    :param emit: Sends an event.
    :param later: Lets something happen after simulated seconds.
    :param on_started: Called when the caller begins to hear something.
    :param on_drained: Called when there is nothing more to hear.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        later: Callable[[float, Callable[[], None]], Timer],
        on_started: Callable[[], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._emit = emit
        self._later = later
        self._on_started = on_started
        self._on_drained = on_drained
        self._waiting: deque[tuple[str, float]] = deque()
        self._timer: Timer | None = None
        self.playing: str | None = None

    def play(self, response_id: str, seconds: float) -> None:
        """Play a response, after what is playing now."""
        self._waiting.append((response_id, seconds))
        if self.playing is None:
            self._next()

    def clear(self) -> bool:
        """Cut off what is playing and forget the rest; False when there was nothing."""
        if self.playing is None:
            return False
        response_id = self.playing
        self.stop()
        self._emit({"type": "output_audio_buffer.cleared", "response_id": response_id})
        self._on_drained()
        return True

    def stop(self) -> None:
        """Stop without a word: the call is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        self.playing = None

    def _next(self) -> None:
        self.playing, seconds = self._waiting.popleft()
        self._emit({"type": "output_audio_buffer.started", "response_id": self.playing})
        self._timer = self._later(seconds, self._played)
        self._on_started()

    def _played(self) -> None:
        # Audio is made faster than it is played: the buffer drains after the response is done.
        self._emit({"type": "output_audio_buffer.stopped", "response_id": self.playing})
        self.playing = None
        if self._waiting:
            self._next()
        else:
            self._on_drained()
