"""Requests to OpenAI against a scripted transport; every test runs once for ``send`` and once for ``asend``."""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_openai_realtime import __version__
from airflow_openai_realtime.api.call_requests import (
    HangUpResult,
    accept_call,
    check_key,
    hang_up_call,
    refer_call,
    reject_call,
)
from airflow_openai_realtime.api.client import CallsClient, Client, openai_service, retry_after_seconds, signed_headers
from airflow_openai_realtime.api.request import Request, Requests
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallAlreadyDecided,
    CallError,
    CallGone,
    InvalidSession,
    OutcomeUnknown,
    RequestRefused,
    ServiceUnavailable,
)
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

Script = list[Any]
GONE = httpx.Response(404, json={"error": {"code": "call_id_not_found", "message": "No session found"}})
DECIDED = httpx.Response(400, json={"error": {"code": "decision_already_made", "message": "Too late"}})
OK = httpx.Response(200)
DO: dict[str, Callable[[], Request[Any]]] = {
    "accept": lambda: accept_call("rtc_1", {"instructions": "Hi"}),
    "reject": lambda: reject_call("rtc_1", 486),
    "refer": lambda: refer_call("rtc_1", "tel:+14155550123"),
    "hang_up": lambda: hang_up_call("rtc_1"),
    "check_key": lambda: check_key(),
}


class Run:
    """Sends a request in one of the two ways against a script of answers and errors, and keeps what was sent."""

    def __init__(self, kind: str, settings: Any, fake_time: Any) -> None:
        self.kind, self.settings, self.fake_time = kind, settings, fake_time
        self.sent: list[httpx.Request] = []

    def __call__(self, operation: str, script: Script) -> Any:
        steps = iter(script)

        def answer(request: httpx.Request) -> httpx.Response:
            self.sent.append(request)
            step = next(steps)
            if isinstance(step, Exception):
                raise step
            return httpx.Response(step.status_code, headers=step.headers, content=step.content)

        transport = httpx.MockTransport(answer)
        if self.kind == "sync":
            with CallsClient(self.settings, transport=transport, pace=self.fake_time.pace()) as client:
                return client.send(DO[operation]())

        async def run() -> Any:
            async with CallsClient(self.settings, transport=transport, pace=self.fake_time.pace()) as client:
                return await client.asend(DO[operation]())

        return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def run(request, settings, fake_time):
    return Run(request.param, settings, fake_time)


def timed_out() -> httpx.ReadTimeout:
    return httpx.ReadTimeout("timed out")


def no_connection() -> httpx.ConnectError:
    return httpx.ConnectError("[Errno 111] Connection refused")


def test_a_request_goes_to_the_address_with_key_and_json(run):
    assert run("accept", [OK]) is None
    request = run.sent[0]
    assert str(request.url) == "https://api.test/v1/realtime/calls/rtc_1/accept"
    assert request.headers["authorization"] == f"Bearer {run.settings.api_key}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content)["type"] == "realtime"


def test_a_hang_up_has_no_body(run):
    assert run("hang_up", [OK]) == HangUpResult(gone=False)
    assert run.sent[0].content == b""


def test_hanging_up_a_finished_call_succeeds(run):
    assert run("hang_up", [GONE]) == HangUpResult(gone=True)
    assert run("hang_up", [httpx.ReadError("reset"), GONE]) == HangUpResult(gone=True, maybe_by_us=True)


@pytest.mark.parametrize("operation", ["accept", "reject", "refer"])
def test_a_call_that_is_gone_is_told_and_not_repeated(run, operation):
    with pytest.raises(CallGone):
        run(operation, [GONE])
    assert len(run.sent) == 1


@pytest.mark.parametrize("operation", ["accept", "reject"])
def test_a_decision_made_before_is_told(run, operation):
    with pytest.raises(CallAlreadyDecided):
        run(operation, [DECIDED])


@pytest.mark.parametrize("operation", list(DO))
@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (400, RequestRefused), (302, RequestRefused)])
def test_refusals_are_never_repeated_and_redirects_never_followed(run, operation, status, kind):
    with pytest.raises(kind):
        run(operation, [httpx.Response(status, headers={"location": "https://evil.test/"})])
    assert len(run.sent) == 1


@pytest.mark.parametrize(
    ("operation", "requests"), [("accept", 7), ("reject", 2), ("refer", 3), ("hang_up", 4), ("check_key", 2)]
)
def test_no_connection_is_tried_again_as_often_as_the_table_says(run, operation, requests):
    with pytest.raises(ServiceUnavailable, match=r"no connection to api\.test") as caught:
        run(operation, [no_connection()] * requests)
    assert caught.value.safe_to_retry
    assert len(run.sent) == requests


