from __future__ import annotations

import pytest

from airflow_openai_realtime.calls.outcome import (
    End,
    account_of,
    outcome_by,
    outcome_of,
)
from airflow_openai_realtime.states import Witness


@pytest.mark.parametrize(
    ("end", "outcome", "reason"),
    [
        (End(), "caller_hung_up", "socket_closed"),
        (End(ended_by="end_call"), "completed", "end_call"),
        (End(ended_by="end_call", was_over=True), "completed", "end_call"),
        (End(has_valid_result=True), "completed", "socket_closed"),
        (End(ended_by="silence"), "silence", "silence"),
        (End(ended_by="silence", has_valid_result=True), "silence", "silence"),
        (End(ended_by="silence", was_over=True), "caller_hung_up", "socket_closed"),
        (End(ended_by="max_duration"), "max_duration", "max_duration"),
        (End(ended_by="max_duration", was_over=True), "caller_hung_up", "socket_closed"),
        (End(is_expired=True), "max_duration", "session_expired"),
        (End(is_expired=True, has_valid_result=True), "max_duration", "session_expired"),
        (End(transfer_requested=True), "transfer_requested", "socket_closed"),
        (End(transfer_requested=True, has_valid_result=True), "transfer_requested", "socket_closed"),
        (End(transfer_requested=True, ended_by="end_call"), "completed", "end_call"),
        (End(transfer_requested=True, ended_by="silence"), "silence", "silence"),
        (End(fatal_error="server_error"), "failed", "server_error"),
        (End(fatal_error="server_error", has_valid_result=True), "completed", "server_error"),
        (End(lived=False, was_refused=True, was_new=True), "gone", "no_session"),
        (End(lived=False, was_refused=True), "gone", "over_before_attaching"),
        (
            End(lived=False, was_refused=True, was_new=True, transfer_requested=True),
            "transfer_requested",
            "socket_closed",
        ),
        (End(lived=False, was_refused=True, fatal_error="bad_config"), "failed", "bad_config"),
        (End(lived=False, ended_by="max_duration", was_over=True), "unknown", "never_attached"),
        (End(lived=False, ended_by="max_duration"), "max_duration", "max_duration"),
    ],
)
def test_how_a_call_ended(end: End, outcome: str, reason: str) -> None:
    found = outcome_of(end)
    assert (found[0].value, found[1]) == (outcome, reason)


@pytest.mark.parametrize("end", [End(ended_by="end_call"), End(ended_by="silence"), End(ended_by="max_duration")])
def test_what_the_holder_did_itself_is_told_as_done_by_us(end: End) -> None:
    outcome, reason = outcome_of(end)
    account = account_of(outcome, reason)
    assert (account.witness, account.reason, outcome_by(account)) == (Witness.API, reason, outcome)


@pytest.mark.parametrize("end", [End(), End(has_valid_result=True), End(fatal_error="server_error")])
def test_what_the_holder_only_saw_is_told_as_the_sockets_word(end: End) -> None:
    outcome, reason = outcome_of(end)
    account = account_of(outcome, reason)
    assert (account.witness, account.reason, outcome_by(account)) == (Witness.SOCKET, outcome.value, None)
