"""
The standby listens to calls while their owner's process, for example a triggerer, is silent.

One runs in each worker. It records what is said on the timeline, for the next owner and for the transcript. It only
listens: it runs no tool, sends no command, ends no call and writes no outcome. When an owner is attached again, it
stops. Which worker listens is decided by leases in the store, so any number of workers can look; all leases of a
worker are renewed, and all that it has heard is written, in one transaction a second.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

from airflow_openai_realtime.api.sideband import connection, socket
from airflow_openai_realtime.calls.call import CallKey
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.timeline.entries import MOST_ENTRIES_AT_ONCE, TimelineEntry
from airflow_openai_realtime.exceptions import LinesUnavailable, StoreUnavailable
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.process.metrics import STANDBY_ACTIONS, Counters
from airflow_openai_realtime.switchboard.server.standby.standby_call import Attach, SocketEnd, StandbyCall
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.standing_by import Heard, Lease, Leave, SilentCall, Standing
from airflow_openai_realtime.switchboard.server.sweeps.sweep import Sweep
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

BEGAN = "began"
PROCESS_BACK = "process_back"
RELIEVED = "relieved"
STOPPED = "stopped"

_CLOSING_SECONDS = 2.0
_AT_ONCE = MOST_ENTRIES_AT_ONCE


class Standby:
    """
    Listens to calls of all lines.

    :param store: The store.
    :param lines: For the key to attach with.
    :param settings: Settings of the switchboard.
    :param now: The clock.
    :param counters: Where what it does is counted.
    :param attach: Opens the socket of a call; for tests.
    :param on_gone: Called with line and id of a call whose socket has ended.
    """

    def __init__(
        self,
        store: Store,
        lines: LineDirectory,
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        counters: Counters | None = None,
        attach: Attach = connection.attach,
        on_gone: Callable[[str, str], None] = lambda line, call_id: None,
    ) -> None:
        self._store = store.standing_by
        self._lines = lines
        self._settings = settings
        self._now = now
        self._counters = counters or Counters()
        self._attach = attach
        self._on_gone = on_gone
        self._threads = Executor(1, "switchboard-standby")
        self._lease = Lease(
            worker=uuid.uuid4().hex,
            seconds=settings.standby_lease_seconds,
            rest_seconds=settings.standby_rest_seconds,
            silent_after=settings.standby_after_seconds,
        )
        self._calls: dict[CallKey, StandbyCall] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()
        self.sweep = Sweep("standby", self._look, now, settings.standby_look_seconds)
        write_seconds = settings.standby_write_seconds
        self.writing = Sweep("standby", self._write, now, write_seconds, first_after_seconds=write_seconds)
        self.sweeps = (self.sweep, self.writing) if settings.standby_after_seconds else ()
        #: Whether this switchboard or its store was away, so that no process could show a sign of life.
        self._was_away = True

    def listening_to(self, line: str) -> int:
        """
        How many calls of a line this worker listens to.

        :param line: Name of the line.
        """
        return sum(of == line for of, _ in self._calls)

    async def look(self) -> None:
        """
        Look once for conversations without a listener, and begin to listen to them.

        :raises StoreUnavailable: The store does not answer.
        """
        silent = await self._threads.run(self._store.silent, self._lease, self._now())
        lines = await self._usable_lines({line for line, _ in silent})
        wanted = [key for key in silent if key[0] in lines and key not in self._calls]
        room = self._settings.standby_concurrency - len(self._calls)
        self._tell("full", len(wanted) > room, listening=len(self._calls), more=len(wanted) - room)
        if wanted[:room]:
            await self._threads.run(socket.load)
            for call in await self._threads.run(self._store.take, wanted[:room], self._lease, self._now()):
                self._begin(call, lines[call.line])
                await asyncio.sleep(0)  # each takes a millisecond to begin: what else this process does goes between

    async def write(self) -> None:
        """
        Write what was heard, renew the leases, and leave calls that have a holder again or are over.

        :raises StoreUnavailable: The store does not answer; it is written the next time.
        """
        listed = list(self._calls.values())
        answers = await self._hold(listed, lambda each: Leave.KEEP)
        leaving: list[StandbyCall] = []
        for each in listed:
            standing, generation = answers.get(each.call.key, (Standing.LOST, 0))
            if standing in (Standing.LOST, Standing.FINISHED):
                self._forget(each, standing.value)
                continue
            why = _why_leave(each, standing, generation)
            if why is not None:
                self._stop(each, why)
                leaving.append(each)
        await self._leave(leaving)

    async def close(self) -> None:
        """Hear nothing more, write what was heard, and let other workers listen."""
        listed = list(self._calls.values())
        for each in listed:
            self._stop(each, STOPPED)
        with suppress(StoreUnavailable):
            await self._write_all(listed, lambda each: Leave.RELEASE)
        for each in listed:
            self._calls.pop(each.call.key, None)
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSING_SECONDS)
        self._threads.close()

    async def _look(self) -> None:
        if self._was_away:
            self._was_away = False
            self._lease = replace(self._lease, up_since=self._now())
        with self._noticing_outages():
            await self.look()

    async def _write(self) -> None:
        with self._noticing_outages():
            await self.write()

    @contextmanager
    def _noticing_outages(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            self._was_away = True
            raise

    async def _usable_lines(self, names: Iterable[str]) -> dict[str, Line]:
        """Return the lines with a usable key; the standby does not listen to calls of other lines."""
        found: dict[str, Line] = {}
        for name in sorted(names):
            line = None
            with suppress(LinesUnavailable):
                line = await self._lines.find(name)
            self._tell(f"no_key_for {name}", line is None, line=name)
            if line is not None:
                found[name] = line
        return found

    def _begin(self, call: SilentCall, line: Line) -> None:
        begun = StandbyCall(call, uuid.uuid4().hex[:12], self._attach, self._now)
        self._calls[call.key] = begun
        begun.start(line.api)
        self._counters.add(STANDBY_ACTIONS, BEGAN, call.line)
        unheard = (self._now() - call.unheard_since).total_seconds()
        log.warning(logs.line("standby.began", line=call.line, call_id=call.call_id, unheard_seconds=round(unheard, 1)))

    async def _leave(self, leaving: Sequence[StandbyCall]) -> None:
        """Write the last that was heard in calls that were stopped; when that fails, the next round does it again."""
        for each in leaving:
            if each.stopped_for == PROCESS_BACK:
                each.hearing.stood_down(self._now())
        await self._write_all(leaving, lambda each: Leave.RELEASE if each.socket_end is None else Leave.REST)
        for each in leaving:
            self._forget(each, each.stopped_for or "")
            if each.socket_end is SocketEnd.GONE:
                self._on_gone(*each.call.key)

    async def _write_all(self, calls: Sequence[StandbyCall], leave: Callable[[StandbyCall], Leave]) -> None:
        """Write all that waits, then give up the leases."""
        rest = list(calls)
        while rest:
            await self._hold(rest, lambda each: Leave.KEEP if each.hearing.has_more_than(_AT_ONCE) else leave(each))
            rest = [each for each in rest if each.hearing.has_more_than(0)]

    async def _hold(
        self, calls: Sequence[StandbyCall], leave: Callable[[StandbyCall], Leave]
    ) -> dict[CallKey, tuple[Standing, int]]:
        if not calls:
            return {}
        now = self._now()
        batch = {each: each.hearing.waiting(_AT_ONCE) for each in calls}
        heard = [_heard(each, entries, leave(each), now) for each, entries in batch.items()]
        answers = await self._threads.run(self._store.hold, heard, self._lease, now)
        for each, entries in batch.items():
            each.hearing.written(entries)
        return answers

    def _stop(self, call: StandbyCall, why: str) -> None:
        task = call.stop(why)
        if task is not None and not task.done():
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _forget(self, call: StandbyCall, why: str) -> None:
        self._stop(call, why)
        self._calls.pop(call.call.key, None)
        self._counters.add(STANDBY_ACTIONS, why, call.call.line)
        log.info(logs.line("standby.ended", line=call.call.line, call_id=call.call.call_id, reason=why))

    def _tell(self, what: str, is_so: bool, **fields: object) -> None:
        """Log what has become so, once."""
        if not is_so:
            self._told.discard(what)
        elif what not in self._told:
            self._told.add(what)
            log.error(logs.line(f"standby.{what.split()[0]}", **fields))


def _why_leave(call: StandbyCall, standing: Standing, generation: int) -> str | None:
    """Why a call is listened to no more; ``None``: it is."""
    if call.stopped_for is not None:
        return call.stopped_for
    if call.socket_end is not None:
        return str(call.socket_end.value)
    if standing is Standing.OVER:
        return str(standing.value)
    if standing is not Standing.HELD:
        return None
    is_back = call.call.was_attached and generation == call.call.generation
    return PROCESS_BACK if is_back else RELIEVED


def _heard(call: StandbyCall, entries: Sequence[TimelineEntry], leave: Leave, now: datetime) -> Heard:
    return Heard(call.call.line, call.call.call_id, entries, call.hearing.heard_until(now), leave)