@pytest.mark.parametrize("answer", [httpx.Response(429), httpx.Response(503), no_connection()])
def test_an_accept_is_tried_again_as_long_as_the_phone_rings(run, answer, monkeypatch):
    monkeypatch.setitem(DO, "accept", lambda: accept_call("rtc_1", {}, 60.0))
    run("accept", [*[answer] * 25, OK])
    assert len(run.sent) == 26
    assert run.fake_time.now < 160
    with pytest.raises(ServiceUnavailable):
        run("accept", [answer] * 99)
    assert run.fake_time.now < 220


@pytest.mark.parametrize(
    ("script", "may_have_happened"),
    [
        ([httpx.Response(401)], False),
        ([httpx.Response(429), httpx.Response(401)], False),
        ([httpx.Response(500), httpx.Response(401)], True),
        ([httpx.Response(503), GONE], True),
        ([no_connection(), GONE], False),
        ([timed_out()], True),
        ([httpx.Response(500), DECIDED], True),
        ([DECIDED], False),
    ],
)
def test_an_error_says_whether_an_attempt_may_have_been_carried_out(run, script, may_have_happened):
    with pytest.raises(CallError) as caught:
        run("accept", script)
    assert caught.value.may_have_happened is may_have_happened


@pytest.mark.parametrize(
    "trouble",
    [httpx.ConnectTimeout(""), httpx.PoolTimeout(""), httpx.ProxyError("407"), no_connection()],
    ids=lambda error: type(error).__name__,
)
def test_a_transfer_is_sent_again_when_it_cannot_have_left(run, trouble):
    run("refer", [trouble, OK])
    assert len(run.sent) == 2


