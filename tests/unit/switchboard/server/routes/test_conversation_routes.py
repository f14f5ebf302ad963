"""Conversations over the private API, by the real client, in this process."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.switchboard.support import (
    OTHER_SECRET,
    SECRET,
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
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConversationSuperseded, InvalidInput, SwitchboardRefused, UnknownCall
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    append_entries,
    finish_conversation,
    get_conversation,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.progress_requests import save_progress
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, get_call, report_accepted
from airflow_openai_realtime.switchboard.server.store import Store, timeline_rows
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

HEADERS = {"Authorization": f"Bearer {derived_token(SECRET)}"}
PATH = "/v1/calls/rtc_1/conversation"


def entry(key: object, kind: str = "caller", text: str = "Hello") -> TimelineEntry:
    return TimelineEntry(str(key), kind, START, {"text": text})


async def test_the_life_of_a_conversation(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as client:
        assert await client.asend(get_conversation("rtc_1")) is None
        opened = await client.asend(open_conversation("rtc_1", "dag/run/task/-1"))
        assert (opened.generation, opened.entries, opened.is_finished) == (1, (), False)
        assert await client.asend(append_entries("rtc_1", 1, [entry("a"), entry("b", "agent")])) == {"a", "b"}
        assert await client.asend(append_entries("rtc_1", 1, [entry("b"), entry("c")])) == {"c"}
        assert await client.asend(append_entries("rtc_1", 1, [])) == frozenset()
        done = await client.asend(finish_conversation("rtc_1", 1, "completed", {"day": "Friday"}, [entry("d")]))
        assert (done.outcome, done.result, done.is_finished) == ("completed", {"day": "Friday"}, True)
        assert [each.key for each in done.entries] == ["a", "b", "c", "d"]
        assert await client.asend(get_conversation("rtc_1")) == done
        assert await client.asend(open_conversation("rtc_1", "another")) == done
        assert (await client.asend(get_call("rtc_1"))).call_id == "rtc_1"


async def test_whoever_was_superseded_is_told_so(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as client:
        await client.asend(open_conversation("rtc_1", "one"))
        await client.asend(open_conversation("rtc_1", "two"))
        with pytest.raises(ConversationSuperseded) as refused:
            await client.asend(append_entries("rtc_1", 1, [entry("a")]))
        assert (refused.value.code, refused.value.status, refused.value.call_id) == ("superseded", 409, "rtc_1")
        await client.asend(finish_conversation("rtc_1", 2, "completed", None))
        with pytest.raises(ConversationSuperseded) as refused:
            await client.asend(append_entries("rtc_1", 2, [entry("a")]))
        assert refused.value.code == "finished"


async def test_an_unknown_call_has_no_conversation_to_open(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        with pytest.raises(UnknownCall):
            await client.asend(open_conversation("rtc_9", "me"))
        with pytest.raises(UnknownCall):
            await client.asend(append_entries("rtc_9", 1, [entry("a")]))


async def test_conversations_of_another_line_are_not_there(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as support, switchboard.client(line="sales", secret=OTHER_SECRET) as sales:
        await support.asend(open_conversation("rtc_1", "me"))
        assert await sales.asend(get_conversation("rtc_1")) is None
        with pytest.raises(UnknownCall):
            await sales.asend(append_entries("rtc_1", 1, [entry("a")]))


async def test_a_long_timeline_goes_in_several_requests(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    many = [entry(number, text="x" * 2_000) for number in range(450)]
    async with switchboard.client() as client:
        await client.asend(open_conversation("rtc_1", "me"))
        assert len(await client.asend(append_entries("rtc_1", 1, many))) == 450
        done = await client.asend(
            finish_conversation("rtc_1", 1, "completed", None, [entry(f"z{n}") for n in range(300)])
        )
    assert [each.key for each in done.entries] == [*map(str, range(450)), *(f"z{n}" for n in range(300))]


async def test_what_cannot_be_kept_is_refused_before_it_is_sent(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        with pytest.raises(InvalidInput, match="key must be"):
            await client.asend(append_entries("rtc_1", 1, [entry("a b")]))
        with pytest.raises(InvalidInput, match="result is"):
            await client.asend(finish_conversation("rtc_1", 1, "completed", {"x": "y" * 300_000}))


GOOD = {"key": "a", "kind": "caller", "at": "2026-11-22T08:00:00Z", "body": {"text": "secret words"}}


@pytest.mark.parametrize(
    ("action", "body", "says"),
    [
        ("open", {}, "holder"),
        ("open", {"holder": ""}, "holder"),
        ("open", {"holder": "a\nb"}, "holder"),
        ("append", {"generation": 0, "entries": []}, "generation"),
        ("append", {"generation": 2**31, "entries": []}, "generation"),
        ("append", {"generation": 1, "entries": [GOOD] * 201}, "entries"),
        ("append", {"generation": 1, "entries": [{**GOOD, "kind": "song"}]}, "kind"),
        ("append", {"generation": 1, "entries": [{**GOOD, "at": "2026-11-22T08:00:00"}]}, "at"),
        ("append", {"generation": 1, "entries": [{**GOOD, "at": "0001-01-01T00:00:00Z"}]}, "at"),
        ("append", {"generation": 1, "entries": [{**GOOD, "key": "a b"}]}, "key"),
        ("append", {"generation": 1, "entries": [{**GOOD, "body": {"x": "y" * 70_000}}]}, "at most 65,536"),
        ("append", {"generation": 1, "entries": [{**GOOD, "mood": 1}]}, "mood"),
        ("finish", {"generation": 1}, "outcome"),
        ("finish", {"generation": 1, "outcome": "x" * 65}, "outcome"),
        ("finish", {"generation": 1, "outcome": "x", "result": []}, "result"),
        ("finish", {"generation": 1, "outcome": "x", "result": {"x": "y" * 300_000}}, "result is"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_the_switchboard_too(
    switchboard: Switchboard, action: str, body: dict[str, Any], says: str
) -> None:
    await switchboard.deliver()
    await switchboard.http.post(f"{PATH}/open", headers=HEADERS, json={"holder": "me"})
    message = await switchboard.refusal("POST", f"{PATH}/{action}", body)
    assert says in message
    assert "secret words" not in message
    assert "yyy" not in message


async def test_the_first_error_of_the_store_reaches_the_client(
    switchboard: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_openai_realtime.switchboard.server.store import timeline_rows as module

    monkeypatch.setattr(module, "MOST_ENTRIES", 1)
    await switchboard.deliver()
    async with switchboard.client() as client:
        await client.asend(open_conversation("rtc_1", "me"))
        with pytest.raises(SwitchboardRefused, match="it can have"):
            await client.asend(append_entries("rtc_1", 1, [entry("a"), entry("b")]))


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
            Progress("rtc_0", 1, tuple(entry(number, text="x" * 5_000) for number in range(150))),
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
    """Not only at the next look, which is in ten minutes here; no server answers where it tries to attach."""
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
