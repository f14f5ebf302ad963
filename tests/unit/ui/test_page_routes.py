"""What the page receives, and hanging up."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.unit.ui.support import ALL, CSRF, PREFIX, RUN, START, PageWorld, User, owner
from tests.unit.ui.test_directory import FakeSource

from airflow_openai_realtime.calls.recent import Place
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import ServiceUnavailable, SwitchboardUnreachable
from airflow_openai_realtime.states import Witness
from airflow_openai_realtime.ui import page_routes as routes
from airflow_openai_realtime.ui.access import READ_CALLS

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(autouse=True)
def _logged_in(page: PageWorld) -> None:
    page.user = User({"campaign": ALL}, {"support": ALL})


def test_a_live_call_as_the_list_shows_it(page: PageWorld) -> None:
    page.ring(seconds_ago=7)
    page.accept(by=owner(map_index=3))
    (call,) = page.calls()["calls"]
    assert call == {
        "conn_id": "support",
        "call_id": "rtc_1",
        "attempt_id": None,
        "state": "accepted",
        "is_live": True,
        "from": "+1***0123",
        "to": "+1***0199",
        "direction": "incoming",
        "contact": None,
        "campaign": None,
        "attempt": None,
        "received_at": "2026-11-22T07:59:53+00:00",
        "accepted_at": "2026-11-22T08:00:00+00:00",
        "waited_until": "2026-11-22T08:00:00+00:00",
        "ended_at": None,
        "hangup_at": "2026-11-22T08:10:00+00:00",
        "silent_since": None,
        "is_talk_known": True,
        "outcome": None,
        "ended_by": None,
        "talk_seconds": None,
        "reason": None,
        "status_code": None,
        "target": None,
        "task": {"dag_id": "campaign", "run_id": RUN, "task_id": "talk", "map_index": 3},
        "order": None,
        "has_conversation": False,
        "may_hang_up": True,
    }


def test_where_older_calls_follow_names_no_call_that_the_user_may_not_see(
    page: PageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PAGE_SIZE", 1)
    page.user = User({"campaign": ALL})
    for number, line in enumerate(("secret_line", "another_secret", "s" * 150, "x") * 5, start=70):
        page.ring(number, line=line, seconds_ago=number)
        page.end(number, line=line)
    page.ring(99, seconds_ago=99)
    page.accept(99)
    page.end(99)
    cursors, seen, before = [], [], None
    for _ in range(10):
        body = page.calls(**({} if before is None else {"before": before}))
        seen += [call["call_id"] for call in body["calls"]]
        before = body["next"]
        if before is None:
            break
        cursors.append(before)
    assert seen == ["rtc_99"]
    for cursor in cursors:
        plain = base64.urlsafe_b64decode(cursor + "==").decode("latin-1")
        assert not any(name in text for name in ("rtc_7", "secret", "sss") for text in (cursor, plain))
    assert cursors
    assert len({len(cursor) for cursor in cursors}) == 1


@pytest.mark.parametrize("cursor", ["", "x", "é", "a" * 10_000, "gAAAAA", str(Place(START, "support", "rtc_1"))])
def test_a_cursor_that_the_page_did_not_write_is_refused(page: PageWorld, cursor: str) -> None:
    assert page.http.get(f"{PREFIX}/api/calls", params={"before": cursor}).status_code == 422


@pytest.mark.parametrize("call_id", ["..", ".", "rtc 1", "é"])
def test_what_cannot_be_a_call_s_id_is_refused(page: PageWorld, call_id: str) -> None:
    asked = page.http.get(f"{PREFIX}/api/call", params={"conn_id": "support", "call_id": call_id})
    hung_up = page.http.post(f"{PREFIX}/api/hang-up", json={"conn_id": "support", "call_id": call_id}, headers=CSRF)
    assert (asked.status_code, hung_up.status_code) == (422, 422)


def test_no_answer_holds_a_full_number(page: PageWorld) -> None:
    page.ring(1)
    page.accept(1)
    page.end(1, reason="transferred to +14155550177")
    answers = page.http.get(f"{PREFIX}/api/calls").text + page.call(1).text
    assert "4155550" not in answers


def test_how_a_call_ended_is_told_by_its_conversation_or_else_by_the_switchboard(page: PageWorld) -> None:
    for number in (1, 2, 3):
        page.ring(number, seconds_ago=number)
        page.accept(number)
        page.end(number, "max_duration")
    page.talk(1)
    page.store.conversations.finish("support", "rtc_1", 1, "silence", None, [], page.clock())
    page.talk(2)
    outcomes = {call["call_id"]: call["outcome"] for call in page.calls()["calls"]}
    assert outcomes == {"rtc_1": "silence", "rtc_2": "max_duration", "rtc_3": "max_duration"}


def test_older_calls_follow_page_by_page(page: PageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "PAGE_SIZE", 2)
    for number in range(5):
        page.ring(number, seconds_ago=number)
        page.accept(number)
        page.end(number)
    first = page.calls()
    second = page.calls(before=first["next"])
    third = page.calls(before=second["next"])
    told = [call["call_id"] for body in (first, second, third) for call in body["calls"]]
    assert told == ["rtc_0", "rtc_1", "rtc_2", "rtc_3", "rtc_4"]
    assert third["next"] is None


def test_calls_that_a_user_may_not_see_are_stepped_over_in_search_of_others(
    page: PageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PAGE_SIZE", 2)
    for number in range(20):
        page.ring(number, seconds_ago=number)
        page.accept(number, owner("campaign" if number == 7 else "other"))
        page.end(number)
    first = page.calls()
    assert [call["call_id"] for call in first["calls"]] == ["rtc_7"]
    assert first["next"] is not None  # it looked through five pages, and lets the user decide whether to go on
    assert page.calls(before=page.calls(before=first["next"])["next"] or first["next"])["calls"] == []


def test_a_switchboard_that_is_away_is_a_note_and_no_error(page: PageWorld) -> None:
    page.ring()
    page.others = [
        FakeSource("sales", problem=SwitchboardUnreachable("no answer from the switchboard at http://sales:8090")),
        FakeSource("secret_line", problem=SwitchboardUnreachable("no answer from the switchboard at http://secret")),
    ]
    page.user = User({"campaign": ALL}, {"support": ALL, "sales": [READ_CALLS]})
    body = page.calls()
    assert len(body["calls"]) == 1
    assert body["notes"] == [
        "The calls of connection sales are missing here: no answer from the switchboard at http://sales:8090",
        "A switchboard does not answer: its calls are missing here.",
    ]


def test_what_was_said_comes_as_data_and_only_once(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.talk(1, None, HOSTILE)
    body = page.call().json()
    (entry,) = body["conversation"]["entries"]
    assert (entry["kind"], entry["body"]) == ("caller", {"text": HOSTILE})
    page.talk(1, None, "Second")
    later = page.call(known=1).json()["conversation"]
    assert (later["entries_from"], [each["body"]["text"] for each in later["entries"]]) == (1, ["Second"])
    anew = page.call(known=99).json()["conversation"]
    assert (anew["entries_from"], len(anew["entries"])) == (0, 2)


def test_answers_are_never_taken_for_a_document(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.talk(1, None, HOSTILE)
    assert page.call().headers["content-type"] == "application/json"
    assert page.http.get(f"{PREFIX}/").text.count("<script") == 1  # our own, from a file


def test_usage_adds_up_while_a_call_goes_on_and_is_its_result_s_afterwards(page: PageWorld) -> None:
    page.ring()
    page.accept()
    generation = page.talk()
    sent = {"total_tokens": 7, "input_tokens": 7, "input_token_details": {"text_tokens": 7}}
    for number in (1, 2):
        body: dict[str, Any] = {"of": "response", "usage": sent}
        entry = TimelineEntry(f"usage:{number}", "usage", page.clock(), body)
        page.store.conversations.append("support", "rtc_1", generation, [entry], page.clock())
    assert page.call().json()["conversation"]["usage"]["total_tokens"] == 14
    result = {"usage": {"total_tokens": 99}, "cost": {"usd": 0.5}, "result": {"day": "Friday"}, "result_valid": True}
    page.store.conversations.finish("support", "rtc_1", generation, "completed", result, [], page.clock())
    told = page.call().json()["conversation"]
    assert (told["usage"], told["cost"], told["result"]) == ({"total_tokens": 99}, {"usd": 0.5}, {"day": "Friday"})


def test_who_watches_a_call_that_a_user_ends_is_told_so_though_openai_answers_last(
    page: PageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket closes before the hang-up is answered: its holder tells the end first, as the caller's."""
    page.ring()
    page.accept()
    told: list[tuple[str | None, ...]] = []

    def tell() -> None:
        call = page.store.calls.find("support", "rtc_1")
        told.append((call.end_reason, call.end_witness, call.ended_by))

    def closes_the_socket_first(conn_id: str, call_id: str) -> bool:
        page.end(1, Account(Witness.SOCKET, "caller_hung_up", "caller"))
        tell()  # what the holder reads, and what stays should this API server die now
        return False

    monkeypatch.setattr(page.backend, "hang_up", closes_the_socket_first)
    assert page.hang_up().json() == {"gone": False}
    tell()
    assert told == [("hung_up", "api", f"user {page.user.user_name}")] * 2


