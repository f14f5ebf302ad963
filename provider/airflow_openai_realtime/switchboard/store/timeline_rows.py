"""Adding to the timelines of several conversations within one transaction, with a few statements for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select, tuple_

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.store.tables import conversations, timeline
from airflow_openai_realtime.timeline.entries import (
    MOST_CONVERSATION_BYTES,
    MOST_ENTRIES,
    MOST_ENTRY_BYTES,
    TimelineEntry,
    as_json,
)

CallKey = tuple[str, str]

AT_ONCE = 500
"""Values in one condition: databases take only so many."""


@dataclass
class Addition:
    """
    What is added to one conversation.

    :param row: The conversation, locked.
    :param entries: Checked, in their order, each key once.
    :param values: What else changes in the conversation.
    """

    row: Any
    entries: Sequence[TimelineEntry] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    new: list[dict[str, Any]] = field(default_factory=list, init=False)

    @property
    def fits(self) -> bool:
        """Whether the conversation can have what is new as well."""
        enough_room = self.row.entry_bytes + self._size <= MOST_CONVERSATION_BYTES
        return not self.new or (self.row.entry_count + len(self.new) <= MOST_ENTRIES and enough_room)

    def make_fit(self) -> None:
        """Leave out the last ones, as many as there is no room for."""
        while not self.fits:
            self.new.pop()

    def too_much(self) -> InvalidInput:
        """The error for what does not fit."""
        return InvalidInput(
            f"call {self.row.call_id} has {self.row.entry_count} timeline entries of {self.row.entry_bytes:,} bytes; "
            f"it can have {MOST_ENTRIES:,} of {MOST_CONVERSATION_BYTES:,} bytes",
            field="entries",
            call_id=self.row.call_id,
        )

    @property
    def keys(self) -> list[str]:
        """The keys that were not there, in their order."""
        return [entry["key"] for entry in self.new]

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


def locked_rows(connection: Connection, keys: Iterable[CallKey]) -> dict[CallKey, Any]:
    """Conversations, locked in one order, so that no two transactions wait for each other."""
    found: dict[CallKey, Any] = {}
    listed = sorted(set(keys))
    for start in range(0, len(listed), AT_ONCE):
        some = tuple_(conversations.c.line, conversations.c.call_id).in_(listed[start : start + AT_ONCE])
        query = select(conversations).where(some).order_by(conversations.c.line, conversations.c.call_id)
        for row in connection.execute(query.with_for_update()):
            found[row.line, row.call_id] = row
    return found


def find_new(connection: Connection, additions: Iterable[Addition]) -> None:
    """See which entries are new; nobody else adds any while the conversations are locked."""
    listed = list(additions)
    wanted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for each in listed:
        wanted[each.row.line] += [(each.row.call_id, entry.key) for entry in each.entries]
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


def known_keys(connection: Connection, wanted: Mapping[str, Sequence[tuple[str, str]]]) -> set[tuple[str, str, str]]:
    """
    Which keys are on timelines.

    :param wanted: Line → (call id, key).
    :returns: (line, call id, key) of those that are.
    """
    there: set[tuple[str, str, str]] = set()
    for line, pairs in wanted.items():
        for start in range(0, len(pairs), AT_ONCE):
            some = tuple_(timeline.c.call_id, timeline.c.key).in_(pairs[start : start + AT_ONCE])
            query = select(timeline.c.call_id, timeline.c.key).where(timeline.c.line == line, some)
            there.update((line, row.call_id, row.key) for row in connection.execute(query))
    return there


def write(connection: Connection, additions: Sequence[Addition]) -> None:
    """
    Write what is new, and the conversations.

    :param additions: All with the same names of values.
    """
    new = [entry for each in additions for entry in each.new]
    if new:
        connection.execute(timeline.insert().inline(), new)
    if additions:
        same = (conversations.c.line == bindparam("its_line")) & (conversations.c.call_id == bindparam("its_call"))
        changes = [each.changes() for each in additions]
        names = [name for name in changes[0] if name not in ("its_line", "its_call")]
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        connection.execute(conversations.update().where(same).values(values), changes)
