"""What a task dials: its parameters are checked as literals, and read when they are rendered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput, InvalidPhoneNumber
from airflow_openai_realtime.operators.dialing import (
    CARRIER_MARGIN_SECONDS,
    LONGEST_RING_SECONDS,
    PlaceParameters,
    check_number_shape,
)
from airflow_openai_realtime.outbound.carriers.port import CarrierSettings

PHONE = "+14155550142"
GIVEN = PlaceParameters(
    to=PHONE,
    campaign="spring",
    contact=None,
    attempt=1,
    from_number=None,
    ring_seconds=30,
    max_duration_seconds=900,
    wait_for_end=False,
    telephony_carrier_conn_id="carrier",
)
ACCOUNT = CarrierSettings(
    account="AC1",
    token="token-1",
    caller_number="+14155550100",
    openai_project_id="proj_1",
    refer_url="https://example.com/refer",
)
TEMPLATE = "{{ params.x }}"


def test_a_contact_that_is_not_named_is_the_number() -> None:
    assert GIVEN.ledger_key() == ("spring", PHONE, 1)


def test_a_contact_that_is_a_number_has_one_spelling_and_any_other_is_taken_as_it_is() -> None:
    assert replace(GIVEN, contact="+4402079460018").ledger_key() == ("spring", "+442079460018", 1)
    assert replace(GIVEN, contact=" ann ").ledger_key() == ("spring", "ann", 1)


def test_the_order_says_whom_to_ring_and_where_the_answered_call_goes() -> None:
    order = replace(GIVEN, attempt="2", contact="ann", ring_seconds="45").order(ACCOUNT)
    assert (order.campaign, order.contact, order.attempt) == ("spring", "ann", 2)
    request = order.request
    assert (request.to, request.from_number) == (PHONE, ACCOUNT.caller_number)
    assert (request.sip_uri, request.refer_url) == (ACCOUNT.sip_uri, ACCOUNT.refer_url)
    assert (request.ring_seconds, request.max_duration_seconds) == (45, 900)


def test_the_tasks_own_caller_number_wins() -> None:
    assert replace(GIVEN, from_number="+14155550101").order(ACCOUNT).request.from_number == "+14155550101"


def test_a_task_that_stays_with_the_call_ends_it_before_the_carrier_does() -> None:
    assert replace(GIVEN, wait_for_end=True).order(ACCOUNT).request.max_duration_seconds == 900 + CARRIER_MARGIN_SECONDS


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ({"caller_number": None}, "caller_number is missing"),
        ({"caller_number": "0415 5550100"}, "caller_number"),
        ({"openai_project_id": None}, "openai_project_id is missing"),
    ],
)
def test_what_the_carriers_connection_lacks_is_said_with_its_name(account: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"connection carrier: .*{said}"):
        GIVEN.order(replace(ACCOUNT, **account))


UNUSABLE = [
    ("campaign", " "),
    ("campaign", 7),
    ("contact", ""),
    ("attempt", 0),
    ("attempt", "1.5"),
    ("ring_seconds", 0),
    ("ring_seconds", LONGEST_RING_SECONDS + 1),
    ("max_duration_seconds", 0),
    ("max_duration_seconds", 3601),
]


@pytest.mark.parametrize(("field", "value"), UNUSABLE)
def test_what_cannot_be_used_is_refused_as_a_literal_and_when_it_is_rendered(field: str, value: Any) -> None:
    given = replace(GIVEN, **{field: value})
    for read in (lambda: given.check_literals(None), lambda: given.order(ACCOUNT)):
        with pytest.raises(InvalidInput) as refused:
            read()
        assert refused.value.field == field


@pytest.mark.parametrize("field", ["to", "campaign", "contact", "attempt", "from_number", "ring_seconds"])
def test_a_template_waits_for_its_value(field: str) -> None:
    replace(GIVEN, **{field: TEMPLATE}).check_literals(None)


@pytest.mark.parametrize("field", ["to", "from_number"])
def test_numbers_are_judged_by_their_shape_while_the_dag_is_parsed(field: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        replace(GIVEN, **{field: "4155550142"}).check_literals(None)
    assert refused.value.field == field
    # Whether a country has such numbers is asked when the task runs.
    replace(GIVEN, **{field: "+999999999"}).check_literals(None)


@pytest.mark.parametrize(
    "value", ["+123456", "+1234567890123456", "+1 415 555 0142", "+١٤١٥٥٥٥٠١٤٢", "", None, 4155550142]
)
def test_the_shape_of_a_number_is_a_plus_and_seven_to_fifteen_digits(value: Any) -> None:
    with pytest.raises(InvalidPhoneNumber, match=r"is not E\.164"):
        check_number_shape(value, "to")


@pytest.mark.parametrize("value", ["+1234567", "+123456789012345"])
def test_the_shortest_and_the_longest_number_have_the_shape(value: str) -> None:
    check_number_shape(value, "to")


def test_a_number_without_the_shape_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        check_number_shape("14155550142", "to")
    assert "14155550142" not in str(refused.value)


@pytest.mark.parametrize("lateness", [0, 300.0, None])
def test_lateness_may_be_none_or_any_time(lateness: float | None) -> None:
    GIVEN.check_literals(lateness)


@pytest.mark.parametrize("lateness", [-1, "soon"])
def test_lateness_below_nothing_is_refused(lateness: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        GIVEN.check_literals(lateness)
    assert refused.value.field == "max_lateness_seconds"
