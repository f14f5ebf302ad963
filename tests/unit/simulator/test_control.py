"""The same things through the HTTP control as in the process."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION, Phone, Receiver

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import Dialogue, Fault, Move, PhoneScript, Simulator, SimulatorControl

pytestmark = pytest.mark.realtime_simulator(speed=0)


@pytest.fixture
def control(realtime_simulator: Simulator) -> Iterator[SimulatorControl]:
    with SimulatorControl(realtime_simulator.url) as control:
        yield control


def test_it_has_the_names_of_the_simulator_in_the_process(
    realtime_simulator: Simulator, control: SimulatorControl
) -> None:
    for part in ("phones", "faults", "clock", "webhooks", "log"):
        public = {name for name in dir(getattr(control, part)) if not name.startswith("_")}
        own = {"entries_after"}
        assert public - own <= set(dir(getattr(realtime_simulator, part)))
    for method in ("call_in", "act", "reset", "wait_for"):
        assert hasattr(control, method)
        assert hasattr(realtime_simulator, method)


def test_a_call_can_be_led_from_another_process(
    realtime_simulator: Simulator, control: SimulatorControl, client: Phone
) -> None:
    control.phones.add(PERSON, PhoneScript.talks_for_ever(after_seconds=1))
    client.place()
    control.clock.advance(2)
    (row,) = control.log.calls
    client.decide(row.call_id or "", "accept", SESSION)
    assert [each.call_id for each in control.log.open_calls()] == [row.call_id]
    assert control.phones.hang_up(PERSON) == 1
    assert control.log.calls == realtime_simulator.log.calls
    assert control.log.entries == realtime_simulator.log.entries
    assert control.log.entries_after(3) == realtime_simulator.log.entries[3:]
    assert len(control.log.rings(PERSON)) == 1


def test_a_conversation_can_be_led_from_another_process(control: SimulatorControl, client: Phone) -> None:
    dialogue = Dialogue(("Hello.",), (Move.says("Hi."),), starts="accepted")
    script = PhoneScript.talks_for_ever(dialogue=dialogue)
    call_id = control.call_in(PERSON, CALLER, script=script, call_id="rtc_u1_of_another_process")
    assert call_id == "rtc_u1_of_another_process"
    client.accept(call_id)
    control.clock.advance(10)
    control.act(call_id, Move.says("Bye."), Move.hangs_up())
    control.clock.advance(10)
    assert control.log.said(call_id) == [
        ("caller", "Hi."),
        ("model", "Hello."),
        ("caller", "Bye."),
        ("model", "Hello."),
    ]
    assert control.log.call(call_id=call_id).ended_by == "caller"
    with pytest.raises(InvalidInput, match="not live"):
        control.act(call_id, Move.hangs_up())


def test_scripts_and_faults_arrive_whole(realtime_simulator: Simulator, control: SimulatorControl) -> None:
    control.phones.add(PERSON, PhoneScript.busy(), PhoneScript.declines(after_seconds=9))
    assert control.phones.scripts() == realtime_simulator.phones.scripts()
    control.faults.status("place", 429, retry_after_seconds=3, times=2)
    assert list(control.faults.pending) == [Fault("place", "status", 429, 3, times=2)]
    control.faults.clear()
    assert realtime_simulator.faults.pending == []


def test_somebody_calls_in_with_headers_and_a_script(
    realtime_simulator: Simulator, control: SimulatorControl, receiver: Receiver
) -> None:
    control.webhooks.add(receiver.url)
    assert [target.url for target in realtime_simulator.webhooks.targets] == [receiver.url]
    script = PhoneScript.hangs_up_while_ringing(3)
    call_id = control.call_in(PERSON, CALLER, {"X-A": "1"}, script)
    control.clock.advance(3)
    assert control.log.call(call_id=call_id).fate == "missed"
    assert b'"X-A"' in receiver.taken[0].body
    control.webhooks.redeliver(call_id)
    control.clock.advance(0)
    assert len(receiver.taken) == 2
    control.webhooks.clear()
    assert realtime_simulator.webhooks.targets == []


def test_the_clock_is_the_same(realtime_simulator: Simulator, control: SimulatorControl) -> None:
    before = control.clock.now()
    control.clock.advance(100)
    assert control.clock.now() == realtime_simulator.clock.now() == pytest.approx(before + 100)
    assert control.clock.now_at() == realtime_simulator.clock.now_at()
    control.clock.speed = 2
    assert control.clock.speed == realtime_simulator.clock.speed == 2


def test_a_reset_takes_settings(realtime_simulator: Simulator, control: SimulatorControl) -> None:
    realtime_simulator.call_in(PERSON, CALLER)
    control.reset(speed=0, ring_seconds=3)
    assert control.log.calls == []
    assert realtime_simulator.settings.ring_seconds == 3


def test_the_description_has_no_secrets(realtime_simulator: Simulator, control: SimulatorControl) -> None:
    described = control.describe()
    assert described["project_id"] == realtime_simulator.project_id
    for secret in (
        realtime_simulator.api_key,
        realtime_simulator.auth_token,
        realtime_simulator.api_key_secret,
        realtime_simulator.webhook_secret,
    ):
        assert secret not in repr(described)


def test_waiting_ends_when_the_condition_holds_or_the_time_is_up(control: SimulatorControl) -> None:
    assert control.wait_for(lambda: True)
    assert not control.wait_for(lambda: False, timeout_seconds=0.01)


def test_what_cannot_be_is_refused_with_its_field(control: SimulatorControl) -> None:
    with pytest.raises(InvalidInput, match="goes forward"):
        control.clock.advance(-1)
    with pytest.raises(InvalidInput) as caught:
        control.reset(colour="red")
    assert caught.value.field == "colour"
    with pytest.raises(InvalidInput, match="at least one"):
        control.phones.add(PERSON)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/phones", {"number": PERSON}),
        ("/phones", {"number": 1, "scripts": []}),
        ("/phones", {"number": PERSON, "scripts": ["busy"]}),
        ("/faults", {"kind": "reset"}),
        ("/clock", {"speed": "fast"}),
        ("/call-in", {"from": PERSON, "to": CALLER, "headers": [["X-A"]]}),
        ("/call-in", {"from": PERSON}),
        ("/call-in", {"from": PERSON, "to": CALLER, "script": {"dialogue": {"moves": [{"kind": "says"}]}}}),
        ("/call-in", {"from": PERSON, "to": CALLER, "script": {"dialogue": "hello"}}),
        ("/act", {"call_id": "rtc_1"}),
        ("/act", {"call_id": "rtc_1", "moves": ["hangs_up"]}),
        ("/reset", ["all"]),
    ],
)
def test_a_body_of_another_shape_is_refused_not_a_crash(realtime_simulator: Simulator, path: str, body: object) -> None:
    response = httpx.post(f"{realtime_simulator.url}/_simulator{path}", json=body, trust_env=False)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("query", ["x", "-1"])
def test_a_place_in_the_log_is_a_number(realtime_simulator: Simulator, query: str) -> None:
    url = f"{realtime_simulator.url}/_simulator/log?after={query}"
    assert httpx.get(url, trust_env=False).status_code == 400
