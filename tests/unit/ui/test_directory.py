"""The calls of several sources as one list, and not asked for too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.recent import ConversationSummary, Place, RecentCall, RecentPage
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused, SwitchboardUnreachable
from airflow_openai_realtime.ui.directory import (
    AWAY_SECONDS,
    FRESH_SECONDS,
    MOST_ASKING_ONE,
    CallDirectory,
    Missing,
    Remembered,
)
from airflow_openai_realtime.ui.sources import FoundCall


def a_recent(
    number: int, *, state: str = "ended", conversation: ConversationSummary | None = None, **changes: Any
) -> RecentCall:
    at = START - timedelta(minutes=number)
    fields: dict[str, Any] = {"line": "support", "state": state, "received_at": at, "expires_at": at, **changes}
    return RecentCall(SwitchboardCall(f"rtc_{number}", **fields), conversation)


@dataclass
class FakeSource:
    """A source that answers, or is away."""

    conn_id: str | None
    calls: tuple[RecentCall, ...] = ()
    problem: Exception | None = None
    asked: list[Any] = field(default_factory=list)

    def __hash__(self) -> int:
        return hash(self.conn_id)

    def page(self, before: Place | None, limit: int) -> RecentPage:
        self.asked.append(before)
        if self.problem is not None:
            raise self.problem
        return RecentPage(self.calls, None)

    def find(self, conn_id: str, call_id: str) -> FoundCall | None:
        if self.problem is not None:
            raise self.problem
        return next((FoundCall(each, None) for each in self.calls if each.call.call_id == call_id), None)

    def ended(self, conn_id: str, call_id: str, reason: str) -> None:
        raise AssertionError("nothing ends here")


class Seconds:
    """A clock in seconds that tests move."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def directory(*sources: FakeSource, now: Callable[[], float] | None = None) -> CallDirectory:
    return CallDirectory(lambda: sources, now or Seconds())


def ids(page: RecentPage) -> list[str]:
    return [each.call.call_id for each in page.calls]


def test_the_calls_of_all_sources_are_one_list() -> None:
    found, missing = directory(
        FakeSource(None, (a_recent(3), a_recent(5))), FakeSource("sales", (a_recent(4), a_recent(9, state="accepted")))
    ).page(None, 10)
    assert ids(found) == ["rtc_9", "rtc_3", "rtc_4", "rtc_5"]
    assert missing == []


def test_many_who_look_on_are_one_question_and_a_moment_later_another() -> None:
    source, now = FakeSource(None, (a_recent(1),)), Seconds()
    calls = directory(source, now=now)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: calls.page(None, 10), range(20)))
    assert len(source.asked) == 1
    now.at += FRESH_SECONDS
    calls.page(None, 10)
    assert len(source.asked) == 2
    calls.forget()
    calls.page(None, 10)
    assert len(source.asked) == 3


def test_one_that_is_away_is_named_and_left_alone_for_a_while() -> None:
    now = Seconds()
    away = FakeSource("sales", problem=SwitchboardUnreachable("no answer from the switchboard"))
    calls = directory(FakeSource(None, (a_recent(1),)), away, now=now)
    for _ in range(3):
        found, missing = calls.page(None, 10)
        assert (ids(found), missing) == (["rtc_1"], [Missing("sales", "no answer from the switchboard")])
    now.at += AWAY_SECONDS - 0.1
    calls.page(None, 10)
    assert len(away.asked) == 1
    now.at += 0.1
    away.problem = None
    assert calls.page(None, 10)[1] == []


def test_what_nobody_expected_is_not_told_in_its_own_words() -> None:
    _, missing = directory(FakeSource("sales", problem=ValueError("password=secret"))).page(None, 10)
    assert missing == [Missing("sales", "unexpected (ValueError); see the log of Airflow's API server")]


def test_older_calls_are_asked_for_each_time() -> None:
    source = FakeSource(None, (a_recent(1),))
    calls = directory(source)
    for _ in range(2):
        calls.page(a_recent(0).place, 10)
    assert len(source.asked) == 2


def test_a_call_is_found_where_it_is_though_another_source_is_away() -> None:
    away, now = FakeSource("support", problem=SwitchboardUnreachable("away")), Seconds()
    calls = directory(away, FakeSource("sales", problem=ValueError()), FakeSource(None, (a_recent(1),)), now=now)
    located = calls.find("support", "rtc_1")
    assert located is not None
    assert located[1].recent.call.call_id == "rtc_1"
    with pytest.raises(SwitchboardUnreachable):
        calls.find("support", "rtc_2")
    away.problem = None
    now.at += AWAY_SECONDS
    assert calls.find("support", "rtc_2") is None


class SlowSource(FakeSource):
    """A source that answers when it is let."""

    def __init__(self, conn_id: str | None) -> None:
        super().__init__(conn_id)
        self.may_answer = threading.Event()
        self.is_asked = threading.Event()

    def page(self, before: Place | None, limit: int) -> RecentPage:
        self.is_asked.set()
        assert self.may_answer.wait(60)
        return super().page(before, limit)

    def find(self, conn_id: str, call_id: str) -> FoundCall | None:
        assert self.may_answer.wait(60)
        return super().find(conn_id, call_id)


def test_while_a_slow_switchboard_is_asked_again_people_see_what_it_said_before() -> None:
    slow, now = SlowSource("sales"), Seconds()
    slow.calls = (a_recent(1),)
    slow.may_answer.set()
    calls = directory(slow, now=now)
    calls.page(None, 10)
    slow.may_answer.clear()
    slow.is_asked.clear()
    now.at += FRESH_SECONDS
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(calls.page, None, 10)
        assert slow.is_asked.wait(60)
        for _ in range(3):
            assert ids(calls.page(None, 10)[0]) == ["rtc_1"]
        slow.calls = (a_recent(2),)
        slow.may_answer.set()
        assert ids(asking.result(60)[0]) == ["rtc_2"]


def test_a_slow_switchboard_is_asked_by_few_at_once_and_the_others_are_told_so() -> None:
    slow = SlowSource("sales")
    calls = directory(slow, FakeSource(None, (a_recent(1),)))
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(calls.find, "sales", "rtc_9") for _ in range(8)]
        while sum(each.done() for each in asking) < 8 - MOST_ASKING_ONE:
            time.sleep(0.01)
        slow.may_answer.set()
    refused = [str(each.exception()) for each in asking if each.exception()]
    assert len(refused) == 8 - MOST_ASKING_ONE
    assert all("too many requests" in text for text in refused)


def test_a_question_that_makes_no_sense_does_not_hide_a_switchboard_from_the_others() -> None:
    source = FakeSource("sales", (a_recent(1),), problem=InvalidInput("no call id"))
    calls = directory(source)
    with pytest.raises(InvalidInput):
        calls.find("sales", "..")
    source.problem = SwitchboardRefused("no such path")
    with pytest.raises(SwitchboardUnreachable):
        calls.find("sales", "rtc_x")
    source.problem = None
    assert ids(calls.page(None, 10)[0]) == ["rtc_1"]
    assert calls.find("sales", "rtc_1") is not None


def test_an_error_that_nobody_expected_leaves_nobody_waiting() -> None:
    remembered: Remembered[int] = Remembered(Seconds())

    def fail() -> int:
        raise KeyError

    with pytest.raises(KeyError):
        remembered.get(fail)
    assert remembered.get(lambda: 1) == 1
