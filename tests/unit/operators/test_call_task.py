"""Which call a task was given, and what it does when that call is over."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.exceptions import CallGone, InvalidInput, SwitchboardUnreachable
from airflow_openai_realtime.operators.call_task import (
    call_of,
    check_call,
    check_if_gone,
    report_done,
    settle_gone,
    skip,
)

LOG = logging.getLogger(__name__)
GONE = CallGone("the call is over", call_id="rtc_1")


class Task:
    """A task with a call; ``passed`` are the parameters that did not come from default_args."""

    def __init__(self, call: Any = None, call_id: Any = None, passed: Iterable[str] = ()) -> None:
        self.call = call
        self.call_id = call_id
        self.passed = frozenset(passed)
        self.shown_call_id: str | None = None
        self.log = LOG

    def plain(self, name: str) -> Any:
        return getattr(self, name)

    def ignore_shared(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.passed:
                setattr(self, name, None)


def test_two_calls_are_one_too_many() -> None:
    for passed in (("call", "call_id"), ()):
        with pytest.raises(InvalidInput, match="not both") as refused:
            check_call(Task("rtc_1", "rtc_2", passed))
        assert refused.value.field == "call_id"


@pytest.mark.parametrize("own", ["call", "call_id"])
def test_a_call_of_its_own_counts_more_than_one_that_all_tasks_share(own: str) -> None:
    task = Task("rtc_1", "rtc_2", [own])
    check_call(task)
    assert [task.call, task.call_id].count(None) == 1
    assert call_of(task).call_id == ("rtc_1" if own == "call" else "rtc_2")


@pytest.mark.parametrize("call", ["{{ params.call }}", None])
def test_a_template_waits_for_its_value(call: Any) -> None:
    check_call(Task(call))


@pytest.mark.parametrize("call", [{"call_id": "rtc_1"}, '{"call_id": "rtc_1"}', "rtc_1"])
def test_the_link_leads_to_the_call_that_was_given(call: Any) -> None:
    task = Task(call)
    assert call_of(task).call_id == "rtc_1"
    assert task.shown_call_id == "rtc_1"


@pytest.mark.parametrize("call", [None, "None"])
def test_without_a_call_it_is_said_what_to_do(call: Any) -> None:
    task = Task(call)
    with pytest.raises(InvalidInput, match="there is no call") as refused:
        call_of(task)
    assert (refused.value.field, task.shown_call_id) == ("call", None)


def test_a_call_that_is_over_is_a_success_a_skip_or_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        settle_gone("succeed", GONE, LOG)
    assert "the call is over (if_gone='succeed')" in caplog.text
    with pytest.raises(AirflowSkipException, match=r"the call is over \(if_gone='skip'\)"):
        settle_gone("skip", GONE, LOG)
    with pytest.raises(CallGone):
        settle_gone("fail", GONE, LOG)


@pytest.mark.parametrize("if_gone", ["succeed", "skip", "fail"])
def test_these_are_all_that_can_be_chosen(if_gone: str) -> None:
    check_if_gone(if_gone)
    for wrong in (if_gone.upper(), None, True, ""):
        with pytest.raises(InvalidInput, match="must be one of succeed, skip, fail"):
            check_if_gone(wrong)


def test_why_a_task_is_skipped_is_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(AirflowSkipException, match="nothing to do"):
        skip("nothing to do", LOG)
    assert "nothing to do" in caplog.text


def test_what_cannot_be_reported_stays_done(caplog: pytest.LogCaptureFixture) -> None:
    def away() -> None:
        raise SwitchboardUnreachable("no route")

    report_done(away, "rtc_1", LOG)
    assert "rtc_1: no route" in caplog.text
    reported: list[str] = []
    report_done(lambda: reported.append("done"), "rtc_1", LOG)
    assert reported == ["done"]

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        report_done(broken, "rtc_1", LOG)
