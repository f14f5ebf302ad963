from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx
import pytest
from tests.unit.simulator.support import PERSON, SESSION, TARGET, Phone

from airflow_openai_realtime.simulator import PhoneScript, Simulator

pytestmark = pytest.mark.realtime_simulator(speed=0)


def test_a_placed_call_is_queued_and_can_be_looked_at(realtime_simulator: Simulator, client: Phone) -> None:
    response = client.place()
    call = response.json()
    assert (response.status_code, call["status"], call["direction"]) == (201, "queued", "outbound-api")
    assert call["sid"].startswith("CA")
    assert call["duration"] is None
    realtime_simulator.clock.advance(1)
    assert client.carrier.get(f"/Calls/{call['sid']}.json").json()["status"] == "ringing"


def test_a_completed_call_tells_its_times(realtime_simulator: Simulator, client: Phone) -> None:
    realtime_simulator.phones.add(PERSON, PhoneScript.answers(talks_for_seconds=10))
    sid = client.place().json()["sid"]
    realtime_simulator.clock.advance(3)
    client.accept(realtime_simulator.log.call(carrier_sid=sid).call_id or "")
    realtime_simulator.clock.advance(10)
    call = client.carrier.get(f"/Calls/{sid}.json").json()
    assert (call["status"], call["duration"], call["answered_by"]) == ("completed", "11", None)
    talked = parsedate_to_datetime(call["end_time"]) - parsedate_to_datetime(call["start_time"])
    assert talked.total_seconds() in (10, 11)


def test_a_call_is_ended_by_its_status(realtime_simulator: Simulator, client: Phone) -> None:
    sid = client.place().json()["sid"]
    assert client.carrier.post(f"/Calls/{sid}.json", data={"Status": "completed"}).json()["status"] == "canceled"
    again = client.carrier.post(f"/Calls/{sid}.json", data={"Status": "completed"})
    assert (again.status_code, again.json()["code"]) == (400, 21220)
    other = client.carrier.post(f"/Calls/{sid}.json", data={"Twiml": "<Response/>"})
    assert (other.status_code, other.json()["code"]) == (400, 20001)


def test_a_refused_order_rings_no_phone(realtime_simulator: Simulator, client: Phone) -> None:
    response = client.place("0123")
    assert response.status_code == 400
    assert response.json()["code"] == 21211
    assert response.json()["status"] == 400
    assert "twilio.com/docs/errors/21211" in response.json()["more_info"]
    assert realtime_simulator.log.calls == []


def test_calls_are_listed_newest_first_with_filters_and_pages(realtime_simulator: Simulator, client: Phone) -> None:
    numbers = [PERSON, TARGET, PERSON]
    sids = [client.place(number).json()["sid"] for number in numbers]
    page = client.carrier.get("/Calls.json").json()
    assert [call["sid"] for call in page["calls"]] == sids[::-1]
    assert page["next_page_uri"] is None
    of_target = client.carrier.get("/Calls.json", params={"To": TARGET, "Status": "queued"}).json()
    assert [call["sid"] for call in of_target["calls"]] == [sids[1]]
    first = client.carrier.get("/Calls.json", params={"PageSize": 2}).json()
    second = client.carrier.get(httpx.URL(realtime_simulator.url).join(first["next_page_uri"])).json()
    assert [call["sid"] for call in first["calls"] + second["calls"]] == sids[::-1]


def test_wrong_credentials_are_refused(realtime_simulator: Simulator, client: Phone) -> None:
    path = "/Calls.json"
    wrong = client.carrier.get(path, auth=(realtime_simulator.account_sid, "wrong"))
    assert (wrong.status_code, wrong.json()["code"]) == (401, 20003)
    other = f"{realtime_simulator.url}/2010-04-01/Accounts/ACother/Calls.json"
    assert client.carrier.get(other).json()["code"] == 20404


def test_a_fault_can_be_set_for_the_account(realtime_simulator: Simulator, client: Phone) -> None:
    realtime_simulator.faults.status("account", 503)
    path = f"{realtime_simulator.url}/2010-04-01/Accounts/{realtime_simulator.account_sid}.json"
    assert [client.carrier.get(path).status_code for _ in range(2)] == [503, 200]


def test_an_unknown_call_is_not_found(client: Phone) -> None:
    response = client.carrier.get("/Calls/CAunknown.json")
    assert (response.status_code, response.json()["code"]) == (404, 20404)


def test_an_unknown_path_is_answered_in_twilios_words(client: Phone) -> None:
    assert client.carrier.get("/Messages.json").json()["code"] == 20404


def test_a_whole_call_goes_from_the_carrier_to_openai_and_back(realtime_simulator: Simulator, client: Phone) -> None:
    realtime_simulator.phones.add(PERSON, PhoneScript.talks_for_ever())
    sid = client.place(TimeLimit="600").json()["sid"]
    realtime_simulator.clock.advance(3)
    call_id = realtime_simulator.log.call(carrier_sid=sid).call_id or ""
    assert client.decide(call_id, "accept", SESSION).status_code == 200
    realtime_simulator.clock.advance(42)
    assert client.decide(call_id, "hangup").status_code == 200
    assert client.carrier.get(f"/Calls/{sid}.json").json()["status"] == "completed"
    (row,) = realtime_simulator.log.calls
    assert (row.rang, row.accepted, row.ended_by, row.talked_seconds) == (1, 1, "api_hangup", 42)
    assert realtime_simulator.log.open_calls() == []
