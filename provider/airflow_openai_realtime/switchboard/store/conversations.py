"""Conversations in the store: opening, adding to the timeline, finishing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from airflow_openai_realtime.exceptions import ConversationSuperseded, InvalidInput, UnknownCall
from airflow_openai_realtime.switchboard.conversations import MOST_RESULT_BYTES, Conversation
from airflow_openai_realtime.switchboard.errors import FINISHED, SUPERSEDED
from airflow_openai_realtime.switchboard.store.database import Database
from airflow_openai_realtime.switchboard.store.tables import calls, conversations, timeline
from airflow_openai_realtime.timeline.entries import (
    MOST_CONVERSATION_BYTES,
    MOST_ENTRIES,
    MOST_ENTRY_BYTES,
    TimelineEntry,
    as_json,
    check_entries,
)


class Conversations:
    """
    The conversations of all lines; one of another line is not there for whoever asks.

    Everything that writes locks the conversation's row first, so that a holder that was superseded writes either before
    the new one reads, or not at all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, line: str, call_id: str, holder: str, now: datetime) -> Conversation:
        """
        Become the holder: a generation more, and all that is there. A finished conversation is returned as it is.

        :raises UnknownCall: The line has never seen the call.
        """
        try:
            return self._database.write(lambda connection: _open(connection, line, call_id, holder, now))
        except IntegrityError:
            # Somebody else opened it first at the same moment; now it is there to be opened again.
            return self._database.write(lambda connection: _open(connection, line, call_id, holder, now))

    def append(
        self, line: str, call_id: str, generation: int, entries: Sequence[TimelineEntry], now: datetime
    ) -> list[str]:
        """
        Add to the timeline.

        :returns: The keys that were not there, in their order.
        :raises UnknownCall: The call has no conversation.
        :raises ConversationSuperseded: Another generation has been opened, or it is finished.
        :raises InvalidInput: An entry cannot be kept, or the call has as many as it can have; then none is stored.
        """
        checked = check_entries(entries)

        def work(connection: Connection) -> list[str]:
            row = _locked(connection, line, call_id)
            _require_holder(row, generation)
            new = _new_rows(connection, row, checked)
            if not _fit(row, new):
                raise InvalidInput(
                    f"call {call_id} has {row.entry_count} timeline entries of {row.entry_bytes:,} bytes; it can have "
                    f"{MOST_ENTRIES:,} of {MOST_CONVERSATION_BYTES:,} bytes",
                    field="entries",
                    call_id=call_id,
                )
            _write(connection, row, new, {"saved_at": now})
            return [entry["key"] for entry in new]

        return self._database.write(work)

    def finish(
        self,
        line: str,
        call_id: str,
        generation: int,
        outcome: str,
        result: Mapping[str, Any] | None,
        entries: Sequence[TimelineEntry],
        now: datetime,
    ) -> Conversation:
        """
        Write the outcome, if none is there yet. Entries beyond the timeline's limits are left out.

        :returns: The conversation, with the outcome that was written first.
        :raises UnknownCall: The call has no conversation.
        :raises ConversationSuperseded: Another generation has been opened, and it is not finished.
        :raises InvalidInput: The result or an entry cannot be kept.
        """
        checked = check_entries(entries)
        text = None if result is None else as_json(result, field="result", most_bytes=MOST_RESULT_BYTES)
        values = {"saved_at": now, "finished_at": now, "outcome": outcome, "result": text}

        def work(connection: Connection) -> Conversation:
            row = _locked(connection, line, call_id)
            if row.finished_at is None:
                _require_holder(row, generation)
                new = _new_rows(connection, row, checked)
                while not _fit(row, new):
                    new.pop()
                _write(connection, row, new, values)
            return _read(connection, line, call_id)

        return self._database.write(work)

    def find(self, line: str, call_id: str) -> Conversation:
        """
        The conversation of a call, with its timeline.

        :raises UnknownCall: The call has none.
        """
        return self._database.read(lambda connection: _read(connection, line, call_id))


