"""Conversations in the store: opening, adding to the timeline, finishing; and signs of life of their processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from airflow_openai_realtime.calls.call import CallKey
from airflow_openai_realtime.calls.saved_conversation import MOST_RESULT_BYTES, Conversation, Progress
from airflow_openai_realtime.calls.timeline.entries import (
    TimelineEntry,
    as_json,
    check_entries,
    key_of,
)
from airflow_openai_realtime.calls.transitions import END_WANTED
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    OpenAIRealtimeError,
    UnknownCall,
)
from airflow_openai_realtime.states import CallState, EntryKind, Note, RefusalCode
from airflow_openai_realtime.switchboard.server.store.call_ends import read_conversation, restated_result
from airflow_openai_realtime.switchboard.server.store.call_rows import find_call
from airflow_openai_realtime.switchboard.server.store.schema.database import Database, reads, upserts, writes
from airflow_openai_realtime.switchboard.server.store.schema.tables import NOBODY, calls, conversations, processes
from airflow_openai_realtime.switchboard.server.store.timeline_rows import Addition, add, known_keys, locked_rows


class Conversations:
    """
    The conversations of all lines. A request for a line never finds those of another line.

    Every write locks the conversation's row first, so that a superseded owner writes either before the new one reads,
    or not at all.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @upserts
    def open(
        self,
        connection: Connection,
        line: str,
        call_id: str,
        holder: str,
        now: datetime,
        *,
        process: str | None = None,
    ) -> Conversation:
        """
        Open a conversation as its new owner, with the next generation. A finished conversation is returned unchanged.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        :param holder: Name of the owner.
        :param now: The time, aware.
        :param process: Id of the owner's process, which counts as seen now; while it shows no sign of life, the
            switchboard listens in its place. ``None``: the process shows no signs of life.
        :raises UnknownCall: The line does not know the call.
        """
        opened = _open(connection, line, call_id, holder, now, process)
        if process is not None and not opened.is_finished:
            saw(connection, line, process, now)
        return opened

    def append(
        self, line: str, call_id: str, generation: int, entries: Sequence[TimelineEntry], now: datetime
    ) -> list[str]:
        """
        Add to the timeline.

        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        :param generation: Number of the holder, counted from 1.
        :param entries: New entries.
        :param now: The time, aware.
        :returns: The keys of the new entries, in their order.
        :raises UnknownCall: The call has no conversation.
        :raises ConversationSuperseded: A later generation was opened, or it is finished.
        :raises InvalidInput: An entry cannot be stored, or the call has reached its limit; then none is stored.
        """
        answer = self._append(line, Progress(call_id, generation, tuple(check_entries(entries))), now)
        if isinstance(answer, OpenAIRealtimeError):
            raise answer
        return answer

    def save_progress(
        self, line: str, process: str, conversations: Sequence[Progress], now: datetime, *, leaving: bool = False
    ) -> list[list[str] | OpenAIRealtimeError]:
        """
        Add to the timelines of the conversations that a process runs, and record its sign of life, in one transaction.

        :param line: Name of the line.
        :param process: Id of the process.
        :param conversations: New entries, each call once; empty: only a sign of life.
        :param now: The time, aware.
        :param leaving: Whether it gives all of them up: it counts as silent at once.
        :returns: For each conversation the keys of the new entries, or the reason why none was added:
            ``UnknownCall``, ``ConversationSuperseded``, ``InvalidInput``. The conversations are independent.
        """
        checked = {each.call_id: _checked(each) for each in conversations}
        fit = [each for each in checked.values() if isinstance(each, Progress)]
        answers = self._save_progress(line, process, fit, now, leaving)
        refused = {call_id: each for call_id, each in checked.items() if isinstance(each, OpenAIRealtimeError)}
        return [{**answers, **refused}[each.call_id] for each in conversations]

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
        Write the outcome if there is none yet. Entries beyond the timeline's limits are left out.

        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        :param generation: Number of the holder, counted from 1.
        :param outcome: How the call ended.
        :param result: What the task returns.
        :param entries: The last entries.
        :param now: The time, aware.
        :returns: The conversation, with the outcome that was written first.
        :raises UnknownCall: The call has no conversation.
        :raises ConversationSuperseded: A later generation was opened, and it is not finished.
        :raises InvalidInput: The result or an entry cannot be stored.
        """
        checked = check_entries(entries)
        text = None if result is None else as_json(result, field="result", most_bytes=MOST_RESULT_BYTES)
        values: dict[str, Any] = {"saved_at": now, "finished_at": now, "outcome": outcome, "result": text}
        return self._finish(line, call_id, generation, checked, values, result)

    @reads
    def find(self, connection: Connection, line: str, call_id: str) -> Conversation:
        """
        The conversation of a call, with its timeline.

        :param connection: A connection with an open transaction; given by the decorator.
        :param line: Name of the line.
        :param call_id: OpenAI's id of the call.
        :raises UnknownCall: The call has none.
        """
        return _read(connection, line, call_id)

    @writes
    def _append(
        self, connection: Connection, line: str, progress: Progress, now: datetime
    ) -> list[str] | OpenAIRealtimeError:
        rows = locked_rows(connection, [(line, progress.call_id)])
        return _append(connection, rows, line, [progress], now)[0]

    @upserts
    def _save_progress(
        self, connection: Connection, line: str, process: str, fit: Sequence[Progress], now: datetime, leaving: bool
    ) -> dict[str, list[str] | OpenAIRealtimeError]:
        # Conversations in one order, then the process, the same order of locks everywhere.
        held = held_by(connection, line, process) if leaving else []
        rows = locked_rows(connection, [(line, call_id) for call_id in (*held, *(each.call_id for each in fit))])
        answers = _append(connection, rows, line, fit, now)
        added = zip(fit, answers, strict=True)
        given_up = [each.call_id for each, answer in added if each.given_up and isinstance(answer, list)]
        # Another owner may have opened one before the lock.
        still_held = [key[1] for key, row in rows.items() if key[1] in held and row.process == process]
        give_up(connection, [rows[line, call_id] for call_id in sorted({*still_held, *given_up})], now)
        if leaving:
            left(connection, line, process)
        else:
            saw(connection, line, process, now)
        return {each.call_id: answer for each, answer in zip(fit, answers, strict=True)}

    @writes
    def _finish(
        self,
        connection: Connection,
        line: str,
        call_id: str,
        generation: int,
        entries: Sequence[TimelineEntry],
        values: Mapping[str, Any],
        result: Mapping[str, Any] | None,
    ) -> Conversation:
        row = _locked(connection, line, call_id)
        if row.finished_at is None:
            _require_holder(row, generation)
            corrected = _as_it_stands(connection, line, call_id, result)
            add(connection, [Addition(row, entries, {**values, **corrected})], cut=True)
        return _read(connection, line, call_id)


def _checked(progress: Progress) -> Progress | InvalidInput:
    try:
        return replace(progress, entries=tuple(check_entries(progress.entries)))
    except InvalidInput as error:
        return error


def _append(
    connection: Connection, rows: Mapping[CallKey, Any], line: str, progress: Sequence[Progress], now: datetime
) -> list[list[str] | OpenAIRealtimeError]:
    """Add to timelines; return for each conversation the new keys, or the reason why none was added."""
    refused: dict[str, OpenAIRealtimeError] = {}
    additions: dict[str, Addition] = {}
    for each in progress:
        try:
            row = _required(rows.get((line, each.call_id)), line, each.call_id)
            _require_holder(row, each.generation)
            additions[each.call_id] = Addition(row, each.entries, {"saved_at": now})
        except (UnknownCall, ConversationSuperseded) as error:
            refused[each.call_id] = error
    add(connection, list(additions.values()))
    added = {call_id: each.refused or [entry["key"] for entry in each.new] for call_id, each in additions.items()}
    return [{**added, **refused}[each.call_id] for each in progress]


def _open(
    connection: Connection, line: str, call_id: str, holder: str, now: datetime, process: str | None
) -> Conversation:
    row = connection.execute(_one(line, call_id).with_for_update()).one_or_none()
    if row is None:
        known = select(calls.c.call_id).where(calls.c.line == line, calls.c.call_id == call_id)
        if connection.execute(known).first() is None:
            raise UnknownCall(f"line {line} has no call {call_id}", call_id=call_id)
        first = {"line": line, "call_id": call_id, "generation": 1, "opened_at": now, "entry_count": 0}
        first |= {"entry_bytes": 0, "holder": holder, "saved_at": now, "process": process}
        connection.execute(conversations.insert(), first)
    elif row.finished_at is None:
        values = {"holder": holder, "generation": row.generation + 1, "saved_at": now, "process": process}
        connection.execute(conversations.update().where(_same(line, call_id)).values(values))
    _take_up(connection, line, call_id, now)
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
            f"the conversation of call {row.call_id} is finished", code=RefusalCode.FINISHED, call_id=row.call_id
        )
    if row.generation != generation:
        raise ConversationSuperseded(
            f"the conversation of call {row.call_id} was opened again (generation {row.generation}, not {generation}): "
            "leave it to its new owner",
            code=RefusalCode.SUPERSEDED,
            call_id=row.call_id,
        )


def _read(connection: Connection, line: str, call_id: str) -> Conversation:
    row = _required(connection.execute(_one(line, call_id)).one_or_none(), line, call_id)
    return read_conversation(connection, row)


def _as_it_stands(connection: Connection, line: str, call_id: str, result: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the changes of a result when a stronger witness than its writer has reported the call's end."""
    if result is None:
        return {}
    call, _ = find_call(connection, line, call_id)
    told = restated_result(result, call)
    if told == result:
        return {}
    text = as_json(told, field="result", most_bytes=MOST_RESULT_BYTES)
    return {"outcome": told["outcome"], "result": text}


