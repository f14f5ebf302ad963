"""What the reaper asks of the store: which calls are overdue, and which of them are its own to end for now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select

from airflow_openai_realtime.switchboard.records import ACCEPTED, CLAIMED, RINGING
from airflow_openai_realtime.switchboard.store.database import Database
from airflow_openai_realtime.switchboard.store.tables import calls

SWEEP = 1000
"""How many calls one sweep takes on; the next one takes the rest."""


@dataclass(frozen=True)
class OverdueCall:
    """
    A call past its ``hangup_at``.

    :param state: ``accepted``, or ``claimed`` when nobody has said that the accept request got through.
    :param tries: How often hanging up was tried before.
    """

    line: str
    call_id: str
    state: str
    hangup_at: datetime
    tries: int


class Reaping:
    """Overdue calls of all lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def overdue(self, now: datetime) -> list[OverdueCall]:
        """Calls to hang up now that no other worker is busy with, the longest overdue first."""
        query = (
            select(calls.c.line, calls.c.call_id, calls.c.state, calls.c.hangup_at, calls.c.hangup_tries)
            .where(*_free_and_overdue(now))
            .order_by(calls.c.hangup_at)
            .limit(SWEEP)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [OverdueCall(*row) for row in rows]

    def take(self, call: OverdueCall, now: datetime, lease_seconds: float) -> bool:
        """Whether this worker may hang up the call; if so, no other one may for the length of the lease."""
        return self._hold(call, now, lease_seconds, free_only=True)

    def postpone(self, call: OverdueCall, now: datetime, pause_seconds: float) -> None:
        """After a failure: nobody tries again before the pause is over."""
        self._hold(call, now, pause_seconds, free_only=False)

    def rung_out(self, now: datetime, grace_seconds: float) -> list[tuple[str, str]]:
        """(line, call id) of calls that nobody claimed, or that were claimed but never accepted, in time."""
        late = now - timedelta(seconds=grace_seconds)
        query = (
            select(calls.c.line, calls.c.call_id)
            .where(
                or_(
                    and_(calls.c.state == RINGING, calls.c.expires_at <= now),
                    and_(calls.c.state == CLAIMED, calls.c.hangup_at.is_(None), calls.c.expires_at <= late),
                )
            )
            .order_by(calls.c.expires_at)
            .limit(SWEEP)
        )
        return self._database.read(lambda connection: [(row.line, row.call_id) for row in connection.execute(query)])

    def _hold(self, call: OverdueCall, now: datetime, seconds: float, *, free_only: bool) -> bool:
        same: list[ColumnElement[bool]] = [calls.c.line == call.line, calls.c.call_id == call.call_id]
        if free_only:
            same += _free_and_overdue(now)
        until = now + timedelta(seconds=seconds)
        tries = call.tries if free_only else call.tries + 1
        update = calls.update().where(*same).values(hangup_not_before=until, hangup_tries=tries)
        return self._database.write(lambda connection: connection.execute(update).rowcount == 1)


def _free_and_overdue(now: datetime) -> list[ColumnElement[bool]]:
    return [
        calls.c.state.in_((CLAIMED, ACCEPTED)),
        calls.c.hangup_at <= now,
        or_(calls.c.hangup_not_before.is_(None), calls.c.hangup_not_before <= now),
    ]
