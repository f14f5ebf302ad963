"""Measures silence in a call."""

from __future__ import annotations

from datetime import datetime, timedelta


class QuietClock:
    """
    Sums silence until the caller or the model speaks unprompted.

    Speech that silence itself triggers (the model asking whether the caller is still there) stops the clock, but does
    not reset it.

    :param limit_seconds: Longest silence in seconds, above 0; ``None``: no limit.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        self._limit = None if limit_seconds is None else timedelta(seconds=limit_seconds)
        self._since: datetime | None = None
        self._before = timedelta()

    def set(self, is_quiet: bool, now: datetime) -> None:
        """
        Record whether it is quiet from now on.

        :param is_quiet: Whether it is quiet.
        :param now: Current time, aware.
        """
        if is_quiet and self._since is None:
            self._since = now
        elif not is_quiet and self._since is not None:
            self._before += max(timedelta(), now - self._since)
            self._since = None

    def start_again(self, now: datetime) -> None:
        """
        Reset the sum: the caller or the model spoke.

        :param now: Current time, aware.
        """
        self._before = timedelta()
        if self._since is not None:
            self._since = now

    @property
    def ends_at(self) -> datetime | None:
        """When the silence will reach its limit; ``None`` while it is not quiet, or without a limit."""
        if self._limit is None or self._since is None:
            return None
        return self._since + self._limit - self._before
