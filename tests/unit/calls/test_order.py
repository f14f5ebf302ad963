"""Which standing order answers a call, and which orders are refused from the start."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import (
    OrderAnswer,
    OrderDraft,
    StandingOrder,
    check_order_name,
    choose,
    order_of_owner,
    owner_of_order,
)
from airflow_openai_realtime.exceptions import InvalidInput, InvalidSession

CALL = SwitchboardCall(
    "rtc_1",
    "support",
    "ringing",
    START,
    START + timedelta(seconds=60),
    from_number="+14155550123",
    to_number="+14155550199",
    headers={"x-order-id": "1234"},
)


def order(name: str = "day", **changes: Any) -> StandingOrder:
    fields: dict[str, Any] = {"action": "accept", "revision": name, "created_at": START, "updated_at": START}
    return StandingOrder(name, **{**fields, **changes})


def chosen(*orders: StandingOrder, call: SwitchboardCall = CALL, after_seconds: float = 0) -> str | None:
    found = choose(orders, call, START + timedelta(seconds=after_seconds))
    return found.name if found else None


def test_without_an_order_nothing_answers() -> None:
    assert chosen() is None


def test_an_order_without_conditions_answers_every_call() -> None:
    assert chosen(order()) == "day"


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (CallMatch(to="+14155550199"), True),
        (CallMatch(to="+1800*"), False),
        (CallMatch(from_number="+1415*", headers={"X-Order-Id": "12*"}), True),
        (CallMatch(headers={"X-Order-Id": "9*"}), False),
    ],
)
def test_an_order_answers_only_calls_that_match(match: CallMatch, fits: bool) -> None:
    assert (chosen(order(match=match)) == "day") is fits


def test_a_call_that_was_placed_for_somebody_is_not_answered_by_a_general_order() -> None:
    placed = replace(CALL, headers={"x-correlation-id": "c1"})
    assert chosen(order(), call=placed) is None
    assert chosen(order(match=CallMatch(headers={"X-Correlation-Id": "c*"})), call=placed) == "day"


def test_the_highest_priority_goes_first_then_the_oldest() -> None:
    young = order("young", created_at=START + timedelta(seconds=1))
    assert chosen(young, order("old")) == "old"
    assert chosen(replace(young, priority=1), order("old")) == "young"
    assert chosen(order("b"), order("a")) == "a"
    assert chosen(order("below", priority=-1), young) == "young"


def test_an_order_without_uses_left_answers_nothing() -> None:
    assert chosen(order(uses=1, uses_left=1)) == "day"
    assert chosen(order(uses=1, uses_left=0)) is None
    assert chosen(order("first", priority=9, uses=1, uses_left=0), order("second")) == "second"


def test_an_order_answers_until_it_expires() -> None:
    until = order(expires_at=START + timedelta(seconds=10))
    assert chosen(until, after_seconds=9.99) == "day"
    assert chosen(until, after_seconds=10) is None


def test_a_fallback_waits_its_time() -> None:
    fallback = order("fallback", unclaimed_after_seconds=8.0, priority=100)
    assert chosen(fallback, after_seconds=7.9) is None
    assert chosen(fallback, after_seconds=8) == "fallback"
    assert chosen(fallback, order("at_once"), after_seconds=1) == "at_once"


def test_an_order_travels_as_json_without_losing_anything() -> None:
    full = order(
        match=CallMatch(to="+1*"),
        max_duration_seconds=60.0,
        priority=3,
        uses=5,
        uses_left=4,
        expires_at=START,
        unclaimed_after_seconds=2.5,
    )
    assert StandingOrder.from_dict({**full.to_dict(), "added_later": 1}) == full
    with pytest.raises(InvalidInput):
        StandingOrder.from_dict({"name": "day"})


def test_owner_and_order_name_each_other() -> None:
    assert order_of_owner(owner_of_order("day")) == "day"
    assert order_of_owner("dag/run/task/-1") is None
    assert order_of_owner(None) is None


@pytest.mark.parametrize("name", ["day", "a.b-c_9", "x" * 100])
def test_names_that_can_be_used(name: str) -> None:
    assert check_order_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "day\n", "..", "x" * 101, None, 1])
def test_names_that_cannot_be_used(name: object) -> None:
    with pytest.raises(InvalidInput, match="name must be"):
        check_order_name(name)


def draft(**changes: Any) -> OrderDraft:
    fields: dict[str, Any] = {"match": CallMatch(), "action": "accept", "edition": "e", "max_duration_seconds": 600.0}
    return OrderDraft("day", **{**fields, **changes})


def test_the_session_of_a_draft_is_checked_and_kept_in_one_form() -> None:
    checked = draft(answer=OrderAnswer({"instructions": "Hi", "extra_fields": {"new": 1}}, "Say hello")).check()
    assert checked.answer.session == {"type": "realtime", "instructions": "Hi", "extra_fields": {"new": 1}}
    assert checked.check() == checked
    assert checked.answer.parsed().to_body()["new"] == 1
    assert checked.answer.greeting == "Say hello"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": OrderAnswer({"instrctions": "Hi"})}, "instrctions"),
        ({"max_duration_seconds": None}, "max_duration_seconds"),
        ({"max_duration_seconds": 3601.0}, "max_duration_seconds"),
        ({"status_code": 486}, "status_code"),
        ({"answer": OrderAnswer({}, None, {"who": "from_number"})}, "caller_fields"),
        ({"answer": OrderAnswer({"instructions": "{who}"}, None, {"who": "everything"})}, "caller_fields.who"),
        ({"answer": OrderAnswer({"instructions": "{what}"}, None, {"who": "from_number"})}, "instructions"),
    ],
)
def test_an_order_that_could_not_be_carried_out_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        draft(**changes).check()
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": OrderAnswer({"instructions": "Hi"})}, "session"),
        ({"answer": OrderAnswer({}, "Say hello")}, "greeting"),
        ({"max_duration_seconds": 60.0}, "max_duration_seconds"),
        ({"status_code": None}, "status_code"),
        ({"status_code": 200}, "status_code"),
    ],
)
def test_an_order_that_declines_has_nothing_to_say(changes: dict[str, Any], field: str) -> None:
    declining: dict[str, Any] = {"action": "reject", "status_code": 486, "max_duration_seconds": None}
    draft(**declining).check()
    with pytest.raises(InvalidInput) as refused:
        draft(**{**declining, **changes}).check()
    assert refused.value.field == field


def test_no_secret_shows_in_a_representation_or_an_error() -> None:
    tool = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example/mcp", "authorization": "tok-1"}
    wanted = draft(answer=OrderAnswer({"tools": [tool], "instructions": "Mention Ada"}, "Greet Ada"))
    assert "tok-1" not in repr(wanted)
    assert "Ada" not in repr(wanted)
    with pytest.raises(InvalidSession) as refused:
        draft(answer=OrderAnswer({"tools": [{**tool, "server_labl": "x"}]})).check()
    assert "tok-1" not in str(refused.value)


def test_fields_of_the_caller_come_framed_into_the_instructions() -> None:
    answer = OrderAnswer({"instructions": "Order {id}."}, None, {"id": "headers.X-Order-Id"})
    session = answer.session_for(answer.parsed(), CALL)
    assert isinstance(session, dict)
    assert 'Order [caller data: "1234"].' in session["instructions"]
    plain = OrderAnswer({"instructions": "Order {id}."})
    parsed = plain.parsed()
    assert plain.session_for(parsed, CALL) is parsed
