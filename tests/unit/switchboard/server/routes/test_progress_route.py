"""Saving the progress of several conversations over the private API, by the real client, in this process."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.switchboard.support import (
    OTHER_SECRET,
    START,
    Clock,
    Switchboard,
    a_line,
    running,
    until,
)

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.saved_conversation import Progress
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    SwitchboardRefused,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation, open_conversation
from airflow_openai_realtime.switchboard.client.progress_requests import save_progress
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, report_accepted
from airflow_openai_realtime.switchboard.server.store import Store, timeline_rows
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


def entry(key: object, text: str = "Hello") -> TimelineEntry:
    return TimelineEntry(str(key), "caller", START, {"text": text})


async def test_each_conversation_gets_its_own_answer(switchboard: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_rows, "MOST_ENTRIES", 2)
    async with switchboard.client() as client:
        for number in range(4):
            await switchboard.deliver(number)
            await client.asend(open_conversation(f"rtc_{number}", "me", "p1"))
        await client.asend(open_conversation("rtc_1", "somebody else"))
        listed = [
            Progress("rtc_0", 1, (entry("b"), entry("a"))),
            Progress("rtc_1", 1, (entry("a"),)),
            Progress("rtc_9", 1),
            Progress("rtc_2", 1, (entry("a b"),)),
            Progress("rtc_3", 1, tuple(map(entry, range(3)))),
            Progress("no id", 1),
        ]
        saved, superseded, unknown, unfit, full, no_id = await client.asend(save_progress("p1", listed))
        assert saved == {"a", "b"}
        assert isinstance(superseded, ConversationSuperseded)
        assert (superseded.code, superseded.call_id, superseded.status) == ("superseded", "rtc_1", 409)
        assert isinstance(unknown, UnknownCall)
        assert isinstance(unfit, InvalidInput)
        assert isinstance(full, SwitchboardRefused)
        assert "it can have 2" in str(full)
        assert isinstance(no_id, (InvalidInput, UnknownCall))
        assert await client.asend(save_progress("p1", listed[:1])) == [frozenset()]
        assert await client.asend(save_progress("p1", [])) == []
        kept = await client.asend(get_conversation("rtc_0"))
        assert kept is not None
        assert [each.key for each in kept.entries] == ["b", "a"]


async def test_much_progress_goes_in_several_requests(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        for number in range(3):
            await switchboard.deliver(number)
            await client.asend(open_conversation(f"rtc_{number}", "me", "p1"))
        listed = [
            Progress("rtc_0", 1, tuple(entry(number, "x" * 5_000) for number in range(150))),
            Progress("rtc_1", 1, tuple(map(entry, range(450)))),
            Progress("rtc_2", 1),
        ]
        answers = await client.asend(save_progress("p1", listed))
        assert [len(each) for each in answers if isinstance(each, frozenset)] == [150, 450, 0]
        kept = await client.asend(get_conversation("rtc_1"))
        assert kept is not None
        assert [each.key for each in kept.entries] == list(map(str, range(450)))


async def test_a_line_saves_no_progress_of_another(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as support, switchboard.client(line="sales", secret=OTHER_SECRET) as sales:
        await support.asend(open_conversation("rtc_1", "me", "p1"))
        (answer,) = await sales.asend(save_progress("p1", [Progress("rtc_1", 1, (entry("a"),))]))
        assert isinstance(answer, UnknownCall)


GOOD = {"key": "a", "kind": "caller", "at": "2026-11-22T08:00:00Z", "body": {"text": "secret words"}}
ONE = {"call_id": "rtc_1", "generation": 1, "entries": [GOOD]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "process"),
        ({"process": ""}, "process"),
        ({"process": "x" * 65}, "process"),
        ({"process": "a\nb"}, "process"),
        ({"process": "p", "mood": 1}, "mood"),
        ({"process": "p", "leaving": "perhaps"}, "leaving"),
        ({"process": "p", "conversations": [ONE, ONE]}, "each call once"),
        ({"process": "p", "conversations": [{**ONE, "generation": 0}]}, "generation"),
        ({"process": "p", "conversations": [{**ONE, "call_id": "é"}]}, "call_id"),
        ({"process": "p", "conversations": [{**ONE, "entries": [{**GOOD, "kind": "song"}]}]}, "kind"),
        (
            {
                "process": "p",
                "conversations": [{**ONE, "call_id": f"rtc_{n}", "entries": [GOOD] * 101} for n in (1, 2)],
            },
            "at most 200",
        ),
        (
            {"process": "p", "conversations": [{**ONE, "call_id": f"rtc_{n}", "entries": []} for n in range(201)]},
            "conversations",
        ),
    ],
)
async def test_what_cannot_be_kept_is_refused(switchboard: Switchboard, body: dict[str, Any], says: str) -> None:
    message = await switchboard.refusal("POST", "/v1/progress", body)
    assert says in message
    assert "secret words" not in message


async def test_progress_is_saved_with_the_lines_token_only(switchboard: Switchboard) -> None:
    assert (await switchboard.http.post("/v1/progress", json={"process": "p"})).status_code == 401


@pytest.mark.parametrize("leaving", [True, False])
async def test_what_a_process_gives_up_is_stood_by_for_at_once(
    sqlite_store: Store, clock: Clock, leaving: bool
) -> None:
    """Not only at the next look, which is in ten minutes here; nobody answers where it tries to attach."""
    settings = SwitchboardSettings(standby_look_seconds=600)
    async with running(sqlite_store, StaticLines([a_line()]), clock, settings=settings) as switchboard:
        standby = switchboard.service.standby
        await switchboard.deliver()
        async with switchboard.client() as client:
            await client.asend(announce_accept("rtc_1", "me", 60))
            await client.asend(report_accepted("rtc_1", "me"))
            await client.asend(open_conversation("rtc_1", "me", "p1"))
            await until(lambda: standby.sweep.last_at is not None)
            listed = [] if leaving else [Progress("rtc_1", 1, given_up=True)]
            await client.asend(save_progress("p1", listed, leaving=leaving))
            await until(lambda: standby.listening_to("support") == 1)
    assert not standby.listening_to("support")
