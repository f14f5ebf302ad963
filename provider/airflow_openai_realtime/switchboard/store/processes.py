"""Signs of life of the processes that hold conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

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


def held_by(connection: Connection, line: str, process: str) -> list[str]:
    """Ids of the live calls whose conversations a process holds."""
    live = select(calls.c.call_id).where(calls.c.line == line, calls.c.state == ACCEPTED)
    query = select(conversations.c.call_id).where(
        conversations.c.line == line,
        conversations.c.call_id.in_(live),
        conversations.c.process == process,
        conversations.c.finished_at.is_(None),
    )
    return sorted(connection.execute(query).scalars())


def left(connection: Connection, line: str, process: str, held: Sequence[str], now: datetime) -> None:
    """
    Note that a process gives its conversations up now; until now it has heard all that was said in them.

    :param held: The calls, whose conversations are locked.
    """
    if held:
        same = (conversations.c.line == line) & (conversations.c.call_id == bindparam("its_call"))
        given_up = conversations.update().where(same, conversations.c.process == process)
        values = given_up.values(heard_until=now, process=NOBODY)
        connection.execute(values, [{"its_call": call_id} for call_id in held])
    connection.execute(processes.delete().where((processes.c.line == line) & (processes.c.process == process)))