@pytest.mark.parametrize(
    "trouble",
    [timed_out(), httpx.WriteTimeout(""), httpx.ReadError(""), httpx.WriteError(""), httpx.RemoteProtocolError("")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", ["accept", "refer"])
def test_an_accept_or_transfer_that_may_have_left_is_not_repeated(run, operation, trouble):
    with pytest.raises(OutcomeUnknown) as caught:
        run(operation, [trouble])
    assert caught.value.call_id == "rtc_1"
    assert not caught.value.safe_to_retry
    assert len(run.sent) == 1


def test_a_server_error_on_a_transfer_leaves_it_in_doubt(run):
    with pytest.raises(OutcomeUnknown):
        run("refer", [httpx.Response(500)])
    assert len(run.sent) == 1


def test_a_rate_limited_transfer_is_left_to_the_caller(run):
    with pytest.raises(ServiceUnavailable) as caught:
        run("refer", [httpx.Response(429, headers={"retry-after": "1"})])
    assert caught.value.safe_to_retry
    assert len(run.sent) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_accept_is_repeated_while_the_call_rings(run, status):
    run("accept", [httpx.Response(status), no_connection(), OK])
    assert len(run.sent) == 3


def test_an_accept_stops_when_the_call_has_rung_out(run):
    with pytest.raises(ServiceUnavailable):
        run("accept", [httpx.Response(503, headers={"retry-after": "3"})] * 9)
    assert len(run.sent) == 3
    assert sum(run.fake_time.slept) <= 8


def test_a_wait_longer_than_a_call_rings_is_not_begun(run):
    with pytest.raises(ServiceUnavailable):
        run("accept", [httpx.Response(429, headers={"retry-after": "9"})])
    assert run.fake_time.slept == []


@pytest.mark.parametrize("trouble", [timed_out(), httpx.Response(500), httpx.Response(429), no_connection()])
def test_a_rejection_is_repeated_once(run, trouble):
    run("reject", [trouble, OK])
    assert len(run.sent) == 2


def test_a_rejection_without_any_answer_is_in_doubt(run):
    with pytest.raises(OutcomeUnknown):
        run("reject", [timed_out(), timed_out()])


@pytest.mark.parametrize(
    ("operation", "first"), [("accept", httpx.Response(502)), ("reject", httpx.Response(502)), ("reject", timed_out())]
)
def test_a_decision_found_after_an_attempt_in_doubt_may_be_ones_own(run, operation, first):
    with pytest.raises(OutcomeUnknown) as caught:
        run(operation, [first, DECIDED])
    assert (caught.value.code, caught.value.status) == ("decision_already_made", 400)


@pytest.mark.parametrize("operation", ["accept", "reject"])
def test_a_decision_found_after_an_attempt_that_did_nothing_is_somebody_elses(run, operation):
    with pytest.raises(CallAlreadyDecided):
        run(operation, [no_connection(), DECIDED])


def test_a_hang_up_is_repeated_three_times_after_any_trouble(run):
    troubles = [timed_out(), httpx.Response(500), httpx.Response(429, headers={"retry-after": "2"})]
    assert run("hang_up", [*troubles, OK]) == HangUpResult(gone=False)
    assert run.fake_time.slept[2] == 2


def test_a_hang_up_that_never_gets_an_answer_says_it_may_be_repeated(run):
    with pytest.raises(ServiceUnavailable) as caught:
        run("hang_up", [timed_out()] * 4)
    assert caught.value.safe_to_retry


def test_checking_the_key_lists_the_models_and_nothing_else(run):
    assert run("check_key", [httpx.Response(200, json={"data": []})]) is None
    assert (run.sent[0].method, run.sent[0].url.path) == ("GET", "/v1/models")


def test_a_wrong_session_builds_no_request():
    with pytest.raises(InvalidSession):
        accept_call("rtc_1", {"voice": "marin"})


@pytest.mark.parametrize("operation", list(DO))
def test_no_error_holds_the_key_or_a_full_number(run, operation):
    key = run.settings.api_key
    said = f"key {key} for +14155550123"
    for step in (httpx.Response(400, json={"error": {"message": said, "code": key}}), httpx.Response(401, text=said)):
        error = failure(run, operation, [step])
        assert key not in f"{error} {error.__dict__}"
        assert "4155550123" not in str(error)
    for trouble in (httpx.ReadError(said), httpx.ConnectError(said)):
        error = failure(run, operation, [trouble] * 9)
        assert key not in f"{error} {error.__dict__}"
        assert "4155550123" not in str(error)


def failure(run: Run, operation: str, script: Script) -> CallError:
    with pytest.raises(CallError) as caught:
        run(operation, script)
    return caught.value


class Refused(Exception):
    """An error that is none of the package's."""


@pytest.mark.parametrize("operation", list(DO))
def test_a_request_goes_only_to_the_service_that_it_is_for(settings, operation):
    def answer(request: httpx.Request) -> httpx.Response:
        raise Refused

    with (
        SwitchboardClient("http://switchboard", "t", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(TypeError, match="to openai, not to switchboard"),
    ):
        client.send(DO[operation]())


def several(seen: list[Any]) -> Requests[list[Any]]:
    """Make two requests; when the first one fails, its error is its result."""
    try:
        seen.append((yield hang_up_call("rtc_1")))
    except ServiceUnavailable as error:
        seen.append(error)
    seen.append((yield check_key()))
    return seen


def test_several_requests_are_sent_one_after_the_other_and_have_one_result(run, monkeypatch):
    monkeypatch.setitem(DO, "several", lambda: several([]))
    assert run("several", [OK, OK]) == [HangUpResult(gone=False), None]
    assert [request.url.path for request in run.sent] == ["/v1/realtime/calls/rtc_1/hangup", "/v1/models"]


def test_an_error_is_told_to_who_asks_for_several(run, monkeypatch):
    monkeypatch.setitem(DO, "several", lambda: several([]))
    error, nothing = run("several", [*[httpx.Response(500)] * 4, OK])
    assert isinstance(error, ServiceUnavailable)
    assert nothing is None


def test_a_client_that_does_not_retry_sends_once(settings):
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(500)

    client = Client(openai_service(settings), transport=httpx.MockTransport(answer), retries=False)
    with pytest.raises(ServiceUnavailable):
        client.send(hang_up_call("rtc_1"))
    assert len(sent) == 1


async def test_cookies_of_one_client_do_not_go_with_the_requests_of_another(settings):
    cookies = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "session=1"})

    transport = httpx.MockTransport(answer)
    async with CallsClient(settings, transport=transport) as one, CallsClient(settings, transport=transport) as other:
        await one.asend(check_key())
        await one.asend(check_key())
        await other.asend(check_key())
    assert cookies == [None, None, None]


def test_bearer_is_the_default_and_our_version_is_told(settings):
    sent = signed_headers(settings)
    assert sent["Authorization"] == f"Bearer {settings.api_key}"
    assert __version__ in sent["User-Agent"]
    assert not {"api-key", "OpenAI-Organization", "OpenAI-Project", "OpenAI-Beta"} & sent.keys()


def test_azure_keys_and_scopes_have_their_own_headers(settings):
    sent = signed_headers(dataclasses.replace(settings, auth_style="api-key", organization="org-1", project="proj_1"))
    assert sent["api-key"] == settings.api_key
    assert "Authorization" not in sent
    assert sent["OpenAI-Organization"] == "org-1"
    assert sent["OpenAI-Project"] == "proj_1"


NOW = 1_763_900_000.0


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