def test_hanging_up_ends_the_call_and_is_written_down(page: PageWorld) -> None:
    page.ring()
    page.accept()
    assert page.hang_up().json() == {"gone": False}
    assert page.backend.done == [("note", "ann", "campaign", "support", "rtc_1"), ("hang_up", "support", "rtc_1")]
    call = page.store.calls.find("support", "rtc_1")
    assert (call.state, call.end_reason) == ("ended", "hung_up")
    assert page.hang_up().json() == {"gone": True}
    assert len(page.backend.done) == 2


def test_a_call_that_openai_does_not_know_any_more_is_gone(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.backend.is_gone = True
    assert page.hang_up().json() == {"gone": True}
    assert page.store.calls.find("support", "rtc_1").end_reason == "gone"


def test_a_call_that_could_not_be_hung_up_is_still_live(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.backend.problem = ServiceUnavailable("OpenAI did not answer")
    answer = page.hang_up()
    assert (answer.status_code, answer.json()) == (502, {"error": "OpenAI did not answer"})
    assert page.store.calls.find("support", "rtc_1").state == "accepted"


def test_a_ringing_call_is_not_hung_up(page: PageWorld) -> None:
    page.ring()
    assert page.hang_up().status_code == 409
    assert page.backend.done == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-OpenAI-Realtime-Calls": "2"},
        {**CSRF, "content-type": "text/plain"},
        {**CSRF, "content-type": "application/x-www-form-urlencoded"},
        {**CSRF, "sec-fetch-site": "cross-site"},
        {**CSRF, "sec-fetch-site": "same-site"},
        {**CSRF, "sec-fetch-site": "none"},
    ],
)
def test_what_another_site_could_send_hangs_nothing_up(page: PageWorld, headers: dict[str, str]) -> None:
    page.ring()
    page.accept()
    assert page.hang_up(headers=headers).status_code == 403
    assert page.backend.done == []


