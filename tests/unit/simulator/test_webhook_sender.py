from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from tests.unit.simulator.support import CALLER, PERSON, Receiver, Taken

from airflow_openai_realtime.api.webhooks import parse_event, verify_webhook
from airflow_openai_realtime.exceptions import InvalidInput, WebhookVerificationError
from airflow_openai_realtime.simulator import PhoneScript, Simulator

pytestmark = pytest.mark.realtime_simulator(speed=0, settle_seconds=30)


@pytest.fixture
def simulator(realtime_simulator: Simulator, receiver: Receiver) -> Simulator:
    """A simulator that sends its webhooks to the receiver."""
    realtime_simulator.webhooks.add(receiver.url)
    return realtime_simulator


def settle(simulator: Simulator) -> None:
    """Wait for deliveries that are on their way."""
    simulator.clock.advance(0)


def verify(simulator: Simulator, taken: Taken) -> str:
    return verify_webhook(taken.body, taken.headers, [simulator.webhook_secret], time.time())


def test_a_call_that_comes_in_is_told_with_a_true_signature(simulator: Simulator, receiver: Receiver) -> None:
    earliest = int(time.time())
    call_id = simulator.call_in(PERSON, CALLER, {"X-Order": "7"})
    settle(simulator)
    (taken,) = receiver.taken
    assert verify(simulator, taken).startswith("wh_")
    assert taken.headers["user-agent"].startswith("OpenAI/1.0")
    call = parse_event(taken.body)
    assert call is not None
    assert (call.call_id, call.from_number, call.to_number, call.header("x-order")) == (call_id, PERSON, CALLER, "7")
    assert call.media_security == "srtp"
    assert earliest <= call.created_at.timestamp() <= time.time()


def test_a_delivery_is_repeated_with_longer_and_longer_waits_until_it_is_taken(
    simulator: Simulator, receiver: Receiver
) -> None:
    receiver.answers = [500, 302, 429]
    simulator.call_in(PERSON, CALLER, script=PhoneScript.hangs_up_while_ringing(1))
    start = simulator.clock.now_at()
    simulator.clock.advance(60)
    failed = simulator.log.of_kind("webhook.failed")
    assert [entry.detail["answer"] for entry in failed] == ["500", "302", "429"]
    times = [(entry.at - start).total_seconds() for entry in [*failed, *simulator.log.of_kind("webhook.delivered")]]
    assert times == pytest.approx([0, 1, 3, 7])
    assert len({verify(simulator, taken) for taken in receiver.taken}) == 1
    assert len({taken.body for taken in receiver.taken}) == 1


def test_a_receiver_that_does_not_answer_in_time_is_asked_again(simulator: Simulator, receiver: Receiver) -> None:
    simulator.clock.settle_seconds = 0.05
    receiver.hold.clear()
    simulator.call_in(PERSON, CALLER)
    assert simulator.wait_for(lambda: receiver.taken)
    simulator.clock.advance(5)
    assert simulator.wait_for(lambda: simulator.log.of_kind("webhook.failed"))
    assert simulator.log.of_kind("webhook.failed")[0].detail["answer"] == "time-out"
    receiver.hold.set()
    simulator.clock.settle_seconds = 30
    simulator.clock.advance(1)
    assert len(receiver.taken) == 2


def test_a_receiver_that_is_down_is_asked_again_until_it_is_given_up(realtime_simulator: Simulator) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        realtime_simulator.webhooks.add(f"http://127.0.0.1:{unused.getsockname()[1]}/webhook")
        realtime_simulator.call_in(PERSON, CALLER)
        realtime_simulator.clock.advance(73 * 3600)
    answers = {entry.detail["answer"] for entry in realtime_simulator.log.of_kind("webhook.failed")}
    assert answers == {"ConnectError"}
    assert len(realtime_simulator.log.of_kind("webhook.given_up")) == 1


