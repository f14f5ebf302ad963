"""Taking over what a standing order has answered, with a switchboard made up."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls.call import CallPage, SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import MoveRefused, SwitchboardUnreachable, UnknownCall
from airflow_openai_realtime.inbound.taking_over import AnsweredMatch, TakingOver, take_over_now
from airflow_openai_realtime.inbound.waiting import CLAIM_AGAIN_SECONDS

START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
DAY = AnsweredMatch("day", CallMatch(to="+1415*"))
TAKEN = MoveRefused("no", code="claimed_by_other")


def call(number: int, state: str = "accepted", claimed_by: str | None = "order:day", **fields: Any) -> SwitchboardCall:
    fields = {"to_number": "+14155550100", "received_at": START, "expires_at": START + timedelta(minutes=1), **fields}
    return SwitchboardCall(call_id=f"rtc_{number}", line="l", state=state, claimed_by=claimed_by, **fields)


@pytest.mark.parametrize(
    "other",
    [
        call(1, "ringing", None),
        call(1, "claimed"),
        call(1, "ended"),
        call(1, claimed_by="order:night"),
        call(1, claimed_by="task"),
        call(1, to_number="+18005550100"),
    ],
)
def test_only_what_the_order_has_accepted_and_still_has_is_wanted(other: SwitchboardCall) -> None:
    assert DAY.matches(call(1))
    assert not DAY.matches(other)


class Switchboard:
    """Answers take-overs in turn, with a call or an error."""

    def __init__(self, *answers: SwitchboardCall | Exception, mine: SwitchboardCall | None = None) -> None:
        self.answers = list(answers)
        self.mine = mine
        self.asked: list[tuple[str, str, str]] = []

    def send(self, request: Request[Any]) -> Any:
        if request.operation == "list_calls":
            return self._calls(**request.params)
        assert request.operation == "claim"
        assert request.body is not None
        self.asked.append((str(request.call_id), request.body["claimant"], request.body["from_claimant"]))
        return self._answer()

    def _calls(self, *, claimed_by: str, limit: int, state: str | None = None) -> CallPage:
        if claimed_by == "me":
            return CallPage((self.mine,) if self.mine is not None else (), "1")
        assert (claimed_by, state) == ("order:day", "accepted")
        return CallPage((call(1, to_number="+18005550100"), call(2), call(3)), "1")

    def _answer(self) -> SwitchboardCall:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def asend(self, request: Request[Any]) -> Any:
        return self.send(request)


async def take(switchboard: Switchboard, wanted: SwitchboardCall) -> tuple[SwitchboardCall | None, list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    taking = TakingOver(switchboard, "me", "day", sleep)  # type: ignore[arg-type]
    return await taking.take(wanted), slept


async def test_while_the_switchboard_is_away_it_is_asked_again_as_the_same_owner() -> None:
    mine = call(1, claimed_by="me")
    switchboard = Switchboard(SwitchboardUnreachable("away"), SwitchboardUnreachable("away"), mine)
    assert await take(switchboard, call(1)) == (mine, [CLAIM_AGAIN_SECONDS] * 2)
    assert switchboard.asked == [("rtc_1", "me", "order:day")] * 3


@pytest.mark.parametrize("error", [TAKEN, UnknownCall("no")])
async def test_a_call_that_somebody_else_has_is_let_go(error: Exception) -> None:
    assert await take(Switchboard(error), call(1)) == (None, [])


async def test_what_the_owner_has_already_is_asked_for_anew_since_it_may_be_about_to_end() -> None:
    mine = call(1, claimed_by="me")
    switchboard = Switchboard(mine)
    assert await take(switchboard, mine) == (mine, [])
    assert switchboard.asked == [("rtc_1", "me", "order:day")]


def test_looking_once_takes_the_first_that_matches_and_can_be_had() -> None:
    mine = call(3, claimed_by="me")
    switchboard = Switchboard(TAKEN, mine)
    assert take_over_now(switchboard, DAY, "me") == mine  # type: ignore[arg-type]
    assert [asked[0] for asked in switchboard.asked] == ["rtc_2", "rtc_3"]
    assert take_over_now(Switchboard(TAKEN, TAKEN), DAY, "me") is None  # type: ignore[arg-type]


def test_looking_once_finds_what_the_owner_has() -> None:
    mine = call(9, claimed_by="me")
    assert take_over_now(Switchboard(mine=mine), DAY, "me") == mine  # type: ignore[arg-type]
    over = call(9, "ended", claimed_by="me")
    other = call(2, claimed_by="me")
    assert take_over_now(Switchboard(other, mine=over), DAY, "me") == other  # type: ignore[arg-type]
