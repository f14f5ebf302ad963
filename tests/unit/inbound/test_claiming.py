from __future__ import annotations

from typing import Any

import pytest
from airflow_world import CALLER, OUR_NUMBER, World

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.inbound.claiming import claim_ringing, ringing_calls
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, report_ended

OTHER = "+14155550177"


def claim(world: World, match: CallMatch | None = None, *, owner: str = "me", most: int = 100) -> list[str]:
    with world.client() as client:
        calls = claim_ringing(client, match or CallMatch(), owner, said.append, most=most)
    assert all(call.claimed_by == owner for call in calls)
    return [call.call_id for call in calls]


said: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    said.clear()


def test_all_calls_that_ring_are_claimed_oldest_first(world: World) -> None:
    ids = [world.ring() for _ in range(3)]
    assert claim(world) == ids
    assert [world.row(call_id).state for call_id in ids] == ["claimed"] * 3


def test_none_rings_and_none_is_claimed(world: World) -> None:
    assert claim(world) == []


def test_only_calls_that_match_are_claimed(world: World) -> None:
    wanted, other = world.ring(), world.ring(to=OTHER)
    assert claim(world, CallMatch(to=OUR_NUMBER, from_number=CALLER)) == [wanted]
    assert world.row(other).state == "ringing"


def test_a_call_of_a_campaign_is_left_to_it(world: World) -> None:
    call_id = world.ring(headers=[("X-Correlation-Id", "c1")])
    assert claim(world) == []
    assert world.row(call_id).state == "ringing"


def test_two_owners_never_have_the_same_call(world: World) -> None:
    first = world.ring()
    assert claim(world, owner="one") == [first]
    second = world.ring()
    assert claim(world, owner="other") == [second]


def test_the_same_owner_gets_its_calls_again_and_what_rings_meanwhile(world: World) -> None:
    first = world.ring()
    claim(world)
    second = world.ring()
    assert claim(world) == [first, second]


def test_a_call_that_is_over_does_not_come_again(world: World) -> None:
    call_id = world.ring()
    claim(world)
    with world.client() as client:
        client.send(report_ended(call_id, "gone"))
    assert claim(world) == []


def test_more_than_the_limit_go_on_ringing(world: World) -> None:
    ids = [world.ring() for _ in range(3)]
    assert claim(world, most=2) == ids[:2]
    assert world.row(ids[2]).state == "ringing"
    assert "go on ringing" in said[0]


class Failing(SwitchboardClient):
    """Stops to answer after some claims."""

    left = 0

    def send(self, what: Any) -> Any:
        if what.operation == "claim":
            if not self.left:
                raise SwitchboardUnreachable("away")
            self.left -= 1
        return super().send(what)


def test_what_is_claimed_is_kept_when_the_switchboard_stops_to_answer(world: World) -> None:
    ids = [world.ring() for _ in range(2)]
    with Failing(world.url, world.token) as client:
        client.left = 1
        assert [call.call_id for call in claim_ringing(client, CallMatch(), "me", said.append, most=9)] == ids[:1]
        assert "away" in said[0]
        with pytest.raises(SwitchboardUnreachable):
            claim_ringing(client, CallMatch(), "other", said.append, most=9)


def test_a_call_that_somebody_else_takes_in_between_is_left_out(world: World) -> None:
    ids = [world.ring() for _ in range(2)]

    class Late(SwitchboardClient):
        def send(self, what: Any) -> Any:
            if (what.operation, what.call_id) == ("claim", ids[0]):
                super().send(claim_call(ids[0], "quicker"))
            return super().send(what)

    with Late(world.url, world.token) as client:
        assert [call.call_id for call in claim_ringing(client, CallMatch(), "me", said.append, most=9)] == ids[1:]


def test_looking_claims_nothing(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        assert [call.call_id for call in ringing_calls(client, CallMatch())] == [call_id]
    assert world.row(call_id).state == "ringing"
