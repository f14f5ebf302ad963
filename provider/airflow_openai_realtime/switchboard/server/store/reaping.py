"""Store of the reaper: finds overdue calls and leases them to a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import OPEN_CALL_STATES, CallState, EndedBy, EndReason, Witness
from airflow_openai_realtime.switchboard.server.store.call_ends import lock_conversation, without_result, write_result
from airflow_openai_realtime.switchboard.server.store.call_rows import find_call
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls

SWEEP = 1000
"""How many calls one sweep takes on; the next one takes the rest."""


@dataclass(frozen=True)
class OverdueCall:
    """
    A call to end now: past its ``hangup_at``, or its end was asked for.

    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
    :param state: ``accepted``; ``claimed`` when it was not reported that the accept got through; ``ringing``.
    :param due_at: Since when it should be over.
    :param tries: How often ending it was tried before.
    :param reason: Why it is ended.
    :param by: Who wants that.
    :param status_code: SIP status to decline it with while it rings; ``None``: the usual one.
    :param may_be_accepted: Whether an accept request may have left.
    :param maybe_hung_up: Whether an earlier hang-up was sent whose answer is not known.
    """

    line: str
    call_id: str
    state: str
    due_at: datetime
    tries: int
    reason: str = EndReason.MAX_DURATION
    by: str = EndedBy.LIMIT
    status_code: int | None = None
    may_be_accepted: bool = True
    maybe_hung_up: bool = False

    @property
    def account(self) -> Account:
        """The account of its end once it was ended."""
        return Account(Witness.API, self.reason, self.by)


class Reaping:
    """
    Overdue calls of all lines.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    def overdue(self, connection: Connection, now: datetime) -> list[OverdueCall]:
        """
        Calls to end now that no other worker is busy with, the longest overdue first.

        :param connection: A connection with an open transaction; given by the decorator.
        :param now: The time, aware.
        """
        return _overdue(connection, now)

    @writes
    def take(
        self, connection: Connection, call: OverdueCall, now: datetime, lease_seconds: float
    ) -> OverdueCall | None:
        """
        Take a call to end it: no other worker does for the length of the lease.

        That it is about to be hung up, and why, is committed by this, before OpenAI is asked.

        :param connection: A connection with an open transaction; given by the decorator.
        :param call: The call.
        :param now: The time, aware.
        :param lease_seconds: For how many seconds no other process takes it.
        :returns: The call as it is now; ``None`` when another worker has it, or it is not to end any more.
        """
        found = _overdue(connection, now, call)
        if not found:
            return None
        (current,) = found
        wanted = {
            "end_wanted": current.reason,
            "end_wanted_by": current.by,
            "end_wanted_at": current.due_at,
            "end_due_at": current.due_at,
        }
        lease: dict[str, Any] = {"hangup_not_before": now + timedelta(seconds=lease_seconds), "hangup_sent_at": now}
        lease |= {"version": calls.c.version + 1}  # who takes the call up at this moment looks again
        same = (calls.c.line == call.line, calls.c.call_id == call.call_id, *_is_free_and_due(now))
        update = calls.update().where(*same).values(**wanted, **lease)
        return current if connection.execute(update).rowcount == 1 else None

    @writes
    def postpone(
        self,
        connection: Connection,
        call: OverdueCall,
        now: datetime,
        pause_seconds: float,
        *,
        maybe_hung_up: bool = True,
    ) -> None:
        """
        Delay the next try after a failure.

        :param connection: A connection with an open transaction; given by the decorator.
        :param call: The call.
        :param now: The time, aware.
        :param pause_seconds: For how many seconds it is left alone.
        :param maybe_hung_up: Whether the hang-up may have been carried out.
        """
        until = now + timedelta(seconds=pause_seconds)
        values: dict[str, Any] = {"hangup_not_before": until, "hangup_tries": call.tries + 1}
        if not (maybe_hung_up or call.maybe_hung_up):
            values["hangup_sent_at"] = None
        update = calls.update().where(calls.c.line == call.line, calls.c.call_id == call.call_id).values(**values)
        connection.execute(update)

    def write_late_results(self, now: datetime) -> list[tuple[str, str]]:
        """
        Write the results of calls that are over and whose owners wrote none.

        :param now: The time, aware.
        :returns: (line, call id) of those calls.
        """
        found = self._database.read(lambda connection: without_result(connection, now))

        def work(connection: Connection, line: str, call_id: str) -> bool:
            row = lock_conversation(connection, line, call_id)
            if row is None or row.finished_at is not None:
                return False
            call, _ = find_call(connection, line, call_id)
            write_result(connection, call, row, now)
            return True

        return [key for key in found if self._database.write(partial(work, line=key[0], call_id=key[1]))]

    @reads
    def lapsed(self, connection: Connection, now: datetime, claim_seconds: float) -> list[tuple[str, str]]:
        """
        Return (line, call id) of ringing calls that were claimed too long ago without an announced accept.

        :param connection: A connection with an open transaction; given by the decorator.
        :param now: The time, aware.
        :param claim_seconds: How long a claim may stand without an accept, in seconds.
        """
        query = (
            select(calls.c.line, calls.c.call_id)
            .where(
                calls.c.state == CallState.CLAIMED,
                calls.c.hangup_at.is_(None),
                calls.c.order_lease_until.is_(None),
                calls.c.expires_at > now,
                calls.c.claimed_at <= now - timedelta(seconds=claim_seconds),
            )
            .order_by(calls.c.claimed_at)
            .limit(SWEEP)
        )
        return [(row.line, row.call_id) for row in connection.execute(query)]

    @reads
    def rung_out(self, connection: Connection, now: datetime, grace_seconds: float) -> list[tuple[str, str]]:
        """
        Return (line, call id) of calls that were not claimed in time, or claimed but not accepted in time.

        :param connection: A connection with an open transaction; given by the decorator.
        :param now: The time, aware.
        :param grace_seconds: How long after its ringing a claimed call is still not missed, in seconds.
        """
        late = now - timedelta(seconds=grace_seconds)
        query = (
            select(calls.c.line, calls.c.call_id)
            .where(
                or_(
                    and_(calls.c.state == CallState.RINGING, calls.c.expires_at <= now),
                    and_(calls.c.state == CallState.CLAIMED, calls.c.hangup_at.is_(None), calls.c.expires_at <= late),
                )
            )
            .order_by(calls.c.expires_at)
            .limit(SWEEP)
        )
        return [(row.line, row.call_id) for row in connection.execute(query)]


