from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls.call import CallPage, SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.inbound.own_calls import accepted_before, newest_accepted

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
ALL = CallMatch()


def call(number: int, *, accepted: bool = True, state: str = "ended") -> SwitchboardCall:
    at = NOW + timedelta(seconds=number)
    return SwitchboardCall(f"rtc_{number}", "default", state, at, at, accepted_at=at if accepted else None)


def test_the_newest_that_was_accepted_counts_live_or_over() -> None:
    calls = [call(1), call(3, accepted=False, state="missed"), call(2, state="accepted")]
    found = newest_accepted(calls, ALL)
    assert found is not None
    assert found.call_id == "rtc_2"
    assert newest_accepted([call(1, accepted=False, state="claimed")], ALL) is None


def test_a_task_that_wants_another_call_now_does_not_get_the_old_one() -> None:
    assert newest_accepted([call(1)], CallMatch(headers={"X-Correlation-Id": "another"})) is None


class Client:
    """Is away for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def asend(self, request: Request[CallPage]) -> CallPage:
        assert (request.operation, request.params["claimed_by"]) == ("list_calls", "me")
        self.failures -= 1
        if self.failures >= 0:
            raise SwitchboardUnreachable("away")
        return CallPage((call(1),), "cursor")


async def no_pause(_: float) -> None:
    return None


async def test_it_asks_on_while_the_switchboard_is_away() -> None:
    found = await accepted_before(Client(3), "me", ALL, seconds=60, sleep=no_pause)  # type: ignore[arg-type]
    assert found == call(1)


async def test_it_gives_up_when_the_time_is_over() -> None:
    with pytest.raises(SwitchboardUnreachable):
        await accepted_before(Client(3), "me", ALL, seconds=0, sleep=no_pause)  # type: ignore[arg-type]