def test_hanging_up_takes_no_other_method_and_no_parameters(page: PageWorld) -> None:
    page.ring()
    page.accept()
    query = "conn_id=support&call_id=rtc_1"
    assert page.http.get(f"{PREFIX}/api/hang-up?{query}", headers=CSRF).status_code == 405
    assert page.http.post(f"{PREFIX}/api/hang-up?{query}", headers=CSRF, json={}).status_code == 422
    assert page.backend.done == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/calls?before=x", 422),
        ("/api/call", 422),
        ("/api/call?conn_id=&call_id=x", 422),
        ("/api/call?conn_id=support&call_id=%00", 422),
        ("/api/call?conn_id=%ED%A0%80&call_id=x", 404),
        ("/api/call?conn_id=support&call_id=rtc_9", 404),
        ("/api/call?conn_id=support&call_id=rtc_1&known=-1", 422),
        ("/assets/..%2Fapp.py", 404),
        ("/assets/index.html", 404),
        ("/openapi.json", 404),
        ("/docs", 404),
    ],
)
def test_what_is_odd_is_refused_in_a_sentence(page: PageWorld, path: str, status: int) -> None:
    answer = page.http.get(PREFIX + path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("caller", "caller"),
        ("agent", "agent"),
        ("ann", "ann"),
        (None, None),
        (owner(task_id="hang_up"), "task hang_up"),
        (owner(task_id="talk", map_index=7), "task talk [7]"),
        (owner("secret_dag"), "another task"),
        ("order:day", "standing order day"),
    ],
)
def test_who_hung_up_and_what_the_carrier_counted_is_told(page: PageWorld, by: str | None, told: str | None) -> None:
    page.ring()
    page.accept()
    page.end(1, Account(Witness.API, "hung_up", by, 12.5))
    (call,) = page.calls()["calls"]
    assert (call["ended_by"], call["outcome"], call["talk_seconds"]) == (told, "hung_up", 12.5)
    assert "secret_dag" not in page.call(1).text
