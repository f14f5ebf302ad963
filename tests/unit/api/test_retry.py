from __future__ import annotations

import email.utils

import pytest

from airflow_openai_realtime.api.retry import (
    POLICIES,
    Policy,
    Trouble,
    Verdict,
    async_retrying,
    retry_after_seconds,
    retrying,
    trouble_of_status,
)
from airflow_openai_realtime.exceptions import CallError

NOW = 1_763_900_000.0
EVERYTHING = Policy(4, 30.0, frozenset(Trouble))


def failing(troubles, retry_after=None):
    """An attempt that fails with each trouble in turn, then succeeds; counts in ``.calls``."""
    left = list(troubles)

    def attempt() -> Verdict:
        attempt.calls += 1
        return Verdict(CallError("no"), left.pop(0), retry_after) if left else Verdict(value="done")

    attempt.calls = 0
    return attempt


def test_the_table_says_what_may_be_repeated():
    ambiguous = {Trouble.SERVER_ERROR, Trouble.NO_ANSWER}
    harmless = {Trouble.NOT_SENT, Trouble.RATE_LIMITED}
    assert POLICIES["hang_up"].repeat_after == harmless | ambiguous
    assert POLICIES["hang_up"].tries == 4
    assert POLICIES["reject"].repeat_after == harmless | ambiguous
    assert POLICIES["reject"].tries == 2
    assert POLICIES["accept"].repeat_after == harmless | {Trouble.SERVER_ERROR}
    assert POLICIES["accept"].total_seconds == 8
    assert POLICIES["refer"].repeat_after == {Trouble.NOT_SENT}
    assert all(Trouble.FINAL not in policy.repeat_after for policy in POLICIES.values())


def test_it_is_repeated_until_it_succeeds(fake_time):
    attempt = failing([Trouble.NOT_SENT, Trouble.SERVER_ERROR])
    assert retrying(EVERYTHING, fake_time.pace())(attempt).value == "done"
    assert fake_time.slept == [0.25, 0.5]


async def test_the_async_loop_does_the_same(fake_time):
    attempt = failing([Trouble.NOT_SENT, Trouble.SERVER_ERROR])

    async def async_attempt() -> Verdict:
        return attempt()

    verdict = await async_retrying(EVERYTHING, fake_time.pace())(async_attempt)
    assert verdict.value == "done"
    assert fake_time.slept == [0.25, 0.5]


def test_the_last_verdict_comes_back_when_the_tries_are_used_up(fake_time):
    attempt = failing([Trouble.NOT_SENT] * 9)
    assert retrying(EVERYTHING, fake_time.pace())(attempt).trouble is Trouble.NOT_SENT
    assert attempt.calls == 4


def test_a_trouble_that_is_not_in_the_policy_ends_it_at_once(fake_time):
    attempt = failing([Trouble.NO_ANSWER])
    retrying(Policy(4, 30.0, frozenset({Trouble.NOT_SENT})), fake_time.pace())(attempt)
    assert attempt.calls == 1


def test_the_server_says_how_long_to_wait(fake_time):
    retrying(EVERYTHING, fake_time.pace())(failing([Trouble.RATE_LIMITED], retry_after=3.5))
    assert fake_time.slept == [3.5]


def test_a_wait_beyond_the_budget_is_not_begun(fake_time):
    attempt = failing([Trouble.RATE_LIMITED], retry_after=31)
    assert retrying(EVERYTHING, fake_time.pace())(attempt).trouble is Trouble.RATE_LIMITED
    assert attempt.calls == 1
    assert fake_time.slept == []


def test_time_spent_in_attempts_counts_against_the_budget(fake_time):
    def slow() -> Verdict:
        fake_time.now += 20
        return Verdict(CallError("no"), Trouble.NOT_SENT)

    retrying(EVERYTHING, fake_time.pace())(slow)
    assert fake_time.slept == [0.25]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7),
        ({"retry-after": email.utils.formatdate(NOW + 30, usegmt=True)}, 30),
        ({"retry-after": email.utils.formatdate(NOW - 30, usegmt=True)}, 0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"}, 0),
        ({"retry-after": "9" * 400}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert retry_after_seconds(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (429, Trouble.RATE_LIMITED),
        (408, Trouble.SERVER_ERROR),
        (500, Trouble.SERVER_ERROR),
        (599, Trouble.SERVER_ERROR),
        (404, Trouble.FINAL),
        (409, Trouble.FINAL),
        (302, Trouble.FINAL),
    ],
)
def test_statuses_are_classified(status, trouble):
    assert trouble_of_status(status) is trouble
