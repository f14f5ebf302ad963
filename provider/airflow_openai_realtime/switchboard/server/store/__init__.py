"""
The switchboard's durable store: calls, their conversations and feed, standing orders and the ledger of attempts, in one
database.
"""

from __future__ import annotations

from datetime import datetime

from airflow_openai_realtime.switchboard.server.store.attempt_rows import Attempts
from airflow_openai_realtime.switchboard.server.store.call_rows import CallChanges, CallFilter, Calls, NewCall
from airflow_openai_realtime.switchboard.server.store.conversation_rows import Conversations
from airflow_openai_realtime.switchboard.server.store.feed_rows import Feed
from airflow_openai_realtime.switchboard.server.store.old_rows import OldRows
from airflow_openai_realtime.switchboard.server.store.order_rows import Orders
from airflow_openai_realtime.switchboard.server.store.order_taking import OrderTaking, TakenCall
from airflow_openai_realtime.switchboard.server.store.reaping import OverdueCall, Reaping
from airflow_openai_realtime.switchboard.server.store.recent_rows import RecentCalls
from airflow_openai_realtime.switchboard.server.store.schema.database import Database
from airflow_openai_realtime.switchboard.server.store.schema.migrate import migrate
from airflow_openai_realtime.switchboard.server.store.schema.probe import probe
from airflow_openai_realtime.switchboard.server.store.standing_by import StandingBy
from airflow_openai_realtime.switchboard.server.store.statistics import Statistics

__all__ = ["CallChanges", "CallFilter", "NewCall", "OverdueCall", "Store", "TakenCall"]


class Store:
    """
    Everything a switchboard remembers. Synchronous: call it from threads.

    Nothing is opened until :meth:`prepare`; until then every use raises ``StoreUnavailable``.

    :param url: An SQLAlchemy URL of SQLite (a file), PostgreSQL or MySQL.
    :param threads: How many threads use it at once.
    :raises ConfigurationError: The URL cannot be used.
    """

    def __init__(self, url: str, *, threads: int = 8) -> None:
        self.database = Database(url, threads=threads)
        self.calls = Calls(self.database)
        self.conversations = Conversations(self.database)
        self.recent = RecentCalls(self.database)
        self.feed = Feed(self.database)
        self.attempts = Attempts(self.database)
        self.reaping = Reaping(self.database)
        self.standing_by = StandingBy(self.database)
        self.old_rows = OldRows(self.database)
        self.statistics = Statistics(self.database)
        self.orders = Orders(self.database)
        self.order_taking = OrderTaking(self.database)

    def prepare(self) -> None:
        """
        Bring the tables up to date; to be called once by each process, safe when many do so together.

        :raises StoreUnavailable: The database cannot be reached; try again later.
        """
        migrate(self.database)

    def probe(self, now: datetime) -> str | None:
        """
        See whether the store can be used, by using it; leaves nothing behind.

        :param now: The time, aware.
        :returns: The version of the tables.
        :raises StoreUnavailable: It does not work, or is not prepared.
        """
        return probe(self.database, now)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
