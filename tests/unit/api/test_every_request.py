"""Every request of the package, sent in both ways against the same answers: results, errors and pauses are the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from types import ModuleType
from typing import Any

import httpx
import pytest

from airflow_openai_realtime.api import call_requests
from airflow_openai_realtime.api.call_requests import (
    accept_call,
    attach_call,
    check_key,
    hang_up_call,
    is_live,
    refer_call,
    reject_call,
)
from airflow_openai_realtime.api.client import CallsClient, Client, Pace
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
from airflow_openai_realtime.calls.order import StandingOrder
from airflow_openai_realtime.calls.saved_conversation import Conversation, Progress
from airflow_openai_realtime.calls.task_states import TaskReference
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.outbound.carriers.port import CarrierSettings, Dialer, DialRequest
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer
from airflow_openai_realtime.switchboard.client import (
    conversation_requests,
    order_requests,
    progress_requests,
    switchboard_requests,
)
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    append_entries,
    finish_conversation,
    get_conversation,
    get_recent_call,
    list_recent_calls,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.order_requests import get_order, list_orders, put_order, remove_order
from airflow_openai_realtime.switchboard.client.progress_requests import save_progress
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    end_call,
    get_attempt,
    get_call,
    get_status,
    get_task_state,
    leave_result,
    list_attempts,
    list_calls,
    move_attempt,
    preflight,
    release_call,
    report_accept_in_doubt,
    report_accepted,
    report_checks_passed,
    report_ended,
    report_referred,
    report_rejected,
    report_task_stopped,
    reserve_attempt,
    take_over_call,
    want_decline,
    want_transfer,
)

AT = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
TASK = TaskReference("dag", "run", "task", -1, 1)
ENTRY = TimelineEntry("a", "caller", AT, {"text": "hello"})
MANY = [TimelineEntry(str(number), "caller", AT, {"text": "hello"}) for number in range(450)]
ORDERED = DialRequest(
    to="+14155550123", from_number="+14155550100", sip_uri="sip:proj_a@sip.test", correlation_id="c-1"
)

OPENAI: dict[str, Callable[[], Any]] = {
    "accept_call": lambda: accept_call("rtc_1", {"instructions": "Hi"}),
    "reject_call": lambda: reject_call("rtc_1", 486),
    "refer_call": lambda: refer_call("rtc_1", "tel:+14155550123"),
    "hang_up_call": lambda: hang_up_call("rtc_1"),
    "check_key": lambda: check_key("gpt-realtime"),
    "attach_call": lambda: attach_call("rtc_1", 0.5),
    "is_live": lambda: is_live("rtc_1"),
}
SWITCHBOARD: dict[str, Callable[[], Any]] = {
    "list_calls": lambda: list_calls(after="1", wait_seconds=5),
    "get_call": lambda: get_call("rtc_1"),
    "claim_call": lambda: claim_call("rtc_1", "me"),
    "take_over_call": lambda: take_over_call("rtc_1", "me", "day"),
    "announce_accept": lambda: announce_accept("rtc_1", "me", 60.0, True),
    "report_accepted": lambda: report_accepted("rtc_1", "me"),
    "report_accept_in_doubt": lambda: report_accept_in_doubt("rtc_1", "me"),
    "release_call": lambda: release_call("rtc_1", "me", AT, "accept_failed"),
    "want_decline": lambda: want_decline("rtc_1", by="me"),
    "report_rejected": lambda: report_rejected("rtc_1", 486),
    "want_transfer": lambda: want_transfer("rtc_1", "tel:+14155550123"),
    "report_referred": lambda: report_referred("rtc_1", "tel:+14155550123", requested=False),
    "end_call": lambda: end_call("rtc_1", reason="hung_up", by="me"),
    "report_ended": lambda: report_ended("rtc_1", "hung_up", ended_at=AT, too_late_for="me"),
    "get_task_state": lambda: get_task_state(TASK),
    "report_task_stopped": lambda: report_task_stopped(TASK, "rtc_1", by="me"),
    "leave_result": lambda: leave_result(TASK, "rtc_1"),
    "get_status": get_status,
    "reserve_attempt": lambda: reserve_attempt("c", "x", 1, "+14155550123", "me"),
    "get_attempt": lambda: get_attempt("a1"),
    "move_attempt": lambda: move_attempt("a1", "reserved", "dialing", owner="one"),
    "list_attempts": lambda: list_attempts("c", contact="x"),
    "preflight": lambda: preflight(["key"], run=("dag", "run", AT)),
    "report_checks_passed": lambda: report_checks_passed(["key"]),
    "open_conversation": lambda: open_conversation("rtc_1", "me", "p1"),
    "append_entries": lambda: append_entries("rtc_1", 1, MANY),
    "finish_conversation": lambda: finish_conversation("rtc_1", 1, "completed", {"x": 1}, MANY),
    "get_conversation": lambda: get_conversation("rtc_1"),
    "list_recent_calls": lambda: list_recent_calls(limit=7),
    "get_recent_call": lambda: get_recent_call("rtc_1"),
    "save_progress": lambda: save_progress("p1", [Progress("rtc_1", 1, (ENTRY,))], leaving=True),
    "put_order": lambda: put_order("day", session={"tools": []}, expires_at=AT, edition="e"),
    "get_order": lambda: get_order("day"),
    "list_orders": list_orders,
    "remove_order": lambda: remove_order("day"),
}
CARRIER: dict[str, Callable[[Dialer], Any]] = {
    "place": lambda dialer: dialer.place(ORDERED),
    "look": lambda dialer: dialer.look("CA1"),
    "end": lambda dialer: dialer.end("CA1"),
    "cancel": lambda dialer: dialer.cancel("CA1"),
    "check": lambda dialer: dialer.check(),
}
ALL = [*OPENAI, *SWITCHBOARD, *CARRIER]

CALL = SwitchboardCall("rtc_1", "support", "claimed", AT, AT).to_dict()
ATTEMPT = Attempt("a1", "c", "x", 1, "reserved", "abc", AT, AT).to_dict()
CONVERSATION = Conversation("rtc_1", "support", "me", 1, AT, AT).to_dict()
ORDER = StandingOrder("day", "accept", "r1", AT, AT).to_dict()
#: Has what every reader looks for.
GOOD = {
    "call": CALL,
    "calls": [],
    "cursor": "7",
    "task": None,
    "left": True,
    "attempt": ATTEMPT,
    "attempts": [ATTEMPT],
    "next": None,
    "first_started_at": None,
    "passed": [],
    "problems": [],
    "conversation": CONVERSATION,
    "conversations": [{"call_id": "rtc_1", "new": ["a"]}],
    "new": ["a"],
    "recent": {"call": CALL},
    "order": ORDER,
    "orders": [ORDER],
    "removed": True,
    "sid": "CA1",
    "status": "ringing",
}


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "no"}, "code": 21211}, headers=headers)


OK = httpx.Response(200, json=GOOD)
SCRIPTS: dict[str, list[Any]] = {
    "success": [OK],
    "nonsense": [httpx.Response(200, text="<html>")],
    "gone": [refusal(404, "call_id_not_found")],
    "unknown": [refusal(404, "unknown_call")],
    "decided": [refusal(400, "decision_already_made")],
    "moved": [refusal(409, "claimed_by_other")],
    "superseded": [refusal(409, "superseded")],
    "too old": [refusal(422, "invalid_input")],
    "no such route": [httpx.Response(405, text="no")],
    "unauthorized": [refusal(401, "unauthorized")],
    "redirect": [httpx.Response(302, headers={"location": "https://evil.test"})],
    "away": [httpx.ConnectError("refused")],
    "silent": [httpx.ReadTimeout("slow")],
    "overloaded": [refusal(429, "slow_down", **{"retry-after": "1"})],
    "broken": [httpx.Response(500)],
    "broken, then success": [httpx.Response(500), OK],
    "silent, then gone": [httpx.ReadTimeout("slow"), refusal(404, "call_id_not_found")],
    "broken, then decided": [httpx.Response(502), refusal(400, "decision_already_made")],
    "away twice, then success": [httpx.ConnectError("refused"), httpx.ConnectError("refused"), OK],
}


class Scripted:
    """Answers as a script says, its last answer again and again; keeps what was sent and how long was waited."""

    def __init__(self, script: list[Any]) -> None:
        self.left, self.sent, self.now = list(script), [], 0.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((request.method, str(request.url), request.content))
        step = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(step, Exception):
            raise step
        if step is OK and request.url.path == "/v1/recent":
            return httpx.Response(200, json={**GOOD, "attempts": []})  # not those of the ledger
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)

    async def sleep(self, seconds: float) -> None:
        self.sent.append(("pause", seconds))
        self.now += seconds

    def client(self, name: str) -> Client:
        given: dict[str, Any] = {
            "transport": httpx.MockTransport(self.answer),
            "pace": Pace(lambda: self.now, lambda: 0.5, self.sleep),
        }
        if name in OPENAI:
            # Sockets go to no transport: there is nothing at this port.
            return CallsClient(ApiSettings("sk-1", endpoints_for(base_url="http://127.0.0.1:9/v1")), **given)
        if name in CARRIER:
            return TwilioDialer(CarrierSettings(account="AC1", token="token", base_url="https://carrier"), **given)
        return SwitchboardClient("http://switchboard", "token", **given)


def built(name: str, client: Client) -> Any:
    if isinstance(client, Dialer):
        return CARRIER[name](client)
    return (OPENAI | SWITCHBOARD)[name]()


def outcome(name: str, script: list[Any], way: Callable[[Client, Any], Any]) -> tuple[Any, ...]:
    scripted = Scripted(script)
    client = scripted.client(name)
    try:
        result: Any = way(client, built(name, client))
    except OpenAIRealtimeError as error:
        result = (type(error), str(error), error.__dict__)
    return result, scripted.sent


def blocking(client: Client, request: Any) -> Any:
    with client:
        return client.send(request)


def in_a_coroutine(client: Client, request: Any) -> Any:
    async def ask() -> Any:
        async with client:
            return await client.asend(request)

    return asyncio.run(ask())


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("name", ALL)
def test_both_ways_of_sending_come_to_the_same(name: str, script: str) -> None:
    one, other = outcome(name, SCRIPTS[script], blocking), outcome(name, SCRIPTS[script], in_a_coroutine)
    assert one == other
    assert one[1], "nothing was sent"


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("attach_call", "is_live")])
def test_every_request_succeeds_at_the_first_answer_that_is_one(name: str) -> None:
    result, sent = outcome(name, SCRIPTS["success"], blocking)
    assert not isinstance(result, tuple), result
    assert len(sent) == {"append_entries": 3, "finish_conversation": 3, "cancel": 2}.get(name, 1)


@pytest.mark.parametrize("name", ALL)
def test_what_may_have_left_is_only_repeated_where_that_is_harmless(name: str) -> None:
    """The one table of what a lost answer may lead to."""
    once = {"accept_call", "refer_call", "place"}
    _, sent = outcome(name, SCRIPTS["silent"], blocking)
    attempts = [each for each in sent if each[0] != "pause"]
    if name in ("attach_call", "is_live"):
        assert attempts == []  # a socket
    else:
        assert (len(attempts) == 1) == (name in once)


def public_builders(module: ModuleType) -> Iterator[str]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        builds = str(inspect.signature(function).return_annotation).startswith("Request")
        if builds and function.__module__ == module.__name__ and not name.startswith("_"):
            yield name


def test_every_function_that_builds_a_request_is_among_these() -> None:
    modules = (
        call_requests,
        switchboard_requests,
        conversation_requests,
        order_requests,
        progress_requests,
    )
    found = {name for module in modules for name in public_builders(module)} - {"switchboard_request"}
    assert found == {*OPENAI, *SWITCHBOARD}
    abstract: frozenset[str] = Dialer.__abstractmethods__
    assert abstract == set(CARRIER)


def test_requests_are_for_the_service_that_they_are_listed_with() -> None:
    for name in ALL:
        client = Scripted([OK]).client(name)
        built_one = built(name, client)
        request: Request[Any] = built_one if isinstance(built_one, Request) else next(built_one)
        assert request.to == client.service.name
