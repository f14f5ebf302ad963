from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_openai_realtime.api.call_requests import (
    accept_call,
    attach_call,
    check_key,
    hang_up_call,
    refer_call,
    reject_call,
)
from airflow_openai_realtime.api.client import Pace, repeating
from airflow_openai_realtime.api.request import (
    Answer,
    NoAnswer,
    Policy,
    Request,
    Service,
    Trouble,
    json_object,
    quotable,
    trouble_of_status,
)
from airflow_openai_realtime.exceptions import CallError, CallGone

NOW = 1_763_900_000.0
EVERYTHING = Policy(4, 30.0, frozenset(Trouble))
SERVICE = Service("openai", "https://api.test/v1", {}, ("sk-secret",))
STATUS = {Trouble.RATE_LIMITED: 429, Trouble.SERVER_ERROR: 500, Trouble.FINAL: 404}


class Attempts:
    """An exchange that fails with each trouble in turn, then succeeds; counts in ``.calls``."""

    def __init__(self, troubles: list[Trouble], retry_after: float | None = None, seconds: float = 0.0) -> None:
        self.left, self.calls, self.seconds = list(troubles), 0, seconds
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self.fake_time: Any = None

    async def __call__(self) -> Answer:
        self.calls += 1
        if self.fake_time is not None:
            self.fake_time.now += self.seconds
        if not self.left:
            return Answer(200, {}, b"done", SERVICE)
        trouble = self.left.pop(0)
        if trouble is Trouble.NOT_SENT:
            raise httpx.ConnectError("refused for sk-secret")
        if trouble is Trouble.NO_ANSWER:
            raise httpx.ReadError("reset")
        return Answer(STATUS[trouble], self.headers, b"", SERVICE)


def read(request: Request[Any], answer: Answer) -> tuple[str, bool]:
    if answer.status_code != 200:
        raise CallError(answer.trouble.value)
    return answer.content.decode(), answer.asked_before


def no_answer(request: Request[Any], lost: NoAnswer) -> Exception:
    return CallError(f"{lost.trouble.value}: {lost.why}")


def asking(policy: Policy) -> Request[tuple[str, bool]]:
    return Request("openai", "test", "GET", "/", read, no_answer, policy)


async def outcome(policy: Policy, attempts: Attempts, pace: Pace) -> tuple[str, bool] | str:
    """The result, or the text of the error."""
    try:
        return await repeating(asking(policy), SERVICE, attempts, pace)
    except CallError as error:
        return str(error)


def test_the_requests_say_what_may_be_repeated():
    ambiguous = {Trouble.SERVER_ERROR, Trouble.NO_ANSWER}
    harmless = {Trouble.NOT_SENT, Trouble.RATE_LIMITED}
    accept, reject = accept_call("rtc_1", {}), reject_call("rtc_1")
    refer, hang_up = refer_call("rtc_1", "tel:+14155550123"), hang_up_call("rtc_1")
    assert hang_up.policy.repeat_after == harmless | ambiguous
    assert hang_up.policy.tries == 4
    assert reject.policy.repeat_after == harmless | ambiguous
    assert reject.policy.tries == 2
    assert accept.policy.repeat_after == harmless | {Trouble.SERVER_ERROR}
    assert accept.policy.total_seconds == 8
    assert refer.policy.repeat_after == {Trouble.NOT_SENT}
    for request in (accept, reject, refer, hang_up, check_key(), attach_call("rtc_1")):
        assert Trouble.FINAL not in request.policy.repeat_after
        assert request.policy.repeat_errors == ((CallGone,) if request.operation == "attach" else ())


async def test_it_is_repeated_until_it_succeeds(fake_time):
    attempts = Attempts([Trouble.NOT_SENT, Trouble.RATE_LIMITED])
    assert await outcome(EVERYTHING, attempts, fake_time.pace()) == ("done", False)
    assert fake_time.slept == [0.25, 0.5]


@pytest.mark.parametrize("trouble", [Trouble.SERVER_ERROR, Trouble.NO_ANSWER])
async def test_the_reader_hears_that_an_earlier_attempt_may_have_been_carried_out(fake_time, trouble):
    assert await outcome(EVERYTHING, Attempts([trouble, Trouble.NOT_SENT]), fake_time.pace()) == ("done", True)