def _open(connection: Connection, line: str, call_id: str, holder: str, now: datetime) -> Conversation:
    row = connection.execute(_one(line, call_id).with_for_update()).one_or_none()
    if row is None:
        known = select(calls.c.call_id).where(calls.c.line == line, calls.c.call_id == call_id)
        if connection.execute(known).first() is None:
            raise UnknownCall(f"line {line} has no call {call_id}", call_id=call_id)
        first = {"line": line, "call_id": call_id, "generation": 1, "opened_at": now, "entry_count": 0}
        connection.execute(conversations.insert(), {**first, "entry_bytes": 0, "holder": holder, "saved_at": now})
    elif row.finished_at is None:
        values = {"holder": holder, "generation": row.generation + 1, "saved_at": now}
        connection.execute(conversations.update().where(_same(line, call_id)).values(values))
    return _read(connection, line, call_id)


def _same(line: str, call_id: str) -> Any:
    return (conversations.c.line == line) & (conversations.c.call_id == call_id)


def _one(line: str, call_id: str) -> Any:
    return select(conversations).where(_same(line, call_id))


def _locked(connection: Connection, line: str, call_id: str) -> Any:
    return _required(connection.execute(_one(line, call_id).with_for_update()).one_or_none(), line, call_id)


def _required(row: Any, line: str, call_id: str) -> Any:
    if row is None:
        raise UnknownCall(f"call {call_id} of line {line} has no conversation", call_id=call_id)
    return row


def _require_holder(row: Any, generation: int) -> None:
    if row.finished_at is not None:
        raise ConversationSuperseded(
            f"the conversation of call {row.call_id} is finished", code=FINISHED, call_id=row.call_id
        )
    if row.generation != generation:
        raise ConversationSuperseded(
            f"the conversation of call {row.call_id} was opened again (generation {row.generation}, not {generation}): "
            "leave it to whoever opened it",
            code=SUPERSEDED,
            call_id=row.call_id,
        )


def _new_rows(connection: Connection, row: Any, entries: Sequence[TimelineEntry]) -> list[dict[str, Any]]:
    """Rows for the entries whose keys are not there; nobody else adds any while the conversation is locked."""
    if not entries:
        return []
    same = (timeline.c.line == row.line) & (timeline.c.call_id == row.call_id)
    query = select(timeline.c.key).where(same, timeline.c.key.in_([entry.key for entry in entries]))
    there = set(connection.execute(query).scalars())
    return [
        {
            "line": row.line,
            "call_id": row.call_id,
            "key": entry.key,
            "kind": entry.kind,
            "at": entry.at,
            "body": as_json(entry.body, field="body", most_bytes=MOST_ENTRY_BYTES),
        }
        for entry in entries
        if entry.key not in there
    ]


def _fit(row: Any, new: Sequence[Mapping[str, Any]]) -> bool:
    enough_room = row.entry_bytes + _size(new) <= MOST_CONVERSATION_BYTES
    return not new or (row.entry_count + len(new) <= MOST_ENTRIES and enough_room)


def _size(new: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(entry["body"].encode()) for entry in new)


def _write(connection: Connection, row: Any, new: Sequence[dict[str, Any]], values: Mapping[str, Any]) -> None:
    if new:
        connection.execute(timeline.insert().inline(), new)
    counted = {"entry_count": row.entry_count + len(new), "entry_bytes": row.entry_bytes + _size(new)}
    connection.execute(conversations.update().where(_same(row.line, row.call_id)).values({**values, **counted}))


def _read(connection: Connection, line: str, call_id: str) -> Conversation:
    row = _required(connection.execute(_one(line, call_id)).one_or_none(), line, call_id)
    query = (
        select(timeline.c.key, timeline.c.kind, timeline.c.at, timeline.c.body)
        .where(timeline.c.line == line, timeline.c.call_id == call_id)
        .order_by(timeline.c.seq)
    )
    entries = tuple(
        TimelineEntry(each.key, each.kind, each.at, json.loads(each.body)) for each in connection.execute(query)
    )
    names = ("call_id", "line", "holder", "generation", "opened_at", "saved_at", "finished_at", "outcome")
    result = None if row.result is None else json.loads(row.result)
    return Conversation(**{name: row._mapping[name] for name in names}, result=result, entries=entries)
