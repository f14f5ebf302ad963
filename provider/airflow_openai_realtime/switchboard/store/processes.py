"""Signs of life of the processes that hold conversations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from airflow_openai_realtime.switchboard.records import ACCEPTED
from airflow_openai_realtime.switchboard.store.tables import calls, conversations, processes

NOBODY = ""
"""The process of a conversation that its holder gave up: it shows no sign of life, whatever becomes of the process."""


def saw(connection: Connection, line: str, process: str, now: datetime) -> None:
    """
    Note a sign of life.

    :raises IntegrityError: Somebody else noted the first one at the same moment; do it again.
    """
    same = (processes.c.line == line) & (processes.c.process == process)
    if not connection.execute(processes.update().where(same).values(seen_at=now)).rowcount:
        connection.execute(processes.insert().values(line=line, process=process, seen_at=now))


def left(connection: Connection, line: str, process: str, now: datetime) -> None:
    """Note that a process gives its conversations up now; until now it has heard all that was said in them."""
    connection.execute(processes.delete().where((processes.c.line == line) & (processes.c.process == process)))
    live = select(calls.c.call_id).where(calls.c.line == line, calls.c.state == ACCEPTED)
    query = select(conversations.c.call_id).where(
        conversations.c.line == line,
        conversations.c.call_id.in_(live),
        conversations.c.process == process,
        conversations.c.finished_at.is_(None),
    )
    found = sorted(connection.execute(query).scalars())
    for call_id in found:  # in one order, as everybody locks them
        same = (conversations.c.line == line) & (conversations.c.call_id == call_id)
        connection.execute(conversations.update().where(same).values(heard_until=now, process=NOBODY))
