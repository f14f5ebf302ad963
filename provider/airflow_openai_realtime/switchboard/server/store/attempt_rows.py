"""The ledger in the store: one row for each attempt, so that no phone is dialed twice, and first starts of DAG runs."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from airflow_openai_realtime.api.phone_numbers import canonical_number
from airflow_openai_realtime.calls.call import ATTEMPT_MOVES, Attempt
from airflow_openai_realtime.exceptions import InvalidInput, MoveRefused, UnknownCall
from airflow_openai_realtime.states import AttemptOutcome, AttemptState, RefusalCode
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, upserts, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import attempts, run_starts

PAGE = 1000
LONGEST_KEY = 200
"""Length of campaign and contact in the table, in characters; longer ones are stored by a digest."""


class Attempts:
    """
    The attempts of all lines. A request for a line never finds those of another line.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @upserts
    def reserve(
        self,
        connection: Connection,
        line: str,
        campaign: str,
        contact: str,
        attempt: int,
        to_number: str,
        now: datetime,
        owner: str | None = None,
    ) -> Attempt:
        """
        Return the row of an attempt; make and commit it if there is none.

        A new row gets a correlation id of 128 random bits. A contact that is a phone number counts in its one spelling.
        A row in state ``reserved`` passes to the task that requests it now, since that task dials; any other row stays
        unchanged.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param campaign: Name of the campaign.
        :param contact: Name of the contact.
        :param attempt: Number of the attempt, 1 or more.
        :param to_number: Number to dial, E.164.
        :param now: The time, aware.
        :param owner: Name of the task that dials.
        """
        key = {
            "line": line,
            "campaign": stored_key(campaign),
            "contact": stored_key(canonical_number(contact)),
            "attempt": attempt,
        }
        found = _by_key(connection, key)
        if found is not None:
            return _handed_over(connection, found, owner)
        row: dict[str, Any] = {
            **key,
            "attempt_id": str(uuid.uuid4()),
            "state": AttemptState.RESERVED,
            "correlation_id": secrets.token_hex(16),
            "to_number": canonical_number(to_number),
            "claimant": owner,
            "created_at": now,
            "updated_at": now,
        }
        connection.execute(attempts.insert().inline(), row)
        stored: dict[str, Any] = {name: row.get(name) for name in _STORED}
        return Attempt(**stored, created=True)

    @reads
    def find(self, connection: Connection, line: str, attempt_id: str) -> Attempt:
        """
        One attempt.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param attempt_id: Id of the attempt.
        :raises UnknownCall: The line has no such attempt.
        """
        return _by_id(connection, line, attempt_id)[0]

    @writes
    def move(
        self,
        connection: Connection,
        line: str,
        attempt_id: str,
        from_state: str,
        to_state: str,
        owner: str,
        values: Mapping[str, str | None],
        now: datetime,
    ) -> Attempt:
        """
        Move an attempt on, if it still is in ``from_state``.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param attempt_id: Id of the attempt.
        :param from_state: State that it must have.
        :param to_state: State that it gets.
        :param owner: Names this move: when the attempt is in ``to_state`` by the same owner, the move was made before.
        :param values: ``carrier_call_id, outcome, call_id, detail, to_number``; those given are stored.
        :param now: The time, aware.
        :raises InvalidInput: There is no such move.
        :raises MoveRefused: It is in another state.
        :raises UnknownCall: The line has no such attempt.
        """
        if to_state not in ATTEMPT_MOVES.get(from_state, ()):
            raise InvalidInput(f"an attempt cannot move from {from_state} to {to_state}", field="to_state")
        same = (attempts.c.line == line) & (attempts.c.attempt_id == attempt_id) & (attempts.c.state == from_state)
        if (from_state, to_state) == (AttemptState.ENDED, AttemptState.DIALING):
            # Nothing was dialed, and this is another number than the one refused.
            same &= attempts.c.carrier_call_id.is_(None) & attempts.c.call_id.is_(None)
            same &= attempts.c.outcome == AttemptOutcome.FAILED
            same &= attempts.c.to_number != values.get("to_number", "")
            values = {**values, "outcome": None, "detail": None}
        update = attempts.update().where(same).values(**values, state=to_state, owner=owner, updated_at=now)
        won = connection.execute(update).rowcount == 1
        found, last_owner = _by_id(connection, line, attempt_id)
        if won or (found.state == to_state and last_owner == owner):
            return found
        raise MoveRefused(
            f"attempt {attempt_id} is {found.state}, not {from_state}: another client has moved it",
            code=RefusalCode.ATTEMPT_MOVED,
        )

    @upserts
    def first_start(
        self, connection: Connection, line: str, dag_id: str, run_id: str, started_at: datetime
    ) -> datetime:
        """
        Return when a DAG run first started; the first report is kept. Airflow forgets it when a run is cleared.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: The line that it places calls on.
        :param dag_id: The run's DAG.
        :param run_id: The run.
        :param started_at: When it started, aware, as its tasks know it now.
        """
        key = {"line": line, "dag_id": dag_id, "run_id": run_id}
        query = select(run_starts.c.first_started_at).filter_by(**key)
        found: datetime | None = connection.execute(query).scalar()
        if found is None:
            connection.execute(run_starts.insert(), {**key, "first_started_at": started_at})
        return found or started_at

    @reads
    def page(
        self, connection: Connection, line: str, campaign: str, contact: str | None, after: int
    ) -> tuple[list[Attempt], int | None]:
        """
        Attempts of a campaign in the order they were reserved.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param campaign: Name of the campaign.
        :param contact: Only this contact's.
        :param after: Where the page before ended; 0 for the first.
        :returns: At most :data:`PAGE`, and where the next page begins, if there may be one.
        """
        wanted = (attempts.c.line == line) & (attempts.c.campaign == stored_key(campaign)) & (attempts.c.seq > after)
        if contact is not None:
            wanted &= attempts.c.contact == stored_key(canonical_number(contact))
        query = select(attempts).where(wanted).order_by(attempts.c.seq).limit(PAGE)
        rows = connection.execute(query).all()
        return [read_attempt(row) for row in rows], rows[-1].seq if len(rows) == PAGE else None


