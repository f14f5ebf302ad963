"""Standing orders over the private API, by the real client, in this process."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Clock, Switchboard, a_line, running, until

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import InvalidInput, MoveRefused, SwitchboardRefused, UnknownCall
from airflow_openai_realtime.switchboard.client.order_requests import get_order, list_orders, put_order, remove_order
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    list_calls,
    report_accepted,
    report_ended,
    take_over_call,
)
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "server_url": "https://crm.example/mcp",
    "authorization": "tok-1",
    "headers": {"X-Key": "tok-2"},
    "require_approval": "never",
}
HEADERS = {"Authorization": f"Bearer {derived_token(SECRET)}"}


async def test_the_life_of_an_order(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        put = await client.asend(
            put_order(
                "day",
                match=CallMatch(to="+1415*"),
                session={"instructions": "Hi"},
                greeting="Say hello\nand wait",
                max_duration_seconds=300,
                priority=2,
                uses=9,
                expires_at=switchboard.clock() + timedelta(hours=8),
            )
        )
        assert (put.action, put.uses_left, put.max_duration_seconds) == ("accept", 9, 300)
        assert await client.asend(get_order("day")) == put
        night = await client.asend(put_order("night", status_code=486, unclaimed_after_seconds=10))
        assert (night.action, night.status_code) == ("reject", 486)
        assert await client.asend(list_orders()) == [put, night]
        assert await client.asend(remove_order("day"))
        assert not await client.asend(remove_order("day"))
        assert await client.asend(list_orders()) == [night]
        with pytest.raises(UnknownCall, match="no standing order day"):
            await client.asend(get_order("day"))


async def test_putting_an_order_again_changes_it(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        first = await client.asend(put_order("day", uses=2))
        again = await client.asend(put_order("day", priority=7))
        assert (again.priority, again.uses, again.created_at) == (7, None, first.created_at)
        assert await client.asend(list_orders()) == [again]


async def test_time_to_live_is_counted_by_the_switchboards_clock(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        order = await client.asend(put_order("day", expires_in_seconds=60))
    assert order.expires_at == switchboard.clock() + timedelta(seconds=60)


async def test_an_accepting_order_has_a_longest_duration_of_its_own_accord(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        assert (await client.asend(put_order("day"))).max_duration_seconds == 600


async def test_orders_of_another_line_are_not_there(switchboard: Switchboard) -> None:
    async with switchboard.client() as support, switchboard.client(line="sales", secret=OTHER_SECRET) as sales:
        await support.asend(put_order("day"))
        assert await sales.asend(list_orders()) == []
        assert not await sales.asend(remove_order("day"))
        await sales.asend(put_order("day", status_code=603))
        assert (await support.asend(get_order("day"))).action == "accept"


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_without_the_token_nothing_is_told_or_changed(switchboard: Switchboard, method: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = await switchboard.http.request(method, "/v1/orders/day", headers=headers, json={"edition": "e"})
        assert answer.status_code == 401
    assert (await switchboard.http.get("/v1/orders")).status_code == 401
    assert switchboard.service.store.orders.all("support") == []


async def test_what_calls_are_accepted_with_is_in_no_answer(switchboard: Switchboard) -> None:
    body = {"session": {"tools": [TOOL], "instructions": "Mention Ada"}, "greeting": "Greet Ada", "edition": "e"}
    http = switchboard.http
    answers = [
        await http.put("/v1/orders/day", headers=HEADERS, json=body),
        await http.get("/v1/orders/day", headers=HEADERS),
        await http.get("/v1/orders", headers=HEADERS),
        await http.get("/v1/status", headers=HEADERS),
        await http.put("/v1/orders/day", headers=HEADERS, json={**body, "session": {**body["session"], "modl": 1}}),  # type: ignore[dict-item]
        await http.put("/v1/orders/day", headers=HEADERS, json={**body, "session": [TOOL]}),
        await http.put("/v1/orders/day", headers=HEADERS, json={**body, "greeting": ["Greet Ada"]}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 422, 422, 422]
    for secret in ("tok-1", "tok-2", "Ada"):
        assert not [answer.text for answer in answers if secret in answer.text]
    assert "modl" in answers[4].text


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"edition": ""}, "edition"),
        ({}, "edition"),
        ({"edition": "e", "unknown": 1}, "unknown"),
        ({"edition": "e", "session": {"voice": "marin"}}, "voice"),
        ({"edition": "e", "match": {"too": "+1"}}, "too"),
        ({"edition": "e", "match": {"to": ""}}, "to"),
        ({"edition": "e", "status_code": 200}, "status_code"),
        ({"edition": "e", "status_code": 486, "greeting": "Hi"}, "greeting"),
        ({"edition": "e", "max_duration_seconds": 0}, "max_duration_seconds"),
        ({"edition": "e", "uses": 0}, "uses"),
        ({"edition": "e", "greeting": ""}, "greeting"),
        ({"edition": "e", "unclaimed_after_seconds": 0}, "unclaimed_after_seconds"),
        ({"edition": "e", "expires_at": "2026-11-22T18:00:00"}, "expires_at"),
        ({"edition": "e", "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"edition": "e", "expires_at": "2026-11-22T18:00:00Z", "expires_in_seconds": 5}, "expires_in_seconds"),
        ({"edition": "e", "priority": 10**9}, "priority"),
    ],
)
async def test_an_order_that_cannot_be_used_is_refused_by_name(
    switchboard: Switchboard, body: dict[str, Any], named: str
) -> None:
    assert named in await switchboard.refusal("PUT", "/v1/orders/day", body)
    assert switchboard.service.store.orders.all("support") == []


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 101, "a%0Ab"])
async def test_a_name_that_cannot_be_used_is_refused(switchboard: Switchboard, name: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        assert await switchboard.refusal(method, f"/v1/orders/{name}", {"edition": "e"})


async def test_the_client_refuses_a_bad_name_or_instant_itself(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        with pytest.raises(InvalidInput):
            await client.asend(get_order("../calls"))
        with pytest.raises(InvalidInput, match="time zone"):
            await client.asend(put_order("day", expires_at=switchboard.clock().replace(tzinfo=None)))
        with pytest.raises(SwitchboardRefused, match="status_code"):
            await client.asend(put_order("day", status_code=42))


async def ring_and_accept(switchboard: Switchboard, client: SwitchboardClient, number: int = 1) -> None:
    """A call that the order *day* has accepted; OpenAI does not answer here, so its part is written by hand."""
    await switchboard.deliver(number)
    await client.asend(claim_call(f"rtc_{number}", "order:day"))
    await client.asend(announce_accept(f"rtc_{number}", "order:day", 60))
    await client.asend(report_accepted(f"rtc_{number}", "order:day"))


async def test_one_of_many_takes_over_a_call_that_an_order_has_accepted(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        await ring_and_accept(switchboard, client)
        before = await client.asend(list_calls())
        mine = await client.asend(take_over_call("rtc_1", "me", "day"))
        assert (mine.state, mine.claimed_by) == ("accepted", "me")
        assert mine.hangup_at == switchboard.clock() + timedelta(seconds=60)
        assert await client.asend(take_over_call("rtc_1", "me", "day")) == mine
        with pytest.raises(MoveRefused) as refused:
            await client.asend(take_over_call("rtc_1", "you", "day"))
        assert refused.value.code == "claimed_by_other"
        changed = await client.asend(list_calls(after=before.cursor))
        assert [call.claimed_by for call in changed.calls] == ["me"]


async def test_only_what_an_order_has_accepted_can_be_taken_over(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        await switchboard.deliver(1)
        with pytest.raises(MoveRefused) as ringing:
            await client.asend(take_over_call("rtc_1", "me", "day"))
        await client.asend(claim_call("rtc_1", "order:day"))
        with pytest.raises(MoveRefused) as claimed:
            await client.asend(take_over_call("rtc_1", "me", "day"))
        await client.asend(report_accepted("rtc_1", "order:day"))
        with pytest.raises(MoveRefused) as other_order:
            await client.asend(take_over_call("rtc_1", "me", "night"))
        await client.asend(report_ended("rtc_1", "hung_up"))
        with pytest.raises(MoveRefused) as ended:
            await client.asend(take_over_call("rtc_1", "me", "day"))
    codes = [each.value.code for each in (ringing, claimed, other_order, ended)]
    assert codes == ["not_accepted", "not_accepted", "claimed_by_other", "ended"]


async def test_nothing_can_be_taken_from_a_task(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        await switchboard.deliver(1)
        await client.asend(announce_accept("rtc_1", "dag/run/task/-1", 60))
        await client.asend(report_accepted("rtc_1", "dag/run/task/-1"))
    body = {"claimant": "me", "from_claimant": "dag/run/task/-1"}
    assert await switchboard.refusal("POST", "/v1/calls/rtc_1/claim", body)


async def test_a_new_order_answers_at_once_what_rings(
    sqlite_store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SwitchboardSettings(order_sweep_seconds=3600)
    caplog.set_level(logging.INFO)
    async with running(sqlite_store, StaticLines([a_line()]), clock, settings=settings) as switchboard:
        await until(lambda: switchboard.service.orders.sweep.last_at is not None)
        async with switchboard.client() as client:
            await client.asend(put_order("day", match=CallMatch(to="+1*"), session={"instructions": "Hi"}))
        await until(lambda: "order.known line=support order=day action=accept" in caplog.text)
