"""The ledger over the private API, by the real client, in this process."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from tests.unit.switchboard.support import OTHER_SECRET, Switchboard

from airflow_openai_realtime.exceptions import MoveRefused, UnknownCall
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts, move_attempt, reserve_attempt
from airflow_openai_realtime.switchboard.server.routes import attempt_routes, call_routes
from airflow_openai_realtime.switchboard.server.store import attempt_rows as attempts


async def test_the_life_of_an_attempt(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        reserved = await client.asend(reserve_attempt("spring", "ann", 1, "+14155550123"))
        assert (reserved.state, reserved.created, reserved.to_number) == ("reserved", True, "+14155550123")
        again = await client.asend(reserve_attempt("spring", "ann", 1, "+14155550100"))
        assert (again.created, again.to_number) == (False, "+14155550123")
        await client.asend(move_attempt(reserved.attempt_id, "reserved", "dialing"))
        placed = await client.asend(move_attempt(reserved.attempt_id, "dialing", "placed", carrier_call_id="CA1"))
        assert (placed.state, placed.carrier_call_id) == ("placed", "CA1")
        ended = await client.asend(
            move_attempt(reserved.attempt_id, "placed", "ended", outcome="busy", call_id="rtc_1", detail="SIP 486")
        )
        assert await client.asend(list_attempts("spring")) == [ended]
        assert await client.asend(list_attempts("spring", contact="bob")) == []


async def test_a_contact_that_is_a_number_counts_in_its_one_spelling(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        reserved = await client.asend(reserve_attempt("spring", "+4402071838750", 1, "+4402071838750"))
        again = await client.asend(reserve_attempt("spring", "+442071838750", 1, "+442071838750"))
        found = await client.asend(list_attempts("spring", contact="+4402071838750"))
    assert (reserved.contact, reserved.to_number) == ("+442071838750", "+442071838750")
    assert [reserved.attempt_id] == [again.attempt_id] == [row.attempt_id for row in found]


@pytest.mark.parametrize("length", [200, 201, 2000])
async def test_contacts_and_campaigns_of_any_length_that_airflow_allows_are_told_apart(
    switchboard: Switchboard, length: int
) -> None:
    one, other = "x" * (length - 1) + "1", "x" * (length - 1) + "2"
    async with switchboard.client() as client:
        rows = [await client.asend(reserve_attempt(name, name, 1, "+14155550123")) for name in (one, other, one)]
        assert [row.created for row in rows] == [True, True, False]
        assert rows[0].attempt_id == rows[2].attempt_id
        assert [row.attempt_id for row in await client.asend(list_attempts(other, contact=other))] == [
            rows[1].attempt_id
        ]


async def test_a_second_mover_is_told_no(switchboard: Switchboard) -> None:
    async with switchboard.client() as client:
        reserved = await client.asend(reserve_attempt("spring", "ann", 1, "+14155550123"))
        await client.asend(move_attempt(reserved.attempt_id, "reserved", "dialing"))
        with pytest.raises(MoveRefused) as refused:
            await client.asend(move_attempt(reserved.attempt_id, "reserved", "dialing"))
    assert refused.value.code == "attempt_moved"


async def test_an_attempt_of_another_line_is_not_there(switchboard: Switchboard) -> None:
    async with switchboard.client() as client, switchboard.client(line="sales", secret=OTHER_SECRET) as other:
        reserved = await client.asend(reserve_attempt("spring", "ann", 1, "+14155550123"))
        with pytest.raises(UnknownCall):
            await other.asend(move_attempt(reserved.attempt_id, "reserved", "dialing"))
        assert await other.asend(list_attempts("spring")) == []


async def test_attempts_come_in_pages(switchboard: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAGE", 1)
    async with switchboard.client() as client:
        made = [await client.asend(reserve_attempt("spring", "ann", number, "+14155550123")) for number in (1, 2)]
        found = await client.asend(list_attempts("spring", contact="ann"))
    assert [row.attempt_id for row in found] == [row.attempt_id for row in made]


def test_no_private_route_takes_a_phone_number_in_its_address() -> None:
    named = {
        parameter.name
        for route in (*call_routes.router.routes, *attempt_routes.router.routes)
        if isinstance(route, APIRoute)
        for dependant in (get_flat_dependant(route.dependant),)
        for parameter in (*dependant.path_params, *dependant.query_params)
    }
    # Airflow's access log shows addresses. Ids of calls and attempts are made up, an owner is the name of a task.
    assert named == {"call_id", "attempt_id", "after", "wait", "state", "claimed_by", "limit"}


RESERVATION = {"campaign": "c", "contact": "x", "attempt": 1, "to_number": "+14155550123"}
MOVE = {"from_state": "reserved", "to_state": "dialing", "owner": "o"}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/attempts", {**RESERVATION, "campaign": ""}, "campaign"),
        ("/v1/attempts", {**RESERVATION, "contact": "x" * 2001}, "contact"),
        ("/v1/attempts", {**RESERVATION, "attempt": 0}, "attempt"),
        ("/v1/attempts", {**RESERVATION, "attempt": 2**40}, "attempt"),
        ("/v1/attempts", {**RESERVATION, "to_number": ""}, "to_number"),
        ("/v1/attempts/find", {"contact": "ann"}, "campaign"),
        ("/v1/attempts/find", {"campaign": "c", "contact": ""}, "contact"),
        ("/v1/attempts/find", {"campaign": "c", "after": -1}, "after"),
        ("/v1/attempts/find", {"campaign": "c", "mood": "sunny"}, "mood"),
        ("/v1/attempts/a/move", {**MOVE, "to_state": "ringing"}, "to_state"),
        ("/v1/attempts/a/move", {**MOVE, "from_state": "unknown"}, "cannot move from unknown to dialing"),
        ("/v1/attempts/a/move", {**MOVE, "owner": ""}, "owner"),
        ("/v1/attempts/a/move", {**MOVE, "mood": "sunny"}, "mood"),
        ("/v1/attempts/a/move", {**MOVE, "outcome": "a\x00"}, "outcome"),
    ],
)
async def test_what_cannot_be_used_is_named(
    switchboard: Switchboard, path: str, body: dict[str, Any], named: str
) -> None:
    assert named in await switchboard.refusal("POST", path, body)
