"""Calls over the private API, by the real client, in this process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Switchboard

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import MoveRefused, UnknownCall
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    get_call,
    list_calls,
    report_accepted,
    report_ended,
    report_referred,
    report_rejected,
)


async def test_the_life_of_a_call(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    start = switchboard.clock()
    async with switchboard.client() as client:
        (ringing,) = (await client.asend(list_calls())).calls
        assert (ringing.state, ringing.from_number) == ("ringing", "+14155550123")
        claimed = await client.asend(claim_call("rtc_1", "me"))
        assert (claimed.state, claimed.claimed_by) == ("claimed", "me")
        accepting = (await client.asend(announce_accept("rtc_1", "me", 120))).call
        assert accepting.hangup_at == start + timedelta(seconds=120)
        switchboard.clock.move(2)
        assert (await client.asend(report_accepted("rtc_1", "me"))).accepted_at == start + timedelta(seconds=2)
        referred = await client.asend(report_referred("rtc_1", "tel:+14155550188"))
        assert (referred.state, referred.target_uri) == ("accepted", "tel:+14155550188")
        ended = await client.asend(report_ended("rtc_1", "hung_up"))
        assert (ended.state, ended.end_reason) == ("ended", "hung_up")
        assert await client.asend(report_ended("rtc_1", "another reason")) == ended
        assert await client.asend(get_call("rtc_1")) == ended
        assert (await client.asend(list_calls())).calls == ()
        assert (await client.asend(list_calls(state="all"))).calls == (ended,)
        assert (await client.asend(list_calls(claimed_by="me"))).calls == (ended,)
        assert (await client.asend(list_calls(state="ended,missed"))).calls == (ended,)


async def test_the_second_owner_is_told_who_it_is_not(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as client:
        await client.asend(claim_call("rtc_1", "me"))
        assert (await client.asend(claim_call("rtc_1", "me"))).claimed_by == "me"
        with pytest.raises(MoveRefused) as refused:
            await client.asend(claim_call("rtc_1", "you"))
    assert (refused.value.code, refused.value.status) == ("claimed_by_other", 409)


async def test_a_rejected_call_keeps_its_status(switchboard: Switchboard) -> None:
    await switchboard.deliver()
    async with switchboard.client() as client:
        assert (await client.asend(report_rejected("rtc_1", 486))).status_code == 486
        assert (await client.asend(report_ended("rtc_1", "x"))).state == "rejected"
        with pytest.raises(MoveRefused) as refused:
            await client.asend(claim_call("rtc_1", "me"))
    assert refused.value.code == "not_ringing"


@pytest.mark.parametrize("move", ["accepting", "accepted"])
async def test_a_call_that_no_webhook_told_of_is_registered_and_watched(switchboard: Switchboard, move: str) -> None:
    async with switchboard.client() as client:
        if move == "accepting":
            registered = (await client.asend(announce_accept("rtc_new", "me", 60))).call
        else:
            registered = await client.asend(report_accepted("rtc_new", "me"))
        assert registered.hangup_at is not None
        assert registered.claimed_by == "me"
        assert await client.asend(get_call("rtc_new")) == registered


async def test_the_webhook_of_a_registered_call_is_no_second_call(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60))
        assert (await switchboard.deliver()).status_code == 200
        assert (await client.asend(get_call("rtc_1"))).state == "claimed"


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.send(get_call("rtc_9")),
        lambda client: client.send(claim_call("rtc_9", "me")),
        lambda client: client.send(report_ended("rtc_9", "x")),
        lambda client: client.send(report_rejected("rtc_9", 486)),
        lambda client: client.send(report_referred("rtc_9", "tel:+1")),
    ],
)
async def test_a_call_that_is_not_known_is_not_there(switchboard: Switchboard, ask: Any) -> None:
    async with switchboard.client() as client:
        with pytest.raises(UnknownCall):
            await ask(client)


async def test_a_call_of_another_line_is_not_there(switchboard: Switchboard) -> None:
    await switchboard.deliver(path="/webhook/sales", secret=OTHER_SECRET)
    async with switchboard.client() as client:
        with pytest.raises(UnknownCall):
            await client.asend(claim_call("rtc_1", "me"))
        assert (await client.asend(list_calls(state="all"))).calls == ()


async def test_an_odd_call_id_is_an_id_like_any_other(switchboard: Switchboard) -> None:
    odd = "a/../b?c#d%2F&é"[:-1]
    async with switchboard.client() as client:
        assert ((await client.asend(announce_accept(odd, "me", 60))).call).call_id == odd
        assert (await client.asend(get_call(odd))).call_id == odd


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/v1/calls/rtc_1/claim", {}, "claimant"),
        ("POST", "/v1/calls/rtc_1/claim", {"claimant": ""}, "claimant"),
        ("POST", "/v1/calls/rtc_1/claim", {"claimant": "x" * 501}, "claimant"),
        ("POST", "/v1/calls/rtc_1/claim", {"claimant": "a\x00b"}, "claimant"),
        ("POST", "/v1/calls/rtc_1/accepting", {"claimant": "me", "max_duration_seconds": 0}, "max_duration_seconds"),
        ("POST", "/v1/calls/rtc_1/accepting", {"claimant": "me", "max_duration_seconds": 3601}, "max_duration_seconds"),
        ("POST", "/v1/calls/rtc_1/rejected", {"status_code": 200}, "status_code"),
        ("POST", "/v1/calls/rtc_1/referred", {"target_uri": ""}, "target_uri"),
        ("POST", "/v1/calls/rtc_1/ended", {"reason": "x" * 201}, "reason"),
        ("POST", "/v1/calls/rtc%00/claim", {"claimant": "me"}, "id in the path"),
        ("POST", "/v1/calls/%2E%2E/claim", {"claimant": "me"}, "id in the path"),
        ("POST", "/v1/calls/%2E%2E/accepting", {"claimant": "me", "max_duration_seconds": 9}, "id in the path"),
        ("GET", "/v1/calls/%2E", None, "id in the path"),
        ("GET", "/v1/calls?wait=26&after=0", None, "wait"),
        ("GET", "/v1/calls?wait=nan&after=0", None, "wait"),
        ("GET", "/v1/calls?after=x", None, "after"),
        ("GET", "/v1/calls?state=happy", None, "state"),
        ("GET", "/v1/calls?limit=0", None, "limit"),
        ("GET", "/v1/calls?claimed_by=%00", None, "claimed_by"),
    ],
)
async def test_what_cannot_be_used_is_named_and_not_repeated(
    switchboard: Switchboard, method: str, path: str, body: Any, named: str
) -> None:
    message = await switchboard.refusal(method, path, body)
    assert named in message
    assert "xxx" not in message


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"\\ud800"', b'{"claimant": "\\ud800"}', b"9" * 5000, b"[" * 9999]
)
async def test_no_body_breaks_a_route(switchboard: Switchboard, content: bytes) -> None:
    headers = {"Authorization": f"Bearer {derived_token(SECRET)}", "Content-Type": "application/json"}
    answer = await switchboard.http.post("/v1/calls/rtc_1/claim", content=content, headers=headers)
    assert answer.status_code in (400, 422)
