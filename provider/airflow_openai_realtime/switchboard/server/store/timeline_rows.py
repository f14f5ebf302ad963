"""Adding to the timelines of several conversations within one transaction, with a few statements for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, select

from airflow_openai_realtime.calls.call import CallKey
from airflow_openai_realtime.calls.timeline.entries import (
    MOST_CONVERSATION_BYTES,
    MOST_ENTRIES,
    MOST_ENTRY_BYTES,
    TimelineEntry,
    as_json,
)
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.server.store.schema.tables import conversations, timeline

EntryKey = tuple[str, str, str]

AT_ONCE = 500
"""Values in one condition: databases take only so many."""

KEYS_AT_ONCE = 100
"""Entries in one condition, in which each call is looked up with each key."""


@dataclass
class Addition:
    """
    What is added to one conversation.

    :param row: The conversation, locked.
    :param entries: Checked, in their order, each key once.
    :param values: What else changes in the conversation.

    :func:`add` sets ``new``, the rows of entries that were not there, and ``refused``, why none was added.
    """

    row: Any
    entries: Sequence[TimelineEntry] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    new: list[dict[str, Any]] = field(default_factory=list, init=False)
    refused: InvalidInput | None = field(default=None, init=False)

    @property
    def _fits(self) -> bool:
        """Whether the conversation can have what is new as well."""
        enough_room = self.row.entry_bytes + self._size <= MOST_CONVERSATION_BYTES
        return not self.new or (self.row.entry_count + len(self.new) <= MOST_ENTRIES and enough_room)

    def fit(self, *, cut: bool) -> None:
        """
        Keep the conversation within its limits.

        :param cut: Leave out the last entries, as many as there is no room for; False: refuse all of them.
        """
        while cut and not self._fits:
            self.new.pop()
        if not self._fits:
            row = self.row
            self.refused = InvalidInput(
                f"call {row.call_id} has {row.entry_count} timeline entries of {row.entry_bytes:,} bytes; "
                f"it can have {MOST_ENTRIES:,} of {MOST_CONVERSATION_BYTES:,} bytes",
                field="entries",
                call_id=row.call_id,
            )

    @property
    def _size(self) -> int:
        return sum(len(entry["body"].encode()) for entry in self.new)

    def changes(self) -> dict[str, Any]:
        """The conversation's row, as it is to be."""
        counted = {
            "entry_count": self.row.entry_count + len(self.new),
            "entry_bytes": self.row.entry_bytes + self._size,
        }
        return {**self.values, **counted, "its_line": self.row.line, "its_call": self.row.call_id}


def by_line(keys: Iterable[CallKey]) -> Iterator[tuple[str, list[str]]]:
    """
    Lines and ids of their calls, in one order, and so many that a condition can have them.

    Conditions are on one column each: SQLite uses no index for pairs.

    :param keys: Line and id of each call.
    """
    for line, of_line in groupby(sorted(set(keys)), key=itemgetter(0)):
        ids = [call_id for _, call_id in of_line]
        yield from ((line, ids[start : start + AT_ONCE]) for start in range(0, len(ids), AT_ONCE))


def locked_rows(connection: Connection, keys: Iterable[CallKey]) -> dict[CallKey, Any]:
    """
    Conversations, locked in one order, so that no two transactions wait for each other.

    :param connection: A connection with an open transaction.
    :param keys: Line and id of each call.
    """
    found: dict[CallKey, Any] = {}
    for line, ids in by_line(keys):
        some = (conversations.c.line == line) & conversations.c.call_id.in_(ids)
        query = select(conversations).where(some).order_by(conversations.c.call_id).with_for_update()
        found.update({(row.line, row.call_id): row for row in connection.execute(query)})
    return found


def add(connection: Connection, additions: Sequence[Addition], *, cut: bool = False) -> None:
    """
    Write what is new in conversations, as far as they have room for it, and what else changes in them.

    :param connection: A connection with an open transaction.
    :param additions: What each conversation gets; each knows then what was new, and why it was refused.
    :param cut: Where there is no room for all entries leave out the last ones; False: refuse that addition as a whole.
    """
    _find_new(connection, additions)
    for each in additions:
        each.fit(cut=cut)
    _write(connection, [each for each in additions if each.refused is None])


def _find_new(connection: Connection, additions: Iterable[Addition]) -> None:
    """Find the new entries. The locks on the conversations keep other transactions from adding any."""
    listed = list(additions)
    wanted = [(each.row.line, each.row.call_id, entry.key) for each in listed for entry in each.entries]
    there = known_keys(connection, wanted)
    for each in listed:
        each.new = [
            {
                "line": each.row.line,
                "call_id": each.row.call_id,
                "key": entry.key,
                "kind": entry.kind,
                "at": entry.at,
                "body": as_json(entry.body, field="body", most_bytes=MOST_ENTRY_BYTES),
            }
            for entry in each.entries
            if (each.row.line, each.row.call_id, entry.key) not in there
        ]


def known_keys(connection: Connection, wanted: Iterable[EntryKey]) -> set[EntryKey]:
    """
    Which of some entries (line, call id, key) are on the timelines.

    :param connection: A connection with an open transaction.
    :param wanted: Line, call id and key of each entry.
    """
    there: set[EntryKey] = set()
    for line, of_line in groupby(sorted(set(wanted)), key=itemgetter(0)):
        listed = list(of_line)
        for start in range(0, len(listed), KEYS_AT_ONCE):
            some = listed[start : start + KEYS_AT_ONCE]
            query = select(timeline.c.call_id, timeline.c.key).where(
                timeline.c.line == line,
                timeline.c.call_id.in_(sorted({call_id for _, call_id, _ in some})),
                timeline.c.key.in_(sorted({key for _, _, key in some})),
            )
            found = {(line, row.call_id, row.key) for row in connection.execute(query)}
            there |= found.intersection(some)
    return there


def _write(connection: Connection, additions: Iterable[Addition]) -> None:
    """Write what is new, and the conversations; those that change alike with one statement."""
    new: list[dict[str, Any]] = []
    grown: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    alike: dict[tuple[tuple[str, Any], ...], list[CallKey]] = defaultdict(list)
    for each in additions:
        new += each.new
        if each.new:
            changes = each.changes()
            grown[tuple(sorted(changes))].append(changes)
        elif each.values:
            alike[tuple(sorted(each.values.items()))].append((each.row.line, each.row.call_id))
    if new:
        connection.execute(timeline.insert().inline(), new)
    same = (conversations.c.line == bindparam("its_line")) & (conversations.c.call_id == bindparam("its_call"))
    for names, listed in grown.items():
        values: dict[str, Any] = {name: bindparam(name) for name in names if name not in ("its_line", "its_call")}
        connection.execute(conversations.update().where(same).values(values), listed)
    for common, keys in alike.items():
        for line, ids in by_line(keys):
            some = (conversations.c.line == line) & conversations.c.call_id.in_(ids)
            connection.execute(conversations.update().where(some).values(dict(common)))
