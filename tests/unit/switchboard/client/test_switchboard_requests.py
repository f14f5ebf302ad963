"""The clients of the private API: what they send, what they make of answers, what they repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
from airflow_openai_realtime.exceptions import (
    ClaimLost,
    ConfigurationError,
    InvalidInput,
    MoveRefused,
    SwitchboardRefused,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    get_call,
    get_status,
    list_attempts,
    list_calls,
    move_attempt,
    report_accepted,
    report_ended,
    report_referred,
    report_rejected,
)

URL = "http://switchboard:8080/openai-realtime"
CALL = SwitchboardCall("rtc_1", "support", "claimed", START, START)
ATTEMPT = Attempt("a1", "c", "x", 1, "reserved", "abc", START, START)

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard_requests, "POLICY", replace(switchboard_requests.POLICY, first_pause_seconds=0.0))


def client(handler: Handler, **options: Any) -> SwitchboardClient:
    return SwitchboardClient(URL, "token-1", transport=httpx.MockTransport(handler), **options)


def answering(status: int, body: Any, seen: list[httpx.Request] | None = None) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, json=body)

    return handler


def error(code: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def test_a_request_carries_the_token_and_the_line() -> None:
    seen: list[httpx.Request] = []
    with client(answering(200, {"call": CALL.to_dict()}, seen), line="support") as switchboard:
        assert switchboard.send(claim_call("rtc_1", "me")) == CALL
    (request,) = seen
    assert str(request.url) == f"{URL}/v1/calls/rtc_1/claim"
    assert request.headers["Authorization"] == "Bearer token-1"
    assert request.headers["OpenAI-Realtime-Line"] == "support"
    assert json.loads(request.content) == {"claimant": "me"}


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    seen: list[httpx.Request] = []
    with client(answering(200, {"call": CALL.to_dict()}, seen)) as switchboard:
        switchboard.send(get_call("a/../b?c#d"))
    assert seen[0].url.raw_path == b"/openai-realtime/v1/calls/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize(
    ("ask", "path", "body"),
    [
        (
            lambda c: c.send(announce_accept("rtc_1", "me", 60)).call,
            "/calls/rtc_1/accepting",
            {"claimant": "me", "max_duration_seconds": 60},
        ),
        (lambda c: c.send(report_accepted("rtc_1", "me")), "/calls/rtc_1/accepted", {"claimant": "me"}),
        (lambda c: c.send(report_rejected("rtc_1", 486)), "/calls/rtc_1/rejected", {"status_code": 486}),
        (lambda c: c.send(report_referred("rtc_1", "tel:+1")), "/calls/rtc_1/referred", {"target_uri": "tel:+1"}),
        (lambda c: c.send(report_ended("rtc_1", reason="hung_up")), "/calls/rtc_1/ended", {"reason": "hung_up"}),
    ],
)
def test_each_move_has_its_own_address(ask: Callable[[Any], Any], path: str, body: dict[str, Any]) -> None:
    seen: list[httpx.Request] = []
    with client(answering(200, {"call": CALL.to_dict()}, seen)) as switchboard:
        assert ask(switchboard) == CALL
    assert seen[0].method == "POST"
    assert seen[0].url.path == f"/openai-realtime/v1{path}"
    assert json.loads(seen[0].content) == body


def test_calls_are_asked_for_with_what_was_given_only() -> None:
    seen: list[httpx.Request] = []
    with client(answering(200, {"calls": [CALL.to_dict()], "cursor": "7"}, seen)) as switchboard:
        page = switchboard.send(list_calls())
        switchboard.send(list_calls(after="7", wait_seconds=20, state="ringing", claimed_by="me", limit=5))
    assert (page.calls, page.cursor) == ((CALL,), "7")
    assert dict(seen[0].url.params) == {"limit": "500"}
    assert dict(seen[1].url.params) == {
        "after": "7", "wait": "20", "state": "ringing", "claimed_by": "me", "limit": "5"
    }  # fmt: skip


def test_a_long_poll_may_take_its_wait_longer_than_other_requests() -> None:
    seen: list[httpx.Request] = []
    with client(answering(200, {"calls": [], "cursor": "7"}, seen), timeout_seconds=3) as switchboard:
        switchboard.send(list_calls(after="7", wait_seconds=20))
        switchboard.send(list_calls())
    assert [request.extensions["timeout"]["read"] for request in seen] == [23, 3]
    assert seen[0].extensions["timeout"]["connect"] == 3


def test_a_wait_that_is_too_long_is_refused_before_anything_is_sent() -> None:
    with client(answering(500, {})) as switchboard, pytest.raises(InvalidInput) as refused:
        switchboard.send(list_calls(after="7", wait_seconds=26))
    assert refused.value.field == "wait_seconds"


@pytest.mark.parametrize("failures", [[503, 503], [429], ["connect", "read"]])
def test_a_request_without_a_clear_answer_is_repeated(failures: list[int | str]) -> None:
    left = list(failures)

    def handler(request: httpx.Request) -> httpx.Response:
        if not left:
            return httpx.Response(200, json={"call": CALL.to_dict()})
        failure = left.pop(0)
        if failure == "connect":
            raise httpx.ConnectError("refused")
        if failure == "read":
            raise httpx.ReadTimeout("slow")
        return httpx.Response(int(failure), json=error("unavailable"))

    with client(handler) as switchboard:
        assert switchboard.send(claim_call("rtc_1", "me")) == CALL
    assert left == []


def test_repeating_ends_with_an_error_that_names_the_address_and_no_token() -> None:
    tries = []

    def handler(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise httpx.ConnectError("refused")

    with client(handler) as switchboard, pytest.raises(SwitchboardUnreachable) as unreachable:
        switchboard.send(claim_call("rtc_1", "me"))
    assert len(tries) == 5
    assert URL in str(unreachable.value)
    assert "token-1" not in str(unreachable.value)
    assert unreachable.value.call_id == "rtc_1"
    assert unreachable.value.safe_to_retry


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, error("unauthorized"), SwitchboardRefused, "webhook_secret"),
        (404, error("unknown_call", "line a has no call b"), UnknownCall, "has no call b"),
        (404, {"detail": "Not Found"}, SwitchboardRefused, "check switchboard_url"),
        (200, ["a"], SwitchboardRefused, "not as a switchboard does"),
        (302, {}, SwitchboardRefused, "check switchboard_url"),
        (422, error("invalid_input", "limit: too big"), SwitchboardRefused, "limit: too big"),
        (409, error("claimed_by_other", "is another's"), ClaimLost, "is another's"),
    ],
)
def test_an_answer_means_an_error_and_is_not_repeated(status: int, body: Any, kind: type[Exception], said: str) -> None:
    seen: list[httpx.Request] = []
    with client(answering(status, body, seen)) as switchboard, pytest.raises(kind, match=said) as refused:
        switchboard.send(claim_call("rtc_1", "me"))
    assert len(seen) == 1
    assert refused.value.status == status  # type: ignore[attr-defined]


def test_a_refused_move_says_which_way() -> None:
    with client(answering(409, error("ended"))) as switchboard, pytest.raises(MoveRefused) as refused:
        switchboard.send(report_accepted("rtc_1", "me"))
    assert refused.value.code == "ended"


def test_an_answer_of_another_version_is_a_clear_error() -> None:
    with (
        client(answering(200, {"call": {"id": "rtc_1"}})) as switchboard,
        pytest.raises(SwitchboardRefused, match="version"),
    ):
        switchboard.send(get_call("rtc_1"))


def test_a_page_that_is_no_json_is_a_clear_error() -> None:
    handler = lambda request: httpx.Response(200, text="<html>Airflow</html>")  # noqa: E731
    with client(handler) as switchboard, pytest.raises(SwitchboardRefused, match="switchboard_url"):
        switchboard.send(get_status())


def test_a_repeated_move_of_an_attempt_names_the_same_owner_and_a_second_one_another() -> None:
    owners: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        owners.append(json.loads(request.content)["owner"])
        if len(owners) == 1:
            raise httpx.ReadError("broken")
        return httpx.Response(200, json={"attempt": ATTEMPT.to_dict()})

    with client(handler) as switchboard:
        switchboard.send(move_attempt("a1", "reserved", "dialing"))
        switchboard.send(move_attempt("a1", "reserved", "dialing"))
    assert owners[0] == owners[1] != owners[2]


def test_all_pages_of_attempts_are_read() -> None:
    asked: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        following = {None: "10", "10": "20", "20": None}[asked[-1].get("after")]
        return httpx.Response(200, json={"attempts": [ATTEMPT.to_dict()], "next": following})

    with client(handler) as switchboard:
        assert switchboard.send(list_attempts("c")) == [ATTEMPT] * 3
    assert asked == [{"campaign": "c"}, {"campaign": "c", "after": "10"}, {"campaign": "c", "after": "20"}]


async def test_a_contact_is_asked_for_in_the_body_and_never_in_the_address() -> None:
    seen: list[httpx.Request] = []
    answer = answering(200, {"attempts": [], "next": None}, seen)
    with client(answer) as switchboard:
        switchboard.send(list_attempts("+14155550111", contact="+14155550123"))
    async with SwitchboardClient(URL, "token-1", transport=httpx.MockTransport(answer)) as asynchronous:
        await asynchronous.asend(list_attempts("+14155550111", contact="+14155550123"))
    for request in seen:
        assert (request.method, str(request.url)) == ("POST", f"{URL}/v1/attempts/find")
        assert json.loads(request.content) == {"campaign": "+14155550111", "contact": "+14155550123"}
    assert len(seen) == 2


@pytest.mark.parametrize(("url", "token"), [("", "t"), (None, "t"), ("ftp://x", "t"), (URL, ""), (URL, "a b")])
def test_an_address_that_cannot_be_used_is_refused(url: str | None, token: str) -> None:
    with pytest.raises(ConfigurationError):
        SwitchboardClient(url, token)  # type: ignore[arg-type]


async def test_the_async_client_repeats_and_interprets_alike() -> None:
    left = [503, 200]

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(left.pop(0), json={"call": CALL.to_dict()})

    async with SwitchboardClient(URL, "token-1", transport=httpx.MockTransport(handler)) as switchboard:
        assert await switchboard.asend(claim_call("rtc_1", "me")) == CALL
    assert left == []


def test_no_token_shows_in_a_log() -> None:
    with client(answering(200, {})) as switchboard:
        assert "token-1" not in repr(switchboard)
