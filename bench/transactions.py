"""
What a transaction costs without a ping before it, beside the same one with SQLAlchemy's ``pool_pre_ping``.

Transactions of one statement on a PostgreSQL server on this machine. Both ways alternate in one run, so that their
ratio holds on any machine. A network in between makes the difference larger: the ping is a round trip.
"""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from unittest.mock import patch

from sqlalchemy import Connection, create_engine, text
from tests.postgres import running_cluster

from airflow_openai_realtime.switchboard.server.store.schema import database
from bench.figures import medians

RUNS = 7
TRANSACTIONS = 300


def measure() -> dict[str, float]:
    """Milliseconds a transaction in both ways, and the share of the one in the other."""
    with running_cluster() as cluster:
        url = cluster.new_database()
        without = _ready(url)
        # The store's own engine, but for the ping.
        with patch.object(database, "create_engine", partial(create_engine, pool_pre_ping=True)):
            pinged = _ready(url)
        try:
            return _figures(without, pinged)
        finally:
            without.close()
            pinged.close()


def _figures(without: database.Database, pinged: database.Database) -> dict[str, float]:
    rows = []
    for _ in range(RUNS):
        row = {"transaction_ms": _milliseconds(without), "transaction_with_ping_ms": _milliseconds(pinged)}
        rows.append({**row, "transaction_share_of_pinged": row["transaction_ms"] / row["transaction_with_ping_ms"]})
    return medians(rows)


def _ready(url: str) -> database.Database:
    found = database.Database(url)
    found.ready = True  # no table is asked for
    found.read(_one)  # makes the first connection
    return found


def _milliseconds(of: database.Database) -> float:
    """The median, since what else runs on the machine only makes some longer."""
    took = []
    for _ in range(TRANSACTIONS):
        began = time.perf_counter()
        of.read(_one)
        took.append((time.perf_counter() - began) * 1000)
    return median(took)


def _one(connection: Connection) -> object:
    return connection.execute(text("SELECT 1")).scalar()
