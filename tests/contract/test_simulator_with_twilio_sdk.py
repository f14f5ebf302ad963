"""Twilio's own SDK as a client of the simulated carrier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION, TARGET, twiml
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.twiml.voice_response import Dial, VoiceResponse

from airflow_openai_realtime.outbound.carriers.port import CarrierSettings, DialRequest
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer
from airflow_openai_realtime.simulator import PhoneScript, Simulator

pytestmark = pytest.mark.realtime_simulator(speed=0)


@pytest.fixture
def sdk(realtime_simulator: Simulator) -> Iterator[Client]:
    http = TwilioHttpClient(timeout=30)
    client = Client(realtime_simulator.account_sid, realtime_simulator.auth_token, http_client=http)
    client.api.base_url = realtime_simulator.twilio_base_url
    yield client
    http.session.close()


def test_a_call_is_placed_rings_is_answered_and_ended(realtime_simulator: Simulator, sdk: Client) -> None:
    realtime_simulator.phones.add(PERSON, PhoneScript.talks_for_ever())
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml(), timeout=20, time_limit=600)
    assert (call.status, call.direction, call.to) == ("queued", "outbound-api", PERSON)
    assert call.sid.startswith("CA")
    realtime_simulator.clock.advance(1)
    assert sdk.calls(call.sid).fetch().status == "ringing"
    realtime_simulator.clock.advance(2)
    assert sdk.calls(call.sid).fetch().status == "in-progress"
    ended = sdk.calls(call.sid).update(status="completed")
    assert (ended.status, ended.duration) == ("completed", "1")
    assert ended.end_time >= ended.start_time >= ended.date_created
    assert len(realtime_simulator.log.rings(PERSON)) == 1


def test_the_account_can_be_fetched(realtime_simulator: Simulator, sdk: Client) -> None:
    account = sdk.api.accounts(realtime_simulator.account_sid).fetch()
    assert (account.sid, account.owner_account_sid) == (realtime_simulator.account_sid,) * 2
    assert (account.friendly_name, account.status, account.type) == ("Simulator", "active", "Full")
    assert account.date_created <= account.date_updated
    assert account.auth_token is None
    assert realtime_simulator.log.calls == []


def test_an_account_with_a_wrong_token_or_of_somebody_else_has_twilios_code(
    realtime_simulator: Simulator, sdk: Client
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk.api.accounts("AC" + "9" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    sdk.auth = (realtime_simulator.account_sid, "wrong")
    with pytest.raises(TwilioRestException) as caught:
        sdk.api.accounts(realtime_simulator.account_sid).fetch()
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_an_api_key_of_the_account_does_all_but_see_the_account(realtime_simulator: Simulator) -> None:
    http = TwilioHttpClient(timeout=30)
    by_key = Client(
        realtime_simulator.api_key_sid,
        realtime_simulator.api_key_secret,
        realtime_simulator.account_sid,
        http_client=http,
    )
    by_key.api.base_url = realtime_simulator.twilio_base_url
    call = by_key.calls.create(to=PERSON, from_=CALLER, twiml=twiml())
    assert by_key.calls(call.sid).fetch().account_sid == realtime_simulator.account_sid
    assert len(by_key.calls.list(limit=5)) == 1
    assert by_key.calls(call.sid).update(status="completed").sid == call.sid
    with pytest.raises(TwilioRestException) as caught:
        by_key.api.accounts(realtime_simulator.account_sid).fetch()
    assert (caught.value.status, caught.value.code) == (401, 20003)
    http.session.close()


def test_our_dialer_signs_in_with_an_api_key_as_the_sdk_does(realtime_simulator: Simulator) -> None:
    sent: list[tuple[str, str]] = []

    class Noting(TwilioHttpClient):
        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            auth = kwargs.get("auth") or next(each for each in args if isinstance(each, tuple))
            sent.append((url, httpx.BasicAuth(*auth)._auth_header))
            return super().request(method, url, *args, **kwargs)

    sid, secret, account = (
        realtime_simulator.api_key_sid,
        realtime_simulator.api_key_secret,
        realtime_simulator.account_sid,
    )
    http = Noting(timeout=30)
    sdk = Client(sid, secret, account, http_client=http)
    sdk.api.base_url = realtime_simulator.twilio_base_url
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml())
    sdk.calls(call.sid).fetch()
    http.session.close()
    ours: list[tuple[str, str]] = []

    def note(request: httpx.Request) -> httpx.Response:
        ours.append((str(request.url), request.headers["authorization"]))
        return httpx.Response(200, json={"sid": call.sid, "status": "queued"})

    settings = CarrierSettings(account=account, token=secret, api_key=sid, base_url=realtime_simulator.twilio_base_url)
    with TwilioDialer(settings, transport=httpx.MockTransport(note)) as dialer:
        dialer.send(dialer.place(DialRequest(PERSON, CALLER, "sip:proj@sip.api.openai.com", "c-1")))
        dialer.send(dialer.look(str(call.sid)))
    assert ours == sent
    with TwilioDialer(settings) as dialer:
        dialer.send(dialer.check())
        dialer.send(dialer.end(str(call.sid)))


def test_twiml_made_by_the_sdk_bridges_to_openai(realtime_simulator: Simulator, sdk: Client) -> None:
    response, dial = VoiceResponse(), Dial(answer_on_bridge=True, time_limit=60)
    address = f"sip:{realtime_simulator.project_id}@{realtime_simulator.sip_host};transport=tls?X-Correlation-Id=a%2Bb"
    dial.sip(address)
    response.append(dial)
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=str(response))
    realtime_simulator.clock.advance(3)
    assert realtime_simulator.log.of_kind("carrier.bridge_failed") == []
    assert realtime_simulator.log.call(carrier_sid=call.sid).call_id is not None


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (PhoneScript.busy(), "busy"),
        (PhoneScript.no_answer(), "no-answer"),
        (PhoneScript.declines(), "busy"),
        (PhoneScript.invalid(), "failed"),
    ],
)
def test_a_person_who_is_not_reached_has_twilios_status(
    realtime_simulator: Simulator, sdk: Client, script: PhoneScript, status: str
) -> None:
    realtime_simulator.phones.add(PERSON, script)
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml(), timeout=10)
    realtime_simulator.clock.advance(11)
    fetched = sdk.calls(call.sid).fetch()
    assert (fetched.status, fetched.duration) == (status, None)


def test_a_machine_that_answers_is_told_when_asked_for(realtime_simulator: Simulator, sdk: Client) -> None:
    realtime_simulator.phones.add(PERSON, PhoneScript.answers(answered_by="machine_start"))
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml(), machine_detection="Enable")
    realtime_simulator.clock.advance(3)
    assert sdk.calls(call.sid).fetch().answered_by == "machine_start"


def test_calls_are_listed_over_several_pages(realtime_simulator: Simulator, sdk: Client) -> None:
    sids = [sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml()).sid for _ in range(3)]
    sdk.calls.create(to=TARGET, from_=CALLER, twiml=twiml())
    assert [call.sid for call in sdk.calls.list(to=PERSON, page_size=2)] == sids[::-1]
    assert len(sdk.calls.list(status="queued")) == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [({"to": "0123"}, 21211), ({"from_": "Bob"}, 21212), ({"twiml": None}, 21205)],
)
def test_a_bad_order_has_twilios_code(sdk: Client, change: dict[str, str], code: int) -> None:
    order = {"to": PERSON, "from_": CALLER, "twiml": twiml(), **change}
    with pytest.raises(TwilioRestException) as caught:
        sdk.calls.create(**{name: value for name, value in order.items() if value is not None})
    assert (caught.value.status, caught.value.code) == (400, code)


def test_wrong_credentials_have_twilios_code(realtime_simulator: Simulator, sdk: Client) -> None:
    sdk.auth = (realtime_simulator.account_sid, "wrong")
    with pytest.raises(TwilioRestException) as caught:
        sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml())
    assert (caught.value.status, caught.value.code) == (401, 20003)
    assert realtime_simulator.log.calls == []


def test_a_call_that_is_unknown_or_over_cannot_be_ended(realtime_simulator: Simulator, sdk: Client) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk.calls("CA" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml())
    assert sdk.calls(call.sid).update(status="canceled").status == "canceled"
    with pytest.raises(TwilioRestException) as caught:
        sdk.calls(call.sid).update(status="completed")
    assert (caught.value.status, caught.value.code) == (400, 21220)


def test_a_hangup_at_openai_shows_at_twilio(realtime_simulator: Simulator, sdk: Client) -> None:
    realtime_simulator.phones.add(PERSON, PhoneScript.talks_for_ever())
    call = sdk.calls.create(to=PERSON, from_=CALLER, twiml=twiml())
    realtime_simulator.clock.advance(3)
    call_id = realtime_simulator.log.call(carrier_sid=call.sid).call_id or ""
    headers = {"authorization": f"Bearer {realtime_simulator.api_key}"}
    with httpx.Client(base_url=realtime_simulator.openai_base_url, headers=headers, trust_env=False) as openai:
        openai.post(f"/realtime/calls/{call_id}/accept", json=SESSION).raise_for_status()
        realtime_simulator.clock.advance(30)
        openai.post(f"/realtime/calls/{call_id}/hangup").raise_for_status()
    assert sdk.calls(call.sid).fetch().status == "completed"
