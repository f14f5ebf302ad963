"""Databases for the fuzz tests: SQLite, and PostgreSQL, which refuses texts and numbers that SQLite takes."""

from __future__ import annotations

from tests.unit.switchboard.conftest import postgres_cluster, postgres_url, sqlite_url, store_url

__all__ = ["postgres_cluster", "postgres_url", "sqlite_url", "store_url"]
