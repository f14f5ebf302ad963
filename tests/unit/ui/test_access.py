"""Who sees which calls, and who hangs up: through the page's routes."""

from __future__ import annotations

import pytest
from tests.unit.switchboard.routes import every_route
from tests.unit.ui.support import ALL, PREFIX, PageWorld, User, owner

from airflow_openai_realtime.ui.access import HANG_UP, READ_CALLS


def every_path(page: PageWorld) -> list[tuple[str, str]]:
    return [(method, path.replace("{name}", "page.js")) for method, path in every_route(page.page.routes)]


def test_without_a_login_every_route_refuses(page: PageWorld) -> None:
    page.ring()
    paths = every_path(page)
    assert len(paths) >= 5
    for method, path in paths:
        answer = page.http.request(method, PREFIX + path, json={})
        wanted = 303 if path == "/" else 401
        assert answer.status_code == wanted, (method, path)
        assert "rtc_1" not in answer.text


def test_whoever_opens_the_page_without_a_login_is_led_to_airflow_s(page: PageWorld) -> None:
    answer = page.http.get(f"{PREFIX}/")
    assert answer.headers["location"] == "../api/v2/auth/login?next=%2Fopenai-realtime-calls%2F"


def test_only_those_who_may_read_the_dag_see_its_calls(page: PageWorld) -> None:
    page.ring(1, seconds_ago=9)
    page.accept(1, owner("campaign"))
    page.ring(2, seconds_ago=8)
    page.accept(2, owner("other"))
    page.user = User({"campaign": ALL})
    assert page.ids() == ["rtc_1"]
    assert page.call(1).status_code == 200
    assert page.call(2).status_code == 404
    assert page.hang_up(2).status_code == 404
    page.user = User()
    assert page.ids() == []
    assert page.call(1).status_code == 404


def test_a_call_of_another_connection_is_not_found_by_guessing(page: PageWorld) -> None:
    page.ring(1)
    page.user = User({"campaign": ALL}, {"sales": ALL})
    assert page.call(1, "sales").status_code == 404
    assert page.call(1, "support").status_code == 404


def test_a_call_that_no_task_has_is_seen_by_those_who_may_read_the_connection(page: PageWorld) -> None:
    page.ring(1, seconds_ago=9)
    page.ring(2, seconds_ago=8)
    page.accept(2, "order:day")
    page.ring(3, "sales", seconds_ago=7)
    page.user = User({"campaign": ALL}, {"support": ALL})
    assert page.ids() == ["rtc_2", "rtc_1"]
    assert [call["order"] for call in page.calls()["calls"]] == ["day", None]
    page.user = User({"campaign": ALL})
    assert page.ids() == []


def test_reading_the_connection_shows_no_calls_of_dags(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.user = User({}, {"support": ALL})
    assert page.ids() == []


def test_whoever_may_only_read_cannot_hang_up(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.user = User({"campaign": [READ_CALLS]})
    assert [call["may_hang_up"] for call in page.calls()["calls"]] == [False]
    answer = page.hang_up()
    assert answer.status_code == 403
    assert "edit the DAG" in answer.json()["error"]
    assert page.backend.done == []
    assert page.store.calls.find("support", "rtc_1").state == "accepted"


def test_the_call_of_a_standing_order_is_hung_up_by_those_who_may_edit_the_connection(page: PageWorld) -> None:
    page.ring()
    page.accept(1, "order:day")
    page.user = User({}, {"support": [READ_CALLS]})
    assert page.hang_up().status_code == 403
    page.user = User({}, {"support": [READ_CALLS, HANG_UP]})
    assert page.hang_up().status_code == 200
    assert page.store.calls.find("support", "rtc_1").end_reason == "hung_up"


def test_a_transcript_needs_a_right_of_its_own(page: PageWorld) -> None:
    page.ring()
    page.accept()
    page.talk(1, None, "My secret")
    page.user = User({"campaign": [READ_CALLS]})
    answer = page.call()
    assert (answer.json()["may_read_transcript"], answer.json()["conversation"]) == (False, None)
    assert "My secret" not in answer.text
    page.user = User({"campaign": ALL})
    assert "My secret" in page.call().text


@pytest.mark.parametrize("path", ["/", "/assets/page.js", "/api/calls", "/nowhere", "/assets/nothing.js"])
def test_every_answer_tells_the_browser_to_run_nothing_else(page: PageWorld, path: str) -> None:
    page.user = User()
    headers = page.http.get(PREFIX + path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