def _overdue(connection: Connection, now: datetime, only: OverdueCall | None = None) -> list[OverdueCall]:
    # Each condition has an index of its own; of both at once, some databases use none.
    found: dict[tuple[str, str], OverdueCall] = {}
    for is_due, order in ((_is_wanted(now), calls.c.end_due_at), (_is_past_its_time(now), calls.c.hangup_at)):
        query = select(*_FIELDS).where(is_due, _is_free(now)).order_by(order).limit(SWEEP)
        if only is not None:
            query = query.where(calls.c.line == only.line, calls.c.call_id == only.call_id).with_for_update()
        for row in connection.execute(query):
            found.setdefault((row.line, row.call_id), _read(row, now))
    return sorted(found.values(), key=lambda call: call.due_at)[:SWEEP]


def _read(row: Any, now: datetime) -> OverdueCall:
    is_wanted = row.end_due_at is not None and row.end_due_at <= now
    return OverdueCall(
        line=row.line,
        call_id=row.call_id,
        state=row.state,
        due_at=row.end_due_at if is_wanted else row.hangup_at,
        tries=row.hangup_tries,
        reason=row.end_wanted if is_wanted else EndReason.MAX_DURATION,
        by=row.end_wanted_by if is_wanted else EndedBy.LIMIT,
        status_code=row.status_code,
        may_be_accepted=row.hangup_at is not None,
        maybe_hung_up=row.hangup_sent_at is not None,
    )


_FIELDS = [
    calls.c[name]
    for name in (
        "line",
        "call_id",
        "state",
        "hangup_at",
        "hangup_tries",
        "hangup_sent_at",
        "end_wanted",
        "end_wanted_by",
        "end_due_at",
        "status_code",
    )
]


def _is_wanted(now: datetime) -> ColumnElement[bool]:
    return and_(calls.c.state.in_(OPEN_CALL_STATES), calls.c.end_due_at <= now)


def _is_past_its_time(now: datetime) -> ColumnElement[bool]:
    return and_(calls.c.state.in_((CallState.CLAIMED, CallState.ACCEPTED)), calls.c.hangup_at <= now)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(calls.c.hangup_not_before.is_(None), calls.c.hangup_not_before <= now)


def _is_free_and_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return _is_free(now), or_(_is_wanted(now), _is_past_its_time(now))
