"""Whose a call is."""

from __future__ import annotations

import pytest
from tests.unit.ui.support import RUN, START, owner
from tests.unit.ui.test_directory import a_recent

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.recent import ConversationSummary
from airflow_openai_realtime.ui import path_of_call
from airflow_openai_realtime.ui.owners import OwningTask, owner_of, task_named


@pytest.mark.parametrize("task", [OwningTask("campaign", RUN, "talk", -1), OwningTask("a.b", "by-hand", "g.t", 12)])
def test_the_name_that_a_task_claims_with_leads_back_to_it(task: OwningTask) -> None:
    assert task_named(owner_name(task)) == task


@pytest.mark.parametrize("name", [None, "", "order:day", "me", "a/b/c", "a/b/c/d", "a//c/1", "/b/c/1", "a/b/c/1/2"])
def test_other_names_are_no_task_s(name: str | None) -> None:
    assert task_named(name) is None


def test_a_call_that_no_task_has_claimed_belongs_to_the_task_that_runs_its_conversation() -> None:
    held = ConversationSummary(owner("watcher"), START, START)
    assert owner_of(a_recent(1, claimed_by="order:day")) is None
    assert owner_of(a_recent(1, claimed_by="order:day", conversation=held)) == OwningTask("watcher", RUN, "talk", -1)
    taken = owner_of(a_recent(1, claimed_by=owner("claimer"), conversation=held))
    assert taken is not None
    assert taken.dag_id == "claimer"


def test_a_call_has_an_address_in_airflow_s_ui() -> None:
    assert path_of_call("support", "rtc_u1/ä") == "/plugin/openai-realtime-calls#/support/rtc_u1%2F%C3%A4"
