"""A call that goes on without a listener is not shown as talking."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.ui.support import ALL, PageWorld, User, owner

from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import Witness


@pytest.fixture(autouse=True)
def _talking(page: PageWorld) -> None:
    page.user = User({"campaign": ALL})
    page.ring(1)
    page.accept(1)


def shown(page: PageWorld) -> Any:
    (call,) = page.calls()["calls"]
    assert page.call(1).json()["call"] == call
    return call


def test_while_the_triggerer_shows_signs_of_life_a_quiet_call_goes_on(page: PageWorld) -> None:
    page.store.conversations.open("support", "rtc_1", owner(), page.clock(), process="triggerer-1")
    for _ in range(5):
        page.clock.move(15)
        page.store.conversations.save_progress("support", "triggerer-1", [], page.clock())
        assert shown(page)["silent_since"] is None


def test_talking_stops_when_the_triggerer_is_gone_and_nobody_listens_in_its_place(page: PageWorld) -> None:
    page.store.conversations.open("support", "rtc_1", owner(), page.clock(), process="triggerer-1")
    page.clock.move(12)
    page.store.conversations.save_progress("support", "triggerer-1", [], page.clock())
    last = page.clock().isoformat()
    page.clock.move(19)
    assert shown(page)["silent_since"] is None
    page.clock.move(1)
    assert shown(page)["silent_since"] == last


def test_a_call_whose_outcome_is_written_talks_no_longer(page: PageWorld) -> None:
    page.talk(1)
    page.clock.move(30)
    page.store.conversations.finish("support", "rtc_1", 1, "completed", None, [], page.clock())
    at = page.clock().isoformat()
    page.clock.move(9)
    assert shown(page)["silent_since"] == at


def test_a_holder_that_shows_no_signs_of_life_is_trusted(page: PageWorld) -> None:
    page.talk(1, None, "Hello.")
    page.clock.move(300)
    assert shown(page)["silent_since"] is None


def test_a_call_that_no_holder_attaches_to_is_heard_of_last_when_it_is_accepted(page: PageWorld) -> None:
    accepted_at = page.clock().isoformat()
    page.clock.move(19)
    assert (shown(page)["silent_since"], shown(page)["is_talk_known"]) == (None, True)
    page.clock.move(1)
    assert (shown(page)["silent_since"], shown(page)["is_talk_known"]) == (accepted_at, False)
    assert shown(page)["may_hang_up"] is True


def test_a_holder_that_never_attached_is_not_trusted(page: PageWorld) -> None:
    accepted_at = page.clock().isoformat()
    page.clock.move(5)
    page.store.conversations.open("support", "rtc_1", owner(), page.clock())
    page.clock.move(14)
    assert shown(page)["silent_since"] is None
    page.clock.move(1)
    assert (shown(page)["silent_since"], shown(page)["is_talk_known"]) == (accepted_at, False)


@pytest.mark.parametrize(
    ("account", "is_known"),
    [
        (Account(Witness.FOUND_GONE, "gone"), False),
        (Account(Witness.FOUND_GONE, "gone", talk_seconds=6.0), True),
        (Account(Witness.SOCKET, "caller_hung_up", "caller"), True),
        (Account(Witness.API, "hung_up", "ann"), True),
    ],
)
def test_how_long_a_call_lived_that_was_found_gone_is_not_known(
    page: PageWorld, account: Account, is_known: bool
) -> None:
    page.clock.move(600)
    page.end(1, account)
    assert (shown(page)["silent_since"], shown(page)["is_talk_known"]) == (None, is_known)
