"""What earlier releases left behind, as ``scripts/make_upgrade_fixture.py`` recorded it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

FOLDER = Path(__file__).parent
VERSIONS = sorted(path.name.removeprefix("answers-").removesuffix(".json") for path in FOLDER.glob("answers-*.json"))


@dataclass(frozen=True)
class Recording:
    """
    The store of one release, what its switchboard answered about it, and its triggers.

    :param version: Of the package.
    :param at: When it was recorded: no lease had ended, and nothing was due.
    :param tokens: Of the private API, by line.
    :param calls: Ids of the calls, by what is special about each.
    :param cursors: What the switchboard gave out, the last one at the end: ``line`` and ``cursor``.
    :param answers: Requests (``line, method, path, body``), each with its ``answer``.
    :param triggers: ``trigger`` (its class), ``kwargs``, and ``task``: how the task that deferred resumes.
    :param fernet_key: What connections in the triggers are sealed with.
    :param api_key: What sessions and conversations in the triggers are sealed with.
    """

    version: str
    at: datetime
    tokens: dict[str, str]
    calls: dict[str, str]
    cursors: list[dict[str, str]]
    answers: list[dict[str, Any]]
    triggers: list[dict[str, Any]]
    fernet_key: str
    api_key: str

    @classmethod
    def of(cls, version: str) -> Recording:
        """Read the files of a release."""
        told = json.loads((FOLDER / f"answers-{version}.json").read_text())
        triggers = json.loads((FOLDER / f"triggers-{version}.json").read_text())
        return cls(
            version=version,
            at=datetime.fromisoformat(told["recorded_at"]),
            **{name: told[name] for name in ("tokens", "calls", "cursors", "answers")},
            **{name: triggers[name] for name in ("triggers", "fernet_key", "api_key")},
        )

    def call(self, label: str) -> dict[str, Any]:
        """What the switchboard answered about a call of the line *support*."""
        path = f"/v1/calls/{self.calls[label]}"
        call: dict[str, Any] = next(each["answer"]["call"] for each in self.answers if each["path"] == path)
        return call

    def conversation(self, label: str) -> dict[str, Any]:
        """What the switchboard answered about the conversation of a call."""
        path = f"/v1/calls/{self.calls[label]}/conversation"
        found: dict[str, Any] = next(each["answer"]["conversation"] for each in self.answers if each["path"] == path)
        return found

    def instant(self, label: str, name: str) -> datetime:
        """An instant of a call, for example its ``hangup_at``."""
        return datetime.fromisoformat(self.call(label)[name])

    def restore(self, url: str) -> None:
        """
        Make the release's tables with their rows in an empty database.

        :param url: Of SQLite or PostgreSQL, for SQLAlchemy.
        """
        if url.startswith("sqlite:///"):
            with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
                file.executescript((FOLDER / f"store-{self.version}.sql").read_text())
            file.close()
            return
        database = psycopg2.connect(url.replace("+psycopg2", ""))
        try:
            with database, database.cursor() as cursor:
                cursor.execute((FOLDER / f"store-{self.version}.postgresql.sql").read_text())
        finally:
            database.close()
