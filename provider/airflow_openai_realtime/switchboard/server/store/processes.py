"""Signs of life of the processes that run conversations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from airflow_openai_realtime.calls.timeline.entries import key_of
from airflow_openai_realtime.states import CallState, EntryKind, Note
from airflow_openai_realtime.switchboard.server.store.schema.tables import calls, conversations, processes
from airflow_openai_realtime.switchboard.server.store.timeline_rows import known_keys

NOBODY = ""
"""The process of a conversation that its owner gave up: it shows no sign of life, even if the owner's process does."""


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
