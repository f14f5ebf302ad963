from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout
from airflow_world import FakeRun, FakeTask, World, context, run_task

from airflow_openai_realtime.exceptions import (
    CarrierRefused,
    CarrierUnavailable,
    ConfigurationError,
    InvalidInput,
    InvalidPhoneNumber,
    NumberRefused,
    PlacementUnknown,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.outbound.carriers.port import DialRequest
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer
from airflow_openai_realtime.outbound.placing import Placing, unknown_placement
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    list_attempts,
    list_calls,
    move_attempt,
    reserve_attempt,
)
from airflow_openai_realtime.testing.local_airflow import CARRIER_CONN_ID

PHONE = "+14155550142"


def placing(**kwargs: object) -> PlaceCallOperator:
    return PlaceCallOperator(task_id="place", **{"to": PHONE, "campaign": "reminders", "contact": "ann", **kwargs})


def attempt_in(world: World, number: int = 1) -> object:
    with world.client() as client:
        return next(row for row in client.send(list_attempts("reminders")) if row.attempt == number)


def test_the_phone_rings_and_the_result_names_attempt_and_call(world: World) -> None:
    result = run_task(placing())
    row = attempt_in(world)
    assert set(result) == {
        "attempt_id",
        "campaign",
        "contact",
        "attempt",
        "correlation_id",
        "carrier_call_id",
        "carrier_conn_id",
        "to_masked",
        "status",
        "placed_at",
    }
    assert (result["status"], result["to_masked"], result["carrier_conn_id"]) == (
        "placed",
        "+1***0142",
        CARRIER_CONN_ID,
    )
    assert (row.state, row.carrier_call_id) == ("placed", result["carrier_call_id"])
    assert world.simulator.wait_for(lambda: world.count("phone.ringing") == 1)
    assert json.loads(json.dumps(result)) == result


def test_the_answered_call_comes_in_with_the_correlation_header(world: World) -> None:
    result = run_task(placing())

    def came_in() -> bool:
        with world.client() as client:
            return any(
                call.header("x-correlation-id") == result["correlation_id"]
                for call in client.send(list_calls(state="all")).calls
            )

    assert world.simulator.wait_for(came_in)


def test_the_order_has_a_limit_longer_than_the_accepts_and_the_connections_refer_url(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[DialRequest] = []
    place = TwilioDialer.place
    monkeypatch.setattr(TwilioDialer, "place", lambda self, request: ordered.append(request) or place(self, request))
    settings = replace(TelephonyCarrierHook().settings(), refer_url="https://example.com/refer")
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: settings)
    run_task(placing())
    (request,) = ordered
    assert request.refer_url == "https://example.com/refer"
    assert request.max_duration_seconds == 900
    longest_wait_for_the_accept = 60
    accept = AcceptCallOperator(task_id="accept", call_id="rtc_1")
    assert request.max_duration_seconds > accept.max_duration_seconds + longest_wait_for_the_accept


def test_a_retried_or_cleared_task_does_not_ring_again(world: World) -> None:
    first = run_task(placing())
    again = run_task(placing())
    assert again == {**first, "status": "already_placed"}
    assert len(world.simulator.log.calls) == 1


def test_another_run_of_the_same_campaign_does_not_ring_again(world: World) -> None:
    run_task(placing(), context(run=FakeRun()))
    run_task(placing(), context(run=FakeRun("scheduled")))
    assert len(world.simulator.log.calls) == 1


def test_the_next_attempt_rings_again(world: World) -> None:
    run_task(placing())
    assert run_task(placing(attempt="2"))["status"] == "placed"
    assert len(world.simulator.log.calls) == 2


def test_the_number_is_the_contact_when_none_is_given(world: World) -> None:
    run_task(placing(contact=None))
    assert run_task(placing(contact=PHONE))["status"] == "already_placed"


LONDON, LONDON_WITH_ZERO = "+442071838750", "+4402071838750"


