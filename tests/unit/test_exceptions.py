"""The tree of errors: what each carries, and whether a request may be sent again."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from airflow_openai_realtime import exceptions
from airflow_openai_realtime.exceptions import (
    CallError,
    ConversationSuperseded,
    DialError,
    InvalidInput,
    MoveRefused,
    OpenAIRealtimeError,
    OutcomeUnknown,
    PlacementUnknown,
    ServiceUnavailable,
    WebhookVerificationError,
)

ALL = [
    each
    for _, each in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(each, OpenAIRealtimeError) and each.__module__ == exceptions.__name__
]
NEEDED = {WebhookVerificationError: {"reason": "too_old"}, MoveRefused: {"code": "not_ringing"}}


def make(kind: type[OpenAIRealtimeError], **given: object) -> OpenAIRealtimeError:
    return kind("what happened", **{**NEEDED.get(kind, {}), **given})  # type: ignore[arg-type]


def drawn() -> dict[str, str]:
    """The tree at the top of the module: each class, and the one that it hangs on."""
    above, found = ["OpenAIRealtimeError"], dict[str, str]()
    for line in (exceptions.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*)[├└]── (\w+)", line)
        if match:
            level = len(match[1]) // 4
            found[match[2]] = above[level]
            above[level + 1 :] = [match[2]]
    return found


def test_the_tree_is_drawn_as_the_classes_are() -> None:
    assert drawn() == {each.__name__: each.__mro__[1].__name__ for each in ALL if each is not OpenAIRealtimeError}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_carries_a_message_a_call_a_status_and_whether_to_try_again(
    kind: type[OpenAIRealtimeError],
) -> None:
    error = make(kind)
    assert str(error) == "what happened"
    assert (error.call_id, error.status, error.safe_to_retry) == (None, None, kind.safe_to_retry)
    for name, value in (("call_id", "rtc_1"), ("status", 503)):
        if name in inspect.signature(kind).parameters:
            assert getattr(make(kind, **{name: value}), name) == value


def test_only_what_never_reached_the_other_side_is_safe_to_repeat() -> None:
    assert {each.__name__ for each in ALL if each.safe_to_retry} == {
        "ServiceUnavailable",
        "SwitchboardUnreachable",
        "StoreUnavailable",
        "LinesUnavailable",
        "TooManyLookups",
        "CarrierUnavailable",
    }


@pytest.mark.parametrize("kind", [ServiceUnavailable, OutcomeUnknown, CallError, DialError, PlacementUnknown])
@pytest.mark.parametrize("safe", [True, False])
def test_one_error_may_be_safer_than_its_class(kind: type[OpenAIRealtimeError], safe: bool) -> None:
    before = kind.safe_to_retry
    assert make(kind, safe_to_retry=safe).safe_to_retry is safe
    assert kind.safe_to_retry is before


def test_only_an_unknown_outcome_may_have_happened() -> None:
    assert [each.__name__ for each in ALL if getattr(each, "may_have_happened", False)] == ["OutcomeUnknown"]


def test_a_wrong_value_is_a_value_error_and_names_its_field() -> None:
    error = InvalidInput("must be a number", field="audio.output.speed")
    assert isinstance(error, ValueError)
    assert error.field == "audio.output.speed"


@pytest.mark.parametrize(("code", "found"), [({}, "superseded"), ({"code": "finished"}, "finished")])
def test_who_may_not_go_on_with_a_conversation_learns_why(code: dict[str, str], found: str) -> None:
    assert ConversationSuperseded("no", **code).code == found


def test_an_error_from_a_carrier_and_from_openai_has_the_code_of_their_own() -> None:
    assert DialError("no", code="21211", status=400).code == "21211"
    error = CallError("no", code="call_id_not_found", request_id="req_1", status=404)
    assert (error.code, error.request_id, error.status) == ("call_id_not_found", "req_1", 404)


def test_an_error_can_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ServiceUnavailable("503", call_id="rtc_1", status=503)))
    assert (type(error), str(error), error.call_id, error.status) == (ServiceUnavailable, "503", "rtc_1", 503)
