"""A carrier's word about the end of a call is asked for a few times, and reported when it says something new."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.unit.asked import Answers, ask_methods

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import CarrierRefused, CarrierUnavailable, SwitchboardUnreachable
from airflow_openai_realtime.outbound import carrier_status as under_test
from airflow_openai_realtime.outbound.carrier_status import account_of, carriers_word
from airflow_openai_realtime.outbound.carriers.port import CarrierCall
from airflow_openai_realtime.states import Witness

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
CALL = SwitchboardCall("rtc_1", "l", "ended", NOW, NOW, end_reason="caller_hung_up")
LIVE, DONE = CarrierCall("CA1", "in-progress"), CarrierCall("CA1", "completed", 42.0)


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_methods(monkeypatch, under_test, report_ended="ended")


class World(Answers):
    """A carrier that says one thing after the other, and a switchboard that takes an account."""

    def __init__(self, *says: Any, away: bool = False) -> None:
        self._says = list(says)
        self._away = away
        self.told: list[Account] = []
        self.reports: list[str] = []
        self.pauses: list[float] = []
        self.is_closed = False

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True

    def look(self, carrier_call_id: str) -> CarrierCall:
        assert carrier_call_id == "CA1"
        said = self._says.pop(0)
        if isinstance(said, Exception):
            raise said
        found: CarrierCall = said
        return found

    def ended(self, call_id: str, account: Account) -> SwitchboardCall:
        if self._away:
            raise SwitchboardUnreachable("away")
        self.told.append(account)
        return replace(CALL, end_reason=account.reason, talk_seconds=account.talk_seconds)

    def ask(self) -> SwitchboardCall:
        me: Any = self
        return carriers_word(me, lambda: me, CALL, "CA1", self.reports.append, sleep=self.pauses.append)


def test_the_end_is_reported_as_soon_as_the_carrier_has_noticed_it() -> None:
    world = World(LIVE, DONE)
    assert world.ask().talk_seconds == 42.0
    assert (world.pauses, len(world.told), world.is_closed, world.reports) == ([1.0], 1, True, [])


def test_a_carrier_that_does_not_notice_the_end_is_asked_three_times() -> None:
    world = World(LIVE, LIVE, LIVE)
    assert world.ask() is CALL
    assert (world.pauses, world.told, world.is_closed) == ([1.0, 1.0], [], True)


@pytest.mark.parametrize("error", [CarrierUnavailable("no route"), CarrierRefused("404")])
def test_a_carrier_that_cannot_say_changes_nothing(error: Exception) -> None:
    world = World(LIVE, error)
    assert world.ask() is CALL
    assert world.reports == [f"The carrier's word about the end of call rtc_1 is missing: {error}"]
    assert world.is_closed


def test_a_switchboard_that_is_away_changes_nothing() -> None:
    world = World(DONE, away=True)
    assert world.ask() is CALL
    assert "is missing: away" in world.reports[0]


@pytest.mark.parametrize(
    ("status", "reason"), [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "carrier_failed")]
)
def test_a_carrier_is_a_witness_of_a_call_that_it_could_not_make(status: Any, reason: str) -> None:
    account = account_of(CarrierCall("CA1", status, 3.0), CALL)
    assert account == Account(Witness.CARRIER, reason, "carrier", 3.0)


@pytest.mark.parametrize("end_reason", ["caller_hung_up", None])
def test_of_a_call_that_was_answered_it_only_knows_how_long_it_lasted(end_reason: str | None) -> None:
    account = account_of(DONE, replace(CALL, end_reason=end_reason))
    assert account == Account(Witness.FOUND_GONE, end_reason or "gone", None, 42.0)


@pytest.mark.parametrize("seen", [LIVE, CarrierCall("CA1", "completed"), CarrierCall("CA1", "canceled")])
def test_a_status_without_news_is_no_account(seen: CarrierCall) -> None:
    assert account_of(seen, CALL) is None