def test_one_phone_in_two_spellings_rings_once(world: World) -> None:
    first = run_task(placing(to=LONDON, contact=None))
    again = run_task(placing(to=LONDON_WITH_ZERO, contact=None))
    named = run_task(placing(to=LONDON, contact=LONDON_WITH_ZERO))
    assert [each["status"] for each in (first, again, named)] == ["placed", "already_placed", "already_placed"]
    assert {each["contact"] for each in (first, again, named)} == {"+4***8750"}
    assert [record.to_number for record in world.simulator.log.calls] == [LONDON]


def test_a_number_corrected_before_anything_was_dialed_is_the_one_that_rings(world: World) -> None:
    world.simulator.faults.status("place", 429)
    with pytest.raises(CarrierRefused):
        run_task(placing(to="+14155550143"))
    run_task(placing(to=PHONE))
    assert attempt_in(world).to_number == PHONE
    assert [record.to_number for record in world.simulator.log.calls] == [PHONE]


@pytest.mark.parametrize("fault", ["reset", "time_out"])
def test_without_a_clear_answer_nothing_rings_again(world: World, fault: str) -> None:
    getattr(world.simulator.faults, fault)("place", carried_out=True)
    operator = placing()
    settings = TelephonyCarrierHook().settings()
    object.__setattr__(settings, "timeout_seconds", 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TelephonyCarrierHook, "settings", lambda _: settings)
        with pytest.raises(PlacementUnknown):
            run_task(operator)
    assert attempt_in(world).state == "unknown"
    with pytest.raises(PlacementUnknown, match="this contact alone"):
        run_task(placing())
    assert len(world.simulator.log.calls) == 1


def test_a_carrier_that_cannot_be_reached_leaves_the_attempt_to_a_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = TelephonyCarrierHook().settings()
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: replace(good, base_url="http://127.0.0.1:9"))
    with pytest.raises(CarrierUnavailable):
        run_task(placing())
    assert attempt_in(world).state == "reserved"
    monkeypatch.undo()
    world.connect()
    assert run_task(placing())["status"] == "placed"


def test_a_number_that_cannot_be_rung_ends_the_attempt_and_a_retry_says_so_without_asking_again(world: World) -> None:
    world.simulator.faults.status("place", 400, code=21211)
    with pytest.raises(NumberRefused):
        run_task(placing())
    row = attempt_in(world)
    assert (row.state, row.outcome) == ("ended", "failed")
    with pytest.raises(NumberRefused, match="Correct the number") as again:
        run_task(placing())
    assert "attempt number" not in str(again.value)
    assert not world.simulator.log.calls


def test_a_refused_number_that_was_corrected_rings_when_the_task_is_cleared(world: World) -> None:
    world.simulator.faults.status("place", 400, code=21217)
    with pytest.raises(CarrierRefused):
        run_task(placing(to="+14155550143"))
    assert run_task(placing(to=PHONE))["status"] == "placed"
    row = attempt_in(world)
    assert (row.state, row.outcome, row.detail, row.to_number) == ("placed", None, None, PHONE)
    assert run_task(placing(to="+14155550144"))["status"] == "already_placed"
    assert [record.to_number for record in world.simulator.log.calls] == [PHONE]


#: What the carrier may say that is not about the number: status and Twilio's code.
ABOUT_THE_ACCOUNT = [(401, 20003), (403, 20003), (400, 21210), (400, 21215), (400, 20005), (400, 10004), (400, 99999)]
CONTACTS = ["+14155550151", "+14155550152", "+14155550153"]


def dialed_once_each(world: World) -> bool:
    """Wait until every contact was dialed; then whether each was dialed once. The carrier starts one call a second."""
    log = world.simulator.log
    assert world.simulator.wait_for(lambda: all(log.dials(number) for number in CONTACTS))
    return [len(log.dials(number)) for number in CONTACTS] == [1] * len(CONTACTS)


