"""How long nobody has spoken."""

from __future__ import annotations

from datetime import datetime, timedelta


class QuietClock:
    """
    Adds up the time in which nothing is heard, until somebody speaks of their own accord.

    Something that is heard only because it was quiet (the model asking whether anybody is there) stops the clock, but
    does not set it back.

    :param limit_seconds: How long it may be quiet, in seconds; ``None``: for ever.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        self._limit = None if limit_seconds is None else timedelta(seconds=limit_seconds)
        self._since: datetime | None = None
        self._before = timedelta()

    def set(self, is_quiet: bool, now: datetime) -> None:
        """
        Say whether it is quiet from now on.

        :param is_quiet: Whether nobody speaks.
        :param now: The time, aware.
        """
        if is_quiet and self._since is None:
            self._since = now
        elif not is_quiet and self._since is not None:
            self._before += max(timedelta(), now - self._since)
            self._since = None

    def start_again(self, now: datetime) -> None:
        """
        Somebody spoke: what was quiet before does not count.

        :param now: The time, aware.
        """
        self._before = timedelta()
        if self._since is not None:
            self._since = now

    @property
    def ends_at(self) -> datetime | None:
        """When it will have been quiet for too long; ``None`` while something is heard."""
        if self._limit is None or self._since is None:
            return None
        return self._since + self._limit - self._before
