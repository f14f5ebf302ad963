"""
The simulator's time, and the timers that run on it.

Every delay in the simulator is a timer here, so a test can jump over hours with :meth:`Clock.advance`. The clock also
owns the one lock that guards all of the simulator's state: timers fire while it is held.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

from airflow_openai_realtime.exceptions import InvalidInput

_logger = logging.getLogger(__name__)


class Timer:
    """Something that will happen at an instant of simulated time."""

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Make sure that it does not happen. Cancelling twice, or afterwards, changes nothing."""
        self.cancelled = True


class Clock:
    """
    Simulated time. It goes with real time unless it is sped up, stopped or advanced.

    :param speed: Simulated seconds per real second, 0 or more; 0 stands still.
    :param settle_seconds: How long :meth:`advance` waits, in real seconds, for work that is on its way.
    """

    def __init__(self, *, speed: float = 1.0, settle_seconds: float = 1.0) -> None:
        self.lock = threading.RLock()
        self.settle_seconds = settle_seconds
        self._changed = threading.Condition(self.lock)
        self._one_advance = threading.Lock()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._speed = speed
        self._held = False
        self._anchor = (time.time(), time.monotonic())
        self._work = 0
        self._thread: threading.Thread | None = None
        self._stopped = False

    def now(self) -> float:
        """The simulated instant, in Unix seconds."""
        with self.lock:
            simulated, real = self._anchor
            if self._held or not self._speed:
                return simulated
            return simulated + (time.monotonic() - real) * self._speed

    def now_at(self) -> datetime:
        """The simulated instant, aware, in UTC."""
        return datetime.fromtimestamp(self.now(), tz=timezone.utc)

    @property
    def speed(self) -> float:
        """Simulated seconds per real second; may be set."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed < 0:
            raise InvalidInput(f"speed is {speed}; give 0 (time stands still) or more", field="speed")
        with self._changed:
            self._set(self.now())
            self._speed = speed
            self._changed.notify_all()

    @property
    def has_timers(self) -> bool:
        """Whether something is going to happen."""
        with self.lock:
            return self._next() is not None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """
        Let something happen after a while.

        :param seconds: Simulated seconds from now; below 0 counts as 0.
        :param callback: Called without arguments, with the lock held, on the clock's or the advancing thread.
        """
        with self._changed:
            timer = Timer(self.now() + max(0.0, seconds), callback)
            heapq.heappush(self._timers, (timer.due, next(self._numbers), timer))
            self._changed.notify_all()
            return timer

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds; 0 or less returns at once."""
        if seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)
            self.end_work()

        def fire() -> None:
            self.begin_work()
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:  # the loop is closed, so no coroutine waits
                self.end_work()

        timer = self.call_later(seconds, fire)
        try:
            await woken
        finally:
            timer.cancel()

    def begin_work(self) -> None:
        """Say that something is on its way in real time; :meth:`advance` waits for it before time moves on."""
        with self.lock:
            self._work += 1

    def end_work(self) -> None:
        """Say that it has arrived."""
        with self._changed:
            self._work = max(0, self._work - 1)
            self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """
        Jump ahead. Timers that fall due fire in order, each at its own instant.

        Before each step, and at the end, it waits for webhook deliveries that are on their way, at most
        ``settle_seconds`` of real time. Call it from a thread that does not have to answer these deliveries itself; in
        an async test use ``await asyncio.to_thread(clock.advance, seconds)``.

        :param seconds: How far, in simulated seconds, 0 or more.
        :raises InvalidInput: It would go back.
        """
        if seconds < 0:
            raise InvalidInput(f"cannot advance the clock by {seconds} s; time only goes forward", field="seconds")
        with self._one_advance:
            with self._changed:
                target = self.now() + seconds
                self._set(self.now())
                self._held = True
            try:
                while self._step(target):
                    pass
            finally:
                with self._changed:
                    self._settle()
                    self._held = False
                    self._set(self._anchor[0])
                    self._changed.notify_all()

    def start(self) -> None:
        """Let timers fire by themselves as time passes. Without it they fire in :meth:`advance` only."""
        with self.lock:
            self._stopped = False
            self._thread = threading.Thread(target=self._run, name="simulator-clock", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop firing timers; returns when the clock's thread has ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def reset(self, *, speed: float, settle_seconds: float) -> None:
        """Forget all timers and go back to real time."""
        with self._changed:
            for _, _, timer in self._timers:
                timer.cancel()
            self._timers.clear()
            self._speed = speed
            self.settle_seconds = settle_seconds
            self._set(time.time())
            self._changed.notify_all()

    def _step(self, target: float) -> bool:
        """Fire the next timer up to an instant, or go to that instant when there is none."""
        with self._changed:
            self._settle()
            timer = self._next()
            if timer is None or timer.due > target:
                self._set(max(target, self._anchor[0]))
                return False
            heapq.heappop(self._timers)
            self._set(max(timer.due, self._anchor[0]))
            timer.callback()
            return True

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                timer = self._next()
                if timer is None or self._held or not self._speed:
                    self._changed.wait()
                    continue
                wait_seconds = (timer.due - self.now()) / self._speed
                if wait_seconds > 0:
                    self._changed.wait(min(wait_seconds, threading.TIMEOUT_MAX))
                    continue
                heapq.heappop(self._timers)
                try:
                    timer.callback()
                except Exception:
                    # One call that goes wrong must not stop the time of all others.
                    _logger.exception("A timer of the simulator failed")

    def _next(self) -> Timer | None:
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][2] if self._timers else None

    def _settle(self) -> None:
        self._changed.wait_for(lambda: self._work == 0, timeout=self.settle_seconds)

    def _set(self, simulated: float) -> None:
        self._anchor = (simulated, time.monotonic())