def run_campaign() -> list[str]:
    """Run a mapped task over all contacts, each on its own, as Airflow does."""
    states = []
    for number in CONTACTS:
        try:
            states.append(run_task(placing(to=number, contact=None))["status"])
        except CarrierRefused:
            states.append("failed")
    return states


@pytest.mark.parametrize(("status", "code"), ABOUT_THE_ACCOUNT)
def test_a_campaign_that_lost_its_account_rings_when_cleared_exactly_those_not_rung(
    world: World, status: int, code: int
) -> None:
    world.simulator.faults.status("place", status, code=code, number=CONTACTS[1], times=2)
    assert run_campaign() == ["placed", "failed", "placed"]
    assert run_campaign() == ["already_placed", "failed", "already_placed"]
    assert run_campaign() == ["already_placed", "placed", "already_placed"]
    assert dialed_once_each(world)


def test_a_wrong_token_in_mid_campaign_leaves_every_attempt_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = TelephonyCarrierHook().settings()
    run_task(placing(to=CONTACTS[0], contact=None))
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: replace(good, token="revoked"))
    assert run_campaign() == ["already_placed", "failed", "failed"]
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: good)
    assert run_campaign() == ["already_placed", "placed", "placed"]
    assert dialed_once_each(world)


def test_an_api_key_of_the_account_rings_phones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = world.simulator
    by_key = replace(TelephonyCarrierHook().settings(), api_key=simulator.api_key_sid, token=simulator.api_key_secret)
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: by_key)
    assert run_task(placing())["status"] == "placed"
    assert len(simulator.log.calls) == 1


def test_a_rate_limit_leaves_the_attempt_to_a_retry(world: World) -> None:
    world.simulator.faults.status("place", 429)
    with pytest.raises(CarrierRefused):
        run_task(placing())
    assert run_task(placing())["status"] == "placed"


def test_killed_while_the_carrier_is_asked_nothing_rings_again(world: World) -> None:
    class DyingDialer:
        def place(self, request: DialRequest) -> DialRequest:
            return request

        def send(self, request: DialRequest) -> None:
            raise AirflowTaskTimeout("killed")

    with world.client() as client:
        reserved = client.send(reserve_attempt("reminders", "ann", 1, PHONE))
        request = DialRequest(PHONE, "+14155550100", "sip:proj@sip.api.openai.com", reserved.correlation_id)
        with pytest.raises(AirflowTaskTimeout):
            Placing(client, DyingDialer(), print).place(reserved, request)  # type: ignore[arg-type]
    assert attempt_in(world).state == "unknown"
    with pytest.raises(PlacementUnknown):
        run_task(placing())


def test_what_is_not_certain_names_number_and_time_to_look_for_and_says_it_once(world: World) -> None:
    detail = (
        "PlacementUnknown: no answer came. The phone may be ringing: look at Twilio's call log before dialling again"
    )
    with world.client() as client:
        row = client.send(reserve_attempt("reminders", "ann", 1, PHONE))
        dialing = client.send(move_attempt(row.attempt_id, "reserved", "dialing"))
        unknown = client.send(move_attempt(row.attempt_id, "dialing", "unknown", detail=detail))
    made, moved = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (unknown.created_at, unknown.updated_at))
    with pytest.raises(PlacementUnknown) as caught:
        run_task(placing())
    said = str(caught.value)
    assert f"a call to +1***0142 between {made} and {moved} UTC" in said
    assert "is 'unknown' (no answer came): the phone may have rung" in said
    assert row.correlation_id in said
    assert not [repeated for repeated in ("PlacementUnknown", "may be ringing", "dialling again") if repeated in said]
    assert PHONE not in said
    said = str(unknown_placement(dialing))
    assert f"a call to +1***0142 soon after {dialing.updated_at:%Y-%m-%d %H:%M:%S} UTC" in said