def _handed_over(connection: Connection, found: Attempt, owner: str | None) -> Attempt:
    if owner is None or found.state != AttemptState.RESERVED or found.claimant == owner:
        return found
    same = (attempts.c.attempt_id == found.attempt_id) & (attempts.c.state == AttemptState.RESERVED)
    connection.execute(attempts.update().where(same).values(claimant=owner))
    return replace(found, claimant=owner)


def note_calls(connection: Connection, correlated: Mapping[str, tuple[str, str]]) -> None:
    """
    Write into attempts which call came of them, as soon as the call rings.

    :param connection: A connection with an open transaction.
    :param correlated: By correlation id the line and the id of a new call. An attempt that has a call keeps it.
    """
    for correlation_id, (line, call_id) in correlated.items():
        same = (attempts.c.line == line) & (attempts.c.correlation_id == correlation_id)
        update = attempts.update().where(same, attempts.c.call_id.is_(None)).values(call_id=call_id)
        connection.execute(update)


def attempts_of_calls(connection: Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Attempt]:
    """
    The attempts from which calls came.

    :param connection: A connection with an open transaction.
    :param keys: Line and id of the calls.
    :returns: By line and call id; a call that was not placed is not there.
    """
    if not keys:
        return {}
    wanted = tuple_(attempts.c.line, attempts.c.call_id).in_(sorted(keys))
    rows = connection.execute(select(attempts).where(wanted).order_by(attempts.c.seq)).all()
    return {(row.line, row.call_id): read_attempt(row) for row in rows}


def stored_key(text: str) -> str:
    """
    Return a campaign or contact as the table holds it: a text longer than :data:`LONGEST_KEY` keeps its beginning, and
    a digest of the whole replaces the rest.

    :param text: Name of a campaign or contact.
    """
    if len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: LONGEST_KEY - len(digest) - 1]}~{digest}"


_STORED = [name for name in Attempt.__dataclass_fields__ if name != "created"]


def _by_key(connection: Connection, key: Mapping[str, Any]) -> Attempt | None:
    row = connection.execute(select(attempts).filter_by(**key)).one_or_none()
    return None if row is None else read_attempt(row)


def _by_id(connection: Connection, line: str, attempt_id: str) -> tuple[Attempt, str | None]:
    query = select(attempts).where(attempts.c.line == line, attempts.c.attempt_id == attempt_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownCall(f"line {line} has no attempt {attempt_id}")
    return read_attempt(row), row.owner


def read_attempt(row: Row[Any]) -> Attempt:
    """
    Read a row with all columns of the table.

    :param row: Row of the table.
    """
    return Attempt(**{name: row._mapping[name] for name in _STORED})
