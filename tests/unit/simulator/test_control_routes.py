"""The control endpoints: what they take, and what they answer to a wrong request."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.unit.simulator.support import CALLER, PERSON

from airflow_openai_realtime.simulator import PhoneScript
from airflow_openai_realtime.simulator.control_routes import ControlRoutes
from airflow_openai_realtime.simulator.world import World


@pytest.fixture
def resets() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def http(world: World, resets: list[dict[str, Any]]) -> Any:
    return TestClient(Starlette(routes=ControlRoutes(world, resets.append).routes), base_url="http://simulator")


def post(http: Any, path: str, **body: Any) -> Any:
    return http.post(f"/_simulator{path}", json=body)


def test_it_says_what_it_is_set_to(http: Any, world: World) -> None:
    told = http.get("/_simulator/").json()
    assert (told["project_id"], told["caller_number"], told["speed"]) == (
        world.settings.project_id,
        world.settings.caller_number,
        0,
    )
    assert world.settings.api_key not in str(told)


def test_scripts_faults_and_calls_arrive_in_the_world(http: Any, world: World) -> None:
    script = PhoneScript.busy().to_dict()
    assert post(http, "/phones", number=PERSON, scripts=[script]).json() == {"ok": True}
    assert http.get("/_simulator/phones").json() == {PERSON: [script]}
    post(http, "/faults", operation="place", kind="status", status=429)
    assert [fault.status for fault in world.faults.pending] == [429]
    http.delete("/_simulator/faults")
    assert world.faults.pending == []
    call_id = post(http, "/call-in", **{"from": PERSON, "to": CALLER, "headers": [["X-Queue", 7]]}).json()["call_id"]
    call = world.calls.find(call_id)
    assert call is not None
    assert ("X-Queue", "7") in call.sip_headers


def test_time_is_moved_and_told(http: Any, world: World) -> None:
    before = world.clock.now()
    assert post(http, "/clock/advance", seconds=60).json() == {"now": before + 60, "speed": 0}
    post(http, "/clock", speed=2)
    assert http.get("/_simulator/clock").json()["speed"] == 2


def test_the_log_is_read_from_a_place_on(http: Any, world: World) -> None:
    world.call_in(PERSON, CALLER)
    everything = http.get("/_simulator/log").json()
    assert http.get("/_simulator/log", params={"after": 1}).json() == everything[1:]
    (row,) = http.get("/_simulator/calls").json()
    assert row == world.log.calls[0].to_dict()


def test_webhooks_are_added_listed_and_cleared(http: Any, world: World) -> None:
    post(http, "/webhooks", url="http://127.0.0.1:9/webhook", secret="whsec_dGVzdA==")
    assert http.get("/_simulator/webhooks").json() == [{"url": "http://127.0.0.1:9/webhook"}]
    http.delete("/_simulator/webhooks")
    assert list(world.webhooks.targets) == []


def test_a_reset_gets_its_changes(http: Any, resets: list[dict[str, Any]]) -> None:
    post(http, "/reset", speed=5)
    assert resets == [{"speed": 5}]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/phones", {"number": PERSON}, "scripts"),
        ("/phones", {"number": PERSON, "scripts": ["busy"]}, "scripts"),
        ("/phones", {"number": 5, "scripts": []}, "number"),
        ("/phones/hang-up", {}, "number"),
        ("/faults", {"operation": "sing"}, "operation"),
        ("/clock", {"speed": True}, "speed"),
        ("/clock", {"speed": -1}, "speed"),
        ("/clock/advance", {"seconds": "60"}, "seconds"),
        ("/call-in", {"to": CALLER}, "from"),
        ("/call-in", {"from": PERSON, "to": CALLER, "call_id": 5}, "call_id"),
        ("/act", {"call_id": "rtc_1"}, "moves"),
        ("/webhooks", {"url": "127.0.0.1"}, "webhook_url"),
    ],
)
def test_a_wrong_request_is_refused_by_the_name_of_its_field(
    http: Any, path: str, body: dict[str, Any], field: str
) -> None:
    answer = post(http, path, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("invalid_input", field)
    assert error["message"]


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_a_body_that_is_no_object_is_refused(http: Any, text: str) -> None:
    assert http.post("/_simulator/clock", content=text).status_code == 400


def test_the_place_in_the_log_is_a_whole_number(http: Any) -> None:
    answer = http.get("/_simulator/log", params={"after": "-1"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "after")
