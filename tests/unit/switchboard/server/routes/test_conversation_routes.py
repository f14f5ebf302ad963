"""Conversations over the private API, by the real client, in this process."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, START, Switchboard

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConversationSuperseded, InvalidInput, SwitchboardRefused, UnknownCall
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    append_entries,
    finish_conversation,
    get_conversation,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

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
