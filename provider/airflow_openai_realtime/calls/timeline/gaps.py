"""For how long nobody listened to a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Gaps:
    """
    When nobody listened.

    Whoever attaches says for how long nobody had, as far as it knows. Two who attach after the same loss, such as the
    switchboard and another triggerer, speak of the same time: it counts once. What the switchboard heard until then
    does not count.

    :param heard_until: Until when the switchboard itself has listened.
    """

    heard_until: datetime | None = None
    _unheard: list[tuple[datetime, datetime, str | None]] = field(default_factory=list)
    _stands_by_since: datetime | None = None
    _held_at: list[datetime] = field(default_factory=list)

    def attached(self, at: datetime, gap_seconds: float, lease: str | None = None) -> None:
        """
        Note that somebody listens.

        :param at: Since when.
        :param gap_seconds: For how long nobody had, in seconds.
        :param lease: Of the switchboard that listens; ``None``: it is a holder.
        """
        self.unheard(at - timedelta(seconds=gap_seconds), at, lease)
        if lease is None:
            self._held_at.append(at)
        elif self._stands_by_since is None or at > self._stands_by_since:
            self._stands_by_since = at

    def unheard(self, since: datetime, until: datetime, lease: str | None = None) -> None:
        """
        Note a time in which nobody listened.

        :param since: When it began, aware.
        :param until: When it ended, aware; not later than ``since``: no time at all.
        :param lease: Id of the lease under which the switchboard listened meanwhile.
        """
        if until > since:
            self._unheard.append((since, until, lease))

    def not_missed(self, at: datetime, lease: str) -> None:
        """
        Note that the holder was there while the switchboard listened under a lease, which it does not any more.

        :param at: When the holder was there, aware.
        :param lease: Id of the lease.
        """
        self._unheard = [each for each in self._unheard if each[2] != lease]
        self._held_at.append(at)

    def heard(self, until: datetime | None) -> None:
        """
        Note until when the switchboard has listened; ``None``: nothing new.

        :param until: Aware instant, or ``None``.
        """
        if until is not None and (self.heard_until is None or until > self.heard_until):
            self.heard_until = until

    @property
    def seconds(self) -> float:
        """For how long at most nobody listened, in seconds."""
        total, counted_until = timedelta(), None
        for since, until in sorted(self._parts()):
            begins = since if counted_until is None else max(since, counted_until)
            if until > begins:
                total += until - begins
                counted_until = until
        return total.total_seconds()

    def _parts(self) -> Iterator[tuple[datetime, datetime]]:
        """What nobody heard, without what the switchboard did; a part that ends before it begins is none."""
        heard_since, heard_until = self._stands_by_since, self.heard_until
        for since, until, _ in self._unheard:
            if heard_since is None or heard_until is None or heard_until <= heard_since:
                yield since, until
            else:
                # Then a holder listened again, and has told of gaps itself.
                stood_by_until = min([heard_until, *(at for at in self._held_at if at > heard_since)])
                yield since, min(until, heard_since)
                yield max(since, stood_by_until), until