async def test_the_last_error_comes_back_when_the_tries_are_used_up(fake_time):
    attempts = Attempts([Trouble.NOT_SENT] * 9)
    assert await outcome(EVERYTHING, attempts, fake_time.pace()) == "not sent: refused for ***"
    assert attempts.calls == 4


async def test_a_trouble_that_is_not_in_the_policy_ends_it_at_once(fake_time):
    attempts = Attempts([Trouble.NO_ANSWER])
    policy = Policy(4, 30.0, frozenset({Trouble.NOT_SENT}))
    assert await outcome(policy, attempts, fake_time.pace()) == "no answer: reset"
    assert attempts.calls == 1


async def test_an_error_that_the_policy_names_is_repeated_whatever_the_trouble(fake_time):
    attempts = Attempts([Trouble.FINAL, Trouble.FINAL])
    policy = Policy(4, 30.0, frozenset(), repeat_errors=(CallError,))
    assert await outcome(policy, attempts, fake_time.pace()) == ("done", False)
    assert attempts.calls == 3


async def test_the_server_says_how_long_to_wait(fake_time):
    await outcome(EVERYTHING, Attempts([Trouble.RATE_LIMITED], retry_after=3.5), fake_time.pace())
    assert fake_time.slept == [3.5]


async def test_a_request_need_not_obey_it(fake_time):
    policy = Policy(4, 30.0, frozenset(Trouble), first_pause_seconds=0.2, obeys_retry_after=False)
    await outcome(policy, Attempts([Trouble.RATE_LIMITED] * 2, retry_after=3.5), fake_time.pace())
    assert fake_time.slept == [0.2, 0.4]


async def test_a_pause_is_never_longer_than_the_longest(fake_time):
    policy = Policy(9, 99.0, frozenset(Trouble), longest_pause_seconds=0.6)
    await outcome(policy, Attempts([Trouble.NOT_SENT] * 4), fake_time.pace())
    assert fake_time.slept == [0.25, 0.5, 0.6, 0.6]


async def test_a_wait_beyond_the_budget_is_not_begun(fake_time):
    attempts = Attempts([Trouble.RATE_LIMITED], retry_after=31)
    assert await outcome(EVERYTHING, attempts, fake_time.pace()) == "rate limited"
    assert attempts.calls == 1
    assert fake_time.slept == []


async def test_time_spent_in_attempts_counts_against_the_budget(fake_time):
    attempts = Attempts([Trouble.NOT_SENT] * 9, seconds=20)
    attempts.fake_time = fake_time
    await outcome(EVERYTHING, attempts, fake_time.pace())
    assert fake_time.slept == [0.25]


async def test_what_is_read_with_another_error_is_not_repeated(fake_time):
    def broken(request: Request[Any], answer: Answer) -> None:
        raise KeyError("a bug")

    attempts = Attempts([])
    request = Request("openai", "test", "GET", "/", broken, no_answer, EVERYTHING)
    with pytest.raises(KeyError):
        await repeating(request, SERVICE, attempts, fake_time.pace())
    assert attempts.calls == 1


def test_no_value_shows_a_secret():
    service = Service("openai", "https://x", {"Authorization": "Bearer sk-secret"}, ("sk-secret",))
    request = Request(
        "openai", "test", "POST", "/", read, no_answer, EVERYTHING, body={"a": "sk-secret"}, form={"b": "sk-secret"}
    )
    assert "sk-secret" not in repr(service) + repr(request) + repr(Answer(200, {}, b"", service))


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


def test_secrets_and_numbers_and_line_ends_do_not_pass():
    text = quotable("key sk-1 refused\r\nfor +14155550123\x00\x1b[31m", hide=("sk-1", ""))
    assert text == "key *** refused for +1***0123 [31m"


def test_long_text_is_cut_to_500_characters_after_masking():
    assert len(quotable("x" * 5_000)) == 500
    assert "0123456" not in quotable("x" * 490 + "+101234567890")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b'"x"', b"9" * 10_000])
def test_what_is_no_json_object_is_nothing(body):
    assert json_object(body) is None


def test_a_json_object_is_read():
    assert json_object(b'{"a": 1}') == {"a": 1}