def test_two_tasks_at_once_ring_once(world: World) -> None:
    with world.client() as one, world.client() as other:
        mine = one.send(reserve_attempt("reminders", "ann", 1, PHONE))
        theirs = other.send(reserve_attempt("reminders", "ann", 1, PHONE))
        request = DialRequest(PHONE, "+14155550100", TelephonyCarrierHook().settings().sip_uri, mine.correlation_id)
        with TelephonyCarrierHook().dialer() as dialer:
            assert Placing(one, dialer, print).place(mine, request).status == "placed"
            assert Placing(other, dialer, print).place(theirs, request).status == "already_placed"
    assert len(world.simulator.log.calls) == 1


def test_while_another_task_is_dialling_this_one_does_not(world: World) -> None:
    with world.client() as client:
        row = client.send(reserve_attempt("reminders", "ann", 1, PHONE))
        client.send(move_attempt(row.attempt_id, "reserved", "dialing"))
    with pytest.raises(PlacementUnknown, match="'dialing'"):
        run_task(placing())
    assert not world.simulator.log.calls


def test_nothing_is_dialled_when_the_ledger_cannot_be_reached(world: World) -> None:
    world.connect(switchboard_url="http://127.0.0.1:9")
    with pytest.raises(SwitchboardUnreachable):
        run_task(placing())
    assert not world.simulator.log.calls


def test_a_backfill_rings_nobody_unless_told_to(world: World) -> None:
    backfill = context(run=FakeRun("backfill"))
    with pytest.raises(AirflowSkipException, match="dial_in_backfill=True"):
        run_task(placing(), backfill)
    assert not world.simulator.log.calls
    assert run_task(placing(dial_in_backfill=True), backfill)["status"] == "placed"


def test_a_scheduled_run_that_is_late_rings_nobody_unless_told_to(world: World) -> None:
    late = context(run=FakeRun("scheduled", datetime.now(timezone.utc) - timedelta(hours=2)))
    with pytest.raises(AirflowSkipException, match="max_lateness_seconds"):
        run_task(placing(), late)
    with world.client() as client:
        assert client.send(list_attempts("reminders")) == []
    assert run_task(placing(max_lateness_seconds=None), late)["status"] == "placed"


def test_a_late_run_returns_what_was_placed_in_time(world: World) -> None:
    first = run_task(placing())
    late = context(run=FakeRun("scheduled", datetime.now(timezone.utc) - timedelta(hours=2)))
    assert run_task(placing(), late) == {**first, "status": "already_placed"}


def in_run(run_after: datetime, *, started_after_seconds: float, run_id: str = "nine") -> dict[str, object]:
    """The context of a task of a scheduled run that started, as Airflow knows now, so long after its time."""
    run = FakeRun("scheduled", run_after, run_after + timedelta(seconds=started_after_seconds))
    return context(FakeTask(run_id=run_id), run)


def ago(**kwargs: float) -> datetime:
    """The time so long ago."""
    return datetime.now(timezone.utc) - timedelta(**kwargs)


@pytest.mark.parametrize("seconds", [301, 40 * 60, 59 * 60, 24 * 3600])
def test_unpausing_a_campaign_after_its_time_rings_nobody(world: World, seconds: float) -> None:
    with pytest.raises(AirflowSkipException, match="unpaused"):
        run_task(placing(), in_run(ago(seconds=seconds), started_after_seconds=seconds))
    assert not world.simulator.log.calls


def test_a_paced_campaign_rings_whom_it_gets_to_hours_after_its_start(world: World) -> None:
    run = in_run(ago(hours=5), started_after_seconds=4)
    assert run_task(placing(), run)["status"] == "placed"
    assert run_task(placing(contact="bob"), run)["status"] == "placed"


