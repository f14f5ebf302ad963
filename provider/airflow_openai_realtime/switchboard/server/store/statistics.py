"""Figures of a line, from its calls in the store, so that every worker says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Select, case, func, select, type_coerce

from airflow_openai_realtime.states import FINAL_CALL_STATES, LONGEST_CALL_SECONDS, CallState, EndReason
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls

WINDOW_SECONDS = 3600.0
"""How far back the figures go that are about what happened, not about what is."""

ANSWER_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

REASONS = (
    EndReason.MAX_DURATION,
    EndReason.GONE,
    EndReason.HANG_UP_FAILED,
    EndReason.HUNG_UP,
    EndReason.ENDED,
    EndReason.ACCEPT_FAILED,
    EndReason.STOPPED,
    EndReason.KILLED,
    EndReason.DECIDED_ELSEWHERE,
    EndReason.REJECT_FAILED,
    EndReason.END_CALL,
    EndReason.BUSY,
    EndReason.NO_ANSWER,
    EndReason.CARRIER_FAILED,
    EndReason.COMPLETED,
    EndReason.CALLER_HUNG_UP,
    EndReason.SILENCE,
    EndReason.TRANSFER_REQUESTED,
    EndReason.FAILED,
    EndReason.UNKNOWN,
)
"""Reasons that are named; whatever else a client gave counts as :data:`OTHER`, since it may say anything."""

OTHER = "other"


@dataclass(frozen=True)
class LineStatistics:
    """
    Figures of one line.

    :param by_state: Number of calls in the store, in each state.
    :param oldest_ringing: Arrival of the oldest ringing call without an owner, aware; None when there is none.
    :param answered: Number of calls that came in by a webhook within the window and were accepted.
    :param answered_within: How many of them within each of :data:`ANSWER_BUCKETS`.
    :param answer_seconds: From arrival to accept, of all of them together.
    :param over: By state and reason (empty but for ended calls): number of calls that came to an end within the window.
    """

    by_state: Mapping[str, int]
    oldest_ringing: datetime | None
    answered: int
    answered_within: tuple[int, ...]
    answer_seconds: float
    over: Mapping[tuple[str, str], int]


class Statistics:
    """
    Figures of all lines.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    def of_line(self, connection: Connection, line: str, now: datetime) -> LineStatistics:
        """
        The figures of a line, in one transaction.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param now: The time, aware.
        """
        since = now - timedelta(seconds=WINDOW_SECONDS)
        by_state = select(calls.c.state, func.count()).where(calls.c.line == line).group_by(calls.c.state)
        rings = (calls.c.line == line, calls.c.state == CallState.RINGING, calls.c.expires_at > now)
        states: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_state)}
        oldest = connection.execute(select(func.min(calls.c.received_at)).where(*rings)).scalar()
        answers = connection.execute(_answers(line, since)).one()
        return LineStatistics(
            by_state={state: states.get(state, 0) for state in CallState},
            oldest_ringing=oldest,
            answered=answers.amount,
            answered_within=tuple(int(amount or 0) for amount in answers[2:]),
            answer_seconds=float(answers.seconds or 0.0),
            over=_over(connection, line, since),
        )


def _answers(line: str, since: datetime) -> Select[Any]:
    seconds = type_coerce(calls.c.accepted_at, Double) - type_coerce(calls.c.received_at, Double)
    within = [func.sum(case((seconds <= bound, 1), else_=0)) for bound in ANSWER_BUCKETS]
    figures: list[ColumnElement[Any]] = [func.count().label("amount"), func.sum(seconds).label("seconds"), *within]
    return select(*figures).where(
        calls.c.line == line,
        calls.c.state.in_((CallState.ACCEPTED, CallState.ENDED)),
        calls.c.received_at > since,
        calls.c.accepted_at.is_not(None),
        calls.c.webhook_id.is_not(None),  # the start of ringing is not known for others
    )


def _over(connection: Connection, line: str, since: datetime) -> dict[tuple[str, str], int]:
    longest = timedelta(seconds=2 * LONGEST_CALL_SECONDS)
    query = (
        select(calls.c.state, calls.c.end_reason, func.count().label("amount"))
        .where(
            calls.c.line == line,
            calls.c.state.in_(FINAL_CALL_STATES),
            calls.c.received_at > since - longest,  # for the index
            calls.c.ended_at > since,
        )
        .group_by(calls.c.state, calls.c.end_reason)
    )
    over: dict[tuple[str, str], int] = {(state, ""): 0 for state in FINAL_CALL_STATES if state != CallState.ENDED}
    over |= {(CallState.ENDED, reason): 0 for reason in (*REASONS, OTHER)}
    for row in connection.execute(query):
        reason = "" if row.state != CallState.ENDED else row.end_reason if row.end_reason in REASONS else OTHER
        over[row.state, reason] += row.amount
    return over
