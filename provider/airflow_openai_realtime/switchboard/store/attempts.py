"""The ledger in the store: who is rung, and that nobody is rung twice."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from airflow_openai_realtime.api.phone_numbers import canonical_number
from airflow_openai_realtime.exceptions import InvalidInput, UnknownCall
from airflow_openai_realtime.switchboard.errors import ATTEMPT_MOVED, MoveRefused
from airflow_openai_realtime.switchboard.records import ATTEMPT_MOVES, RESERVED, Attempt
from airflow_openai_realtime.switchboard.store.database import Database
from airflow_openai_realtime.switchboard.store.tables import attempts

PAGE = 1000
LONGEST_KEY = 200
"""Length of campaign and contact in the table, in characters; longer ones are stored by a digest."""


class Attempts:
    """The attempts of all lines; an attempt of another line is not there for whoever asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, line: str, campaign: str, contact: str, attempt: int, to_number: str, now: datetime) -> Attempt:
        """
        The row for this attempt: made and committed, or the one that is there, as it is.

        A new row gets a correlation id of 128 random bits. A contact that is a phone number counts in its one spelling.
        """
        to_number = canonical_number(to_number)
        key = {
            "line": line,
            "campaign": stored_key(campaign),
            "contact": stored_key(canonical_number(contact)),
            "attempt": attempt,
        }
        found = self._database.read(lambda connection: _by_key(connection, key))
        if found is not None:
            return found
        row: dict[str, Any] = {
            **key,
            "attempt_id": str(uuid.uuid4()),
            "state": RESERVED,
            "correlation_id": secrets.token_hex(16),
            "to_number": to_number,
            "created_at": now,
            "updated_at": now,
        }
        try:
            self._database.write(lambda connection: connection.execute(attempts.insert().inline(), row))
        except IntegrityError:
            found = self._database.read(lambda connection: _by_key(connection, key))
            if found is None:
                raise
            return found
        stored: dict[str, Any] = {name: row.get(name) for name in _STORED}
        return Attempt(**stored, created=True)

    def find(self, line: str, attempt_id: str) -> Attempt:
        """
        One attempt.

        :raises UnknownCall: The line has no such attempt.
        """
        return self._database.read(lambda connection: _by_id(connection, line, attempt_id))[0]

    def move(
        self,
        line: str,
        attempt_id: str,
        from_state: str,
        to_state: str,
        owner: str,
        values: Mapping[str, str],
        now: datetime,
    ) -> Attempt:
        """
        Move an attempt on, if it still is in ``from_state``.

        :param owner: Names this move: when the attempt is in ``to_state`` by the same owner, the move was made before.
        :param values: ``carrier_call_id, outcome, call_id, detail, to_number``; those given are stored.
        :raises InvalidInput: There is no such move.
        :raises MoveRefused: It is in another state.
        :raises UnknownCall: The line has no such attempt.
        """
        if to_state not in ATTEMPT_MOVES.get(from_state, ()):
            raise InvalidInput(f"an attempt cannot move from {from_state} to {to_state}", field="to_state")
        same = (attempts.c.line == line) & (attempts.c.attempt_id == attempt_id) & (attempts.c.state == from_state)
        update = attempts.update().where(same).values(**values, state=to_state, owner=owner, updated_at=now)

        def work(connection: Connection) -> Attempt:
            won = connection.execute(update).rowcount == 1
            found, last_owner = _by_id(connection, line, attempt_id)
            if won or (found.state == to_state and last_owner == owner):
                return found
            raise MoveRefused(
                f"attempt {attempt_id} is {found.state}, not {from_state}: somebody else moved it on",
                code=ATTEMPT_MOVED,
            )

        return self._database.write(work)

    def page(self, line: str, campaign: str, contact: str | None, after: int) -> tuple[list[Attempt], int | None]:
        """
        Attempts of a campaign in the order they were reserved.

        :param contact: Only this contact's.
        :param after: Where the page before ended; 0 for the first.
        :returns: At most :data:`PAGE`, and where the next page begins, if there may be one.
        """
        wanted = (attempts.c.line == line) & (attempts.c.campaign == stored_key(campaign)) & (attempts.c.seq > after)
        if contact is not None:
            wanted &= attempts.c.contact == stored_key(canonical_number(contact))
        query = select(attempts).where(wanted).order_by(attempts.c.seq).limit(PAGE)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [_attempt(row) for row in rows], rows[-1].seq if len(rows) == PAGE else None


def stored_key(text: str) -> str:
    """
    Return a campaign or contact as the table holds it: a text longer than :data:`LONGEST_KEY` keeps its beginning, and
    a digest of the whole stands for the rest.
    """
    if len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: LONGEST_KEY - len(digest) - 1]}~{digest}"


_STORED = [name for name in Attempt.__dataclass_fields__ if name != "created"]


def _by_key(connection: Connection, key: Mapping[str, Any]) -> Attempt | None:
    row = connection.execute(select(attempts).filter_by(**key)).one_or_none()
    return None if row is None else _attempt(row)


def _by_id(connection: Connection, line: str, attempt_id: str) -> tuple[Attempt, str | None]:
    query = select(attempts).where(attempts.c.line == line, attempts.c.attempt_id == attempt_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownCall(f"line {line} has no attempt {attempt_id}")
    return _attempt(row), row.owner


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**{name: row._mapping[name] for name in _STORED})
