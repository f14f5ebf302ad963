"""Deleting what is over and old: a few rows in each transaction, and one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, func, or_, select, text, tuple_

from airflow_openai_realtime.states import FINAL_CALL_STATES
from airflow_openai_realtime.switchboard.server.store.feed_rows import WIDEST_LOOK_BACK
from airflow_openai_realtime.switchboard.server.store.schema.database import Database
from airflow_openai_realtime.switchboard.server.store.schema.tables import (
    attempts,
    calls,
    conversations,
    feed,
    processes,
    run_starts,
    timeline,
)

_LOCK_NUMBER = 0x6F72_7264  # "orrd"
_LOCK_NAME = "openai_realtime_retention"


class OldRows:
    """
    Old rows of all lines.

    Each method takes one batch and says how many rows it was: fewer than the limit when there are no more, or when
    another process is at it.

    :param database: The store's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete_calls(self, before: datetime, limit: int) -> int:
        """
        Delete calls that were over before a moment, with their conversations; never one that is open.

        :param before: Instant, aware: only what is older.
        :param limit: How many at most.
        """
        # The first condition is the one with an index. It holds back a call that ended while it rang, for a minute.
        old = (calls.c.state.in_(FINAL_CALL_STATES), calls.c.expires_at <= before, calls.c.ended_at <= before)
        query = select(calls.c.line, calls.c.call_id).where(*old).limit(limit)

        def work(connection: Connection) -> int:
            keys = [tuple(row) for row in connection.execute(query)]
            if not keys:
                return 0
            for table in (timeline, conversations):
                connection.execute(table.delete().where(tuple_(table.c.line, table.c.call_id).in_(keys)))
            return connection.execute(calls.delete().where(tuple_(calls.c.line, calls.c.call_id).in_(keys))).rowcount

        return self._alone(work)

    def blank_conversations(self, before: datetime, limit: int) -> int:
        """
        Forget what was said, and what came of it, in conversations that nothing was written to since a moment. Their
        outcomes stay.

        :param before: Instant, aware: only what is older.
        :param limit: How many timeline entries at most, but always one conversation.
        :returns: How many conversations: 0 when there are no more.
        """
        filled = or_(conversations.c.entry_count > 0, conversations.c.result.is_not(None))
        key = (conversations.c.line, conversations.c.call_id)
        query = select(*key, conversations.c.entry_count).where(conversations.c.saved_at <= before, filled)
        query = query.order_by(conversations.c.saved_at).limit(limit)

        def work(connection: Connection) -> int:
            keys: list[tuple[str, str]] = []
            entries = 0
            for row in connection.execute(query).all():
                entries += row.entry_count
                if keys and entries > limit:
                    break
                keys.append((row.line, row.call_id))
            if not keys:
                return 0
            empty = {"entry_count": 0, "entry_bytes": 0, "result": None}
            connection.execute(conversations.update().where(tuple_(*key).in_(keys)).values(empty))
            connection.execute(timeline.delete().where(tuple_(timeline.c.line, timeline.c.call_id).in_(keys)))
            return len(keys)

        return self._alone(work)

    def delete_feed(self, before: datetime, limit: int) -> int:
        """
        Delete the oldest rows of the feed, as far as they were written before a moment.

        The last :data:`WIDEST_LOOK_BACK` numbers stay whatever their age: readers look there for what commits late.

        :param before: Instant, aware: only what is older.
        :param limit: How many at most.
        """

        def work(connection: Connection) -> int:
            last = connection.execute(select(func.max(feed.c.seq))).scalar() or 0
            oldest = select(feed.c.seq, feed.c.at).where(feed.c.seq <= last - WIDEST_LOOK_BACK)
            rows = connection.execute(oldest.order_by(feed.c.seq).limit(limit)).all()
            old = [row.seq for row in rows if row.at <= before]
            return connection.execute(feed.delete().where(feed.c.seq.in_(old))).rowcount if old else 0

        return self._alone(work)

    def blank_numbers(self, before: datetime, limit: int) -> int:
        """
        Forget the numbers of attempts that have not changed since a moment; the rows go on guarding their phones.

        :param before: Instant, aware: only what is older.
        :param limit: How many at most.
        """
        old = (attempts.c.to_number.is_not(None), attempts.c.updated_at <= before)
        query = select(attempts.c.seq).where(*old).order_by(attempts.c.seq).limit(limit)

        def work(connection: Connection) -> int:
            found = list(connection.execute(query).scalars())
            blank = attempts.update().where(attempts.c.seq.in_(found), *old).values(to_number=None)
            return connection.execute(blank).rowcount if found else 0

        return self._alone(work)

    def delete_attempts(self, before: datetime, limit: int) -> int:
        """
        Delete attempts that have not changed since a moment. Reserving one of them again dials the phone again.

        :param before: Instant, aware: only what is older.
        :param limit: How many at most.
        """
        query = select(attempts.c.seq).where(attempts.c.updated_at <= before).order_by(attempts.c.seq).limit(limit)

        def work(connection: Connection) -> int:
            found = list(connection.execute(query).scalars())
            delete = attempts.delete().where(attempts.c.seq.in_(found), attempts.c.updated_at <= before)
            return connection.execute(delete).rowcount if found else 0

        return self._alone(work)

    def delete_processes(self, before: datetime, limit: int) -> int:
        """
        Delete processes that were not seen since a moment.

        :param before: Instant, aware: only what is older.
        :param limit: How many at most.
        """
        key = (processes.c.line, processes.c.process)
        query = select(*key).where(processes.c.seen_at <= before).order_by(*key).limit(limit)

        def work(connection: Connection) -> int:
            found = [tuple(row) for row in connection.execute(query)]
            delete = processes.delete().where(tuple_(*key).in_(found), processes.c.seen_at <= before)
            return connection.execute(delete).rowcount if found else 0

        return self._alone(work)

    def delete_run_starts(self, before: datetime, limit: int) -> int:
        """
        Delete what is known of runs that first started before a moment. Cleared after that, they count as late.

        :param before: Instant, aware: only what is older.
        :param limit: How many at most.
        """
        key = (run_starts.c.line, run_starts.c.dag_id, run_starts.c.run_id)
        query = select(*key).where(run_starts.c.first_started_at <= before).order_by(*key).limit(limit)

        def work(connection: Connection) -> int:
            found = [tuple(row) for row in connection.execute(query)]
            return connection.execute(run_starts.delete().where(tuple_(*key).in_(found))).rowcount if found else 0

        return self._alone(work)

    def _alone(self, work: Callable[[Connection], int]) -> int:
        """Run a batch in its transaction, unless another process has one under way."""
        dialect = self._database.dialect

        def guarded(connection: Connection) -> int:
            if dialect == "postgresql":
                got = connection.execute(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
                return work(connection) if got.scalar() else 0
            if dialect in ("mysql", "mariadb"):
                got = connection.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": _LOCK_NAME})
                if got.scalar() != 1:
                    return 0
                try:
                    return work(connection)
                finally:
                    connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
            return work(connection)  # SQLite has one writer anyhow

        return self._database.write(guarded)
