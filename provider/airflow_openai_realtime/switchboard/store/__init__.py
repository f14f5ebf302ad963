"""The switchboard's durable store: calls, their feed, standing orders and the ledger of attempts, in one database."""

from __future__ import annotations

from airflow_openai_realtime.switchboard.store.attempts import Attempts
from airflow_openai_realtime.switchboard.store.calls import CallChanges, CallFilter, Calls, NewCall
from airflow_openai_realtime.switchboard.store.database import Database
from airflow_openai_realtime.switchboard.store.feed import Feed
from airflow_openai_realtime.switchboard.store.migrate import migrate
from airflow_openai_realtime.switchboard.store.order_taking import OrderTaking, TakenCall
from airflow_openai_realtime.switchboard.store.orders import Orders
from airflow_openai_realtime.switchboard.store.reaping import OverdueCall, Reaping

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
        self.feed = Feed(self.database)
        self.attempts = Attempts(self.database)
        self.reaping = Reaping(self.database)
        self.orders = Orders(self.database)
        self.order_taking = OrderTaking(self.database)

    def prepare(self) -> None:
        """
        Bring the tables up to date; to be called once by each process, safe when many do so together.

        :raises StoreUnavailable: The database cannot be reached; try again later.
        """
        migrate(self.database)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
