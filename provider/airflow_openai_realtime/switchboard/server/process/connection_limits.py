"""
Limits for the connections of a standalone switchboard: each ends in time, and a flood cannot use them up.

Uvicorn limits how long an idle connection is kept, and nothing else: a request whose head or body comes one byte a
minute keeps its connection, also when it was answered long before with 401, and so does a peer that does not read its
answer. A process has some hundreds or thousands of connections; when they are used up, OpenAI's deliveries are refused.

Behind a proxy such connections do not arrive here. Mounted in Airflow's API server, the server is Airflow's.
Source: https://www.uvicorn.org/settings/ (its limits)
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from airflow_openai_realtime.switchboard.server.process import logs

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl

log = logging.getLogger(__name__)

MOST_HEAD_BYTES = 64 * 1024

HEAD_SECONDS = 10.0
"""How long request line and headers may take, from connecting or from their first byte."""

MESSAGE_SECONDS = 30.0
"""How long a whole request may take to arrive, from the same moment on, whether or not it has been answered."""

IDLE_SECONDS = 30.0
"""How long a connection is kept between requests. Uvicorn closes it earlier, but not in every case."""

UNREAD_SECONDS = 30.0
"""How long a peer may leave an answer unread."""

MOST_CONNECTIONS = 4096
"""Of one worker process, as far as it may open so many files."""

SPARE_FILES = 128
"""Of the files that a process may have open: those that are no connections of this kind."""

LOG_EVERY_SECONDS = 10.0

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"


class _Closable(Protocol):
    transport: asyncio.Transport


class Connections:
    """
    The connections of a process.

    Those that wait for their peer (for a request, or the rest of one) make room for new ones, the oldest first. So a
    delivery, which is there within milliseconds, gets through while any number of slow connections is open.

    :param most: How many may be open; ``None``: as many as the process can have.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most or most_connections()
        self._open: set[_Closable] = set()
        self._waiting: dict[_Closable, None] = {}  # the one that waits longest is first
        self.closed: Counter[str] = Counter()
        """How many were ended from here, by the reason."""
        self._unsaid: Counter[str] = Counter()
        self._log_timer: asyncio.TimerHandle | None = None

    def opened(self, connection: _Closable) -> bool:
        """
        Count a new connection.

        :param connection: The connection.
        :returns: Whether there is room for it.
        """
        if len(self._open) >= self._most and not self._make_room():
            self.note("refused")
            return False
        self._open.add(connection)
        return True

    def waits(self, connection: _Closable, *, is_waiting: bool) -> None:
        """
        Note whether a connection waits for its peer.

        :param connection: The connection.
        :param is_waiting: Whether its peer owes it something.
        """
        if not is_waiting:
            self._waiting.pop(connection, None)
        elif connection in self._open:
            self._waiting.setdefault(connection)

    def lost(self, connection: _Closable) -> None:
        """
        Forget a connection.

        :param connection: The connection.
        """
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def note(self, reason: str) -> None:
        """
        Log that a connection was ended from here: the first at once, more of them together a little later.

        :param reason: Why it was ended: a word for the log.
        """
        self.closed[reason] += 1
        self._unsaid[reason] += 1
        if self._log_timer is None:
            self._say()
            self._log_timer = asyncio.get_running_loop().call_later(LOG_EVERY_SECONDS, self._say_later)

    def _make_room(self) -> bool:
        for connection in self._waiting:
            self.note("made_room")
            connection.transport.abort()
            self.lost(connection)
            return True
        return False

    def _say_later(self) -> None:
        self._log_timer = None
        if self._unsaid:
            self._say()
            self._log_timer = asyncio.get_running_loop().call_later(LOG_EVERY_SECONDS, self._say_later)

    def _say(self) -> None:
        fields = {"open": len(self._open), "waiting": len(self._waiting), "most": self._most}
        log.warning(logs.line("connections.closed", **self._unsaid, **fields))
        self._unsaid.clear()


def most_connections() -> int:
    """How many connections a process can have, by its limit for open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, max(32, files - SPARE_FILES))


def allow_many_files() -> None:
    """Let this process and its workers open as many files as the system lets it, up to what connections need."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if files != resource.RLIM_INFINITY and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


_of_this_process: list[Connections] = []


def connections_of_this_process() -> Connections:
    """The connections of this worker."""
    if not _of_this_process:
        _of_this_process.append(Connections())
    return _of_this_process[0]


def _limit_of(part: str) -> float:
    return {LimitedConnection.HEAD: HEAD_SECONDS, LimitedConnection.BODY: MESSAGE_SECONDS}.get(part, IDLE_SECONDS)


class LimitedConnection:
    """
    What both of uvicorn's protocols get in addition; stands before them among the base classes.

    A class says by :meth:`receiving` which part of a request is still to come.

    :param arguments: Those of uvicorn's protocol.
    :param keywords: Those of uvicorn's protocol.
    """

    HEAD, BODY, IDLE, NOTHING = "head", "body", "idle", ""

    # Of uvicorn's protocols.
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    cycle: Any

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._connections = connections_of_this_process()
        self._has_asked = False  # whether a whole request was there
        self._since = 0.0
        self._part: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def receiving(self) -> str:
        """Which part of a request is still to come: ``head``, ``body``, or ``""`` when none has begun."""
        raise NotImplementedError

    def connection_made(self, transport: Any) -> None:
        """Wait a limited time for the first request."""
        super().connection_made(transport)  # type: ignore[misc]
        if self._connections.opened(self):
            self.look()
        else:
            transport.write(_TOO_MANY)
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.stop_unread_timer()
        self._connections.lost(self)
        super().connection_lost(error)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        """Parse, and see what is still to come."""
        super().data_received(data)  # type: ignore[misc]
        self.look()

    def on_response_complete(self) -> None:
        """The answer was handed over; it may still be on its way, and the request may not be there completely."""
        super().on_response_complete()  # type: ignore[misc]
        if self.transport.get_write_buffer_size():
            self.start_unread_timer()
        self.look()

    def pause_writing(self) -> None:
        """The peer does not read."""
        super().pause_writing()  # type: ignore[misc]
        self.start_unread_timer()

    def resume_writing(self) -> None:
        """The peer has read."""
        super().resume_writing()  # type: ignore[misc]
        self.stop_unread_timer()

    def look(self) -> None:
        """See what the connection waits for, and start or stop its timer."""
        part = self.receiving()
        if part == self.NOTHING:
            is_answering = self.cycle is not None and not self.cycle.response_complete
            self._has_asked = self._has_asked or self.cycle is not None
            part = self.NOTHING if is_answering else self.IDLE if self._has_asked else self.HEAD
        self._connections.waits(self, is_waiting=part != self.NOTHING)
        if part == self._part:
            return
        if (self._part, part) != (self.HEAD, self.BODY):
            self._since = self.loop.time()
        self._part = part
        self._stop_timer()
        if part != self.NOTHING:
            self._timer = self.loop.call_at(self._since + _limit_of(part), self._give_up)

    def refuse_large_head(self) -> None:
        """End a connection whose request has too large a head."""
        if not self.transport.is_closing():
            self._connections.note("large_head")
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def start_unread_timer(self) -> None:
        """Give the peer some time to read."""
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._give_up_unread)

    def stop_unread_timer(self) -> None:
        """The peer has read."""
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self._connections.note("idle" if self._part == self.IDLE else f"slow_{self._part}")
        self.transport.abort()

    def _give_up_unread(self) -> None:
        self._unread_timer = None
        if self.transport.get_write_buffer_size():
            self._connections.note("unread_answer")
            self.transport.abort()