def _take_up(connection: Connection, line: str, call_id: str, now: datetime) -> None:
    """Cancel the delayed end of a call: an owner has opened its conversation."""
    is_delayed = (calls.c.end_due_at > calls.c.end_wanted_at) & (calls.c.end_due_at > now)
    same = (calls.c.line == line) & (calls.c.call_id == call_id)
    values = {**dict.fromkeys(END_WANTED), "version": calls.c.version + 1}
    connection.execute(calls.update().where(same, is_delayed).values(values))


# -- signs of life of processes ------------------------------------------------------------------------------------


def saw(connection: Connection, line: str, process: str, now: datetime) -> None:
    """
    Note a sign of life.

    :param connection: A connection with an open transaction.
    :param line: Name of the line.
    :param process: Id of the process.
    :param now: The time, aware.
    :raises IntegrityError: Another transaction recorded the first sign at the same time; repeat it.
    """
    same = (processes.c.line == line) & (processes.c.process == process)
    if not connection.execute(processes.update().where(same).values(seen_at=now)).rowcount:
        connection.execute(processes.insert().values(line=line, process=process, seen_at=now))


def held_by(connection: Connection, line: str, process: str) -> list[str]:
    """
    Return the ids of the live calls whose conversations a process runs.

    :param connection: A connection with an open transaction.
    :param line: Name of the line.
    :param process: Id of the process.
    """
    live = select(calls.c.call_id).where(calls.c.line == line, calls.c.state == CallState.ACCEPTED)
    query = select(conversations.c.call_id).where(
        conversations.c.line == line,
        conversations.c.call_id.in_(live),
        conversations.c.process == process,
        conversations.c.finished_at.is_(None),
    )
    return sorted(connection.execute(query).scalars())


def give_up(connection: Connection, rows: Iterable[Any], now: datetime) -> None:
    """
    Record that conversations were given up. Their owners, if attached, have heard everything until now.

    :param connection: A connection with an open transaction.
    :param rows: The conversations, locked.
    :param now: The time, aware.
    """
    attached = {(row.line, row.call_id): (row.line, row.call_id, attached_key(row.generation)) for row in rows}
    there = known_keys(connection, attached.values())
    for key, note in attached.items():
        same = (conversations.c.line == key[0]) & (conversations.c.call_id == key[1])
        heard = {"heard_until": now} if note in there else {}
        connection.execute(conversations.update().where(same).values(process=NOBODY, **heard))


def left(connection: Connection, line: str, process: str) -> None:
    """
    Forget a process.

    :param connection: A connection with an open transaction.
    :param line: Name of the line.
    :param process: Id of the process.
    """
    connection.execute(processes.delete().where((processes.c.line == line) & (processes.c.process == process)))


def attached_key(generation: int) -> str:
    """
    Return the key of the note that an owner writes when it first attaches.

    :param generation: Generation of the conversation, 1 or more.
    """
    return key_of(EntryKind.NOTE, Note.ATTACHED, generation, 1)