def test_duplicates_have_the_same_id(simulator: Simulator, receiver: Receiver) -> None:
    simulator.faults.duplicate_webhook(3)
    simulator.call_in(PERSON, CALLER)
    settle(simulator)
    assert len(receiver.taken) == 4
    assert len({taken.headers["webhook-id"] for taken in receiver.taken}) == 1


def test_a_webhook_can_be_delivered_again(simulator: Simulator, receiver: Receiver) -> None:
    call_id = simulator.call_in(PERSON, CALLER)
    settle(simulator)
    simulator.webhooks.redeliver(call_id, times=2)
    settle(simulator)
    assert len({taken.headers["webhook-id"] for taken in receiver.taken}) == 1
    assert len(receiver.taken) == 3
    with pytest.raises(InvalidInput, match="rtc_9"):
        simulator.webhooks.redeliver("rtc_9")


def test_a_late_webhook_looks_as_old_as_its_call(simulator: Simulator, receiver: Receiver) -> None:
    simulator.faults.late_webhook(3600)
    earliest = int(time.time())
    simulator.call_in(PERSON, CALLER)
    simulator.clock.advance(3599)
    assert receiver.taken == []
    simulator.clock.advance(1)
    (taken,) = receiver.taken
    verify(simulator, taken)
    assert earliest - 3600 <= json.loads(taken.body)["created_at"] <= time.time() - 3600


def test_a_forged_webhook_does_not_verify(simulator: Simulator, receiver: Receiver) -> None:
    simulator.faults.forged_webhook()
    simulator.call_in(PERSON, CALLER)
    settle(simulator)
    with pytest.raises(WebhookVerificationError):
        verify(simulator, receiver.taken[0])


def test_a_lost_webhook_never_comes(simulator: Simulator, receiver: Receiver) -> None:
    simulator.faults.lost_webhook()
    simulator.call_in(PERSON, CALLER)
    simulator.clock.advance(3600)
    assert receiver.taken == []


def test_every_address_gets_it_signed_with_its_own_secret(simulator: Simulator, receiver: Receiver) -> None:
    simulator.webhooks.add(receiver.url + "/other", "another secret")
    simulator.call_in(PERSON, CALLER)
    settle(simulator)
    signers = [
        secret
        for taken in receiver.taken
        for secret in (simulator.webhook_secret, "another secret")
        if _verifies(taken, secret)
    ]
    assert sorted(signers) == sorted([simulator.webhook_secret, "another secret"])


def _verifies(taken: Taken, secret: str) -> bool:
    try:
        verify_webhook(taken.body, taken.headers, [secret], time.time())
    except WebhookVerificationError:
        return False
    return True


def test_a_delivery_that_is_answered_during_a_reset_leaves_no_trace(simulator: Simulator, receiver: Receiver) -> None:
    receiver.hold.clear()
    simulator.call_in(PERSON, CALLER)
    assert simulator.wait_for(lambda: receiver.taken)
    with simulator.clock.lock:  # the answer is there, and cannot be written down
        receiver.hold.set()
        threading.Event().wait(0.05)
        simulator.reset(speed=0)
    settle(simulator)
    assert simulator.log.entries == []


def test_a_delivery_of_an_earlier_life_leaves_no_trace(simulator: Simulator, receiver: Receiver) -> None:
    receiver.hold.clear()
    simulator.call_in(PERSON, CALLER)
    assert simulator.wait_for(lambda: receiver.taken)
    simulator.reset(speed=0)
    receiver.hold.set()
    settle(simulator)
    simulator.clock.advance(100)
    assert simulator.log.entries == []


@pytest.mark.parametrize("url", ["", "ftp://host", "127.0.0.1:80/webhook", "http://", "http://host:port/"])
def test_an_address_that_is_none_is_refused(realtime_simulator: Simulator, url: str) -> None:
    with pytest.raises(InvalidInput, match="webhook address"):
        realtime_simulator.webhooks.add(url)


def test_a_secret_that_cannot_sign_is_refused(realtime_simulator: Simulator) -> None:
    with pytest.raises(InvalidInput, match="secret"):
        realtime_simulator.webhooks.add("http://127.0.0.1/", "whsec_!")
