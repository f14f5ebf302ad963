"""Signs of life of the processes that hold conversations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, select
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.processes import (
    NOBODY,
    attached_key,
    give_up,
    held_by,
    left,
    saw,
)
from airflow_openai_realtime.switchboard.server.store.schema.tables import conversations, processes
from airflow_openai_realtime.switchboard.server.store.timeline_rows import locked_rows

_T = TypeVar("_T")
LATER = START + timedelta(seconds=5)


def in_store(store: Store, work: Callable[[Connection], _T]) -> _T:
    return store.database.write(work)


def seen(store: Store) -> dict[tuple[str, str], datetime]:
    query = select(processes)
    found = in_store(store, lambda connection: connection.execute(query).all())
    return {(row.line, row.process): row.seen_at for row in found}


def hold(store: Store, number: int, process: str, *, line: str = "support") -> None:
    store.calls.add([a_call(number, line=line)])
    rule = partial(moves.accepted, claimant="me", now=START, default_duration_seconds=600)
    store.calls.move(line, f"rtc_{number}", rule, START)
    store.conversations.open(line, f"rtc_{number}", "me", START, process=process)


def test_a_process_is_seen_on_its_line_as_late_as_it_showed_itself(store: Store) -> None:
    for line, at in (("support", START), ("sales", START), ("support", LATER)):
        in_store(store, partial(saw, line=line, process="p1", now=at))
    assert seen(store) == {("support", "p1"): LATER, ("sales", "p1"): START}
    in_store(store, partial(left, line="support", process="p1"))
    assert seen(store) == {("sales", "p1"): START}


def test_a_process_holds_what_is_live_and_not_finished(store: Store) -> None:
    for number in (1, 2, 3):
        hold(store, number, "p1")
    hold(store, 4, "p2")
    hold(store, 5, "p1", line="sales")
    store.calls.move("support", "rtc_2", partial(moves.ended, now=START, reason="hung_up"), START)
    store.conversations.finish("support", "rtc_3", 1, "completed", None, [], START)
    assert in_store(store, partial(held_by, line="support", process="p1")) == ["rtc_1"]


def test_what_is_given_up_is_held_by_no_process_and_was_heard_until_then_by_who_was_attached(store: Store) -> None:
    for number in (1, 2):
        hold(store, number, "p1")
    note = TimelineEntry(attached_key(1), "note", START, {"what": "attached"})
    store.conversations.append("support", "rtc_1", 1, [note], START)
    keys = [("support", "rtc_1"), ("support", "rtc_2")]

    def work(connection: Connection) -> list[Any]:
        give_up(connection, locked_rows(connection, keys).values(), LATER)
        return list(connection.execute(select(conversations).order_by(conversations.c.call_id)).all())

    rows = in_store(store, work)
    assert [(row.process, row.heard_until) for row in rows] == [(NOBODY, LATER), (NOBODY, None)]
    assert in_store(store, partial(held_by, line="support", process="p1")) == []