def test_a_run_that_was_in_time_rings_those_not_rung_when_it_is_cleared_hours_later(world: World) -> None:
    nine = ago(hours=4)
    world.simulator.faults.status("place", 401)
    with pytest.raises(CarrierRefused):
        run_task(placing(), in_run(nine, started_after_seconds=4))
    # Airflow forgets when the run first started: the clear starts it anew.
    cleared = in_run(nine, started_after_seconds=4 * 3600)
    assert run_task(placing(), cleared)["status"] == "placed"
    assert run_task(placing(contact="bob", to="+14155550143"), cleared)["status"] == "placed"
    assert len(world.simulator.log.calls) == 2


def test_a_run_that_was_late_rings_nobody_when_it_is_cleared(world: World) -> None:
    for started in (3600, 7200, 5):
        with pytest.raises(AirflowSkipException):
            run_task(placing(), in_run(ago(hours=2), started_after_seconds=started))
    assert not world.simulator.log.calls


def test_a_cleared_run_of_which_nothing_is_known_rings_nobody(world: World) -> None:
    run_task(placing(), in_run(ago(hours=2), started_after_seconds=4, run_id="another"))
    with pytest.raises(AirflowSkipException):
        run_task(placing(contact="bob"), in_run(ago(hours=2), started_after_seconds=7200))


def test_a_run_started_by_hand_is_never_late(world: World) -> None:
    old = context(run=FakeRun("manual", datetime.now(timezone.utc) - timedelta(days=2)))
    assert run_task(placing(), old)["status"] == "placed"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"to": "4155550142"}, "to"),
        ({"to": ""}, "to"),
        ({"from_number": "anonymous"}, "from_number"),
        ({"campaign": " "}, "campaign"),
        ({"contact": ""}, "contact"),
        ({"attempt": 0}, "attempt"),
        ({"attempt": 1.5}, "attempt"),
        ({"ring_seconds": 0}, "ring_seconds"),
        ({"ring_seconds": 601}, "ring_seconds"),
        ({"max_duration_seconds": 3601}, "max_duration_seconds"),
        ({"max_lateness_seconds": -1}, "max_lateness_seconds"),
    ],
)
def test_values_that_need_no_rendering_are_refused_when_the_dag_is_parsed(given: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        placing(**given)
    assert error.value.field == field


def test_templates_wait_for_the_task() -> None:
    placing(to="{{ params.to }}", contact="{{ params.contact }}", attempt="{{ params.attempt }}")


def test_a_rendered_number_is_checked_before_anything_is_written(world: World) -> None:
    operator = placing(to="{{ params.to }}")
    operator.to = "+1415555"
    with pytest.raises(InvalidPhoneNumber):
        run_task(operator)
    with world.client() as client:
        assert client.send(list_attempts("reminders")) == []


@pytest.mark.parametrize("missing", ["caller_number", "openai_project_id"])
def test_a_missing_field_of_the_carrier_is_named_before_anything_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    settings = replace(TelephonyCarrierHook().settings(), **{missing: None})
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: settings)
    with pytest.raises(ConfigurationError, match=rf"{CARRIER_CONN_ID}.*{missing}"):
        run_task(placing())
    with world.client() as client:
        assert client.send(list_attempts("reminders")) == []


@pytest.mark.parametrize("number", ["+44 20 7183 8750", "4155550100", "+1415"])
def test_a_caller_number_that_is_none_is_told_with_its_connection_before_anything_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    settings = replace(TelephonyCarrierHook().settings(), caller_number=number)
    monkeypatch.setattr(TelephonyCarrierHook, "settings", lambda _: settings)
    with pytest.raises(ConfigurationError, match=rf"{CARRIER_CONN_ID}.*caller_number"):
        run_task(placing())
    with world.client() as client:
        assert client.send(list_attempts("reminders")) == []


def test_the_log_holds_neither_number_nor_token(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    operator = placing()
    run_task(operator)
    seen = "".join(capsys.readouterr()) + repr(operator)
    assert not [text for text in (*world.secrets, PHONE) if text in seen]
