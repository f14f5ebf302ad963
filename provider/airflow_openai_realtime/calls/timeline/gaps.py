"""Times in which no process listened to a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Gaps:
    """
    Times in which no process listened.

    A process that attaches reports the gap before it, as far as it knows. Two processes that attach after the same
    loss, such as the switchboard and another triggerer, report the same time: it counts once. Time in which the
    switchboard listened does not count.

    :param heard_until: Until when the switchboard itself has listened, aware; ``None``: it has not.
    """

    heard_until: datetime | None = None
    _unheard: list[tuple[datetime, datetime, str | None]] = field(default_factory=list)
    _stands_by_since: datetime | None = None
    _held_at: list[datetime] = field(default_factory=list)

    def attached(self, at: datetime, gap_seconds: float, lease: str | None = None) -> None:
        """
        Record that a process has begun to listen.

        :param at: Since when, aware.
        :param gap_seconds: Length of the gap before, in seconds, 0 or more.
        :param lease: Lease of the switchboard that listens; ``None``: the owner of the conversation listens.
        """
        self.unheard(at - timedelta(seconds=gap_seconds), at, lease)
        if lease is None:
            self._held_at.append(at)
        elif self._stands_by_since is None or at > self._stands_by_since:
            self._stands_by_since = at

    def unheard(self, since: datetime, until: datetime, lease: str | None = None) -> None:
        """
        Record a gap.

        :param since: When it began, aware.
        :param until: When it ended, aware.
        :param lease: Lease of the switchboard that reports it; ``None``: the owner of the conversation.
        """
        if until > since:
            self._unheard.append((since, until, lease))

    def not_missed(self, at: datetime, lease: str) -> None:
        """
        Withdraw the gaps reported under a lease: the owner was there, so the switchboard has stopped listening.

        :param at: When it stopped, aware.
        :param lease: Lease of the switchboard.
        """
        self._unheard = [each for each in self._unheard if each[2] != lease]
        self._held_at.append(at)

    def heard(self, until: datetime | None) -> None:
        """
        Record until when the switchboard has listened.

        :param until: The time, aware; ``None`` changes nothing.
        """
        if until is not None and (self.heard_until is None or until > self.heard_until):
            self.heard_until = until

    @property
    def seconds(self) -> float:
        """Longest possible time in which no process listened, in seconds."""
        total, counted_until = timedelta(), None
        for since, until in sorted(self._parts()):
            begins = since if counted_until is None else max(since, counted_until)
            if until > begins:
                total += until - begins
                counted_until = until
        return total.total_seconds()

    def _parts(self) -> Iterator[tuple[datetime, datetime]]:
        """Yield the gaps without the time in which the switchboard listened; a part may end before it begins."""
        heard_since, heard_until = self._stands_by_since, self.heard_until
        for since, until, _ in self._unheard:
            if heard_since is None or heard_until is None or heard_until <= heard_since:
                yield since, until
            else:
                # After that an owner listened again, and has reported gaps itself.
                stood_by_until = min([heard_until, *(at for at in self._held_at if at > heard_since)])
                yield since, min(until, heard_since)
                yield max(since, stood_by_until), until
