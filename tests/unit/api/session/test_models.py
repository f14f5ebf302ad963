"""The base of the session's objects, and which models OpenAI has shut down."""

from __future__ import annotations

import warnings
from datetime import date
from typing import Any, ClassVar

import pytest

from airflow_openai_realtime.api.session import models
from airflow_openai_realtime.api.session.models import (
    DEFAULT_MODEL,
    ENDED_FIELDS,
    MODELS,
    REASONING_MODELS,
    SHUTDOWNS,
    TRANSCRIPTION_MODELS,
    DeprecatedModelWarning,
    Float,
    Int,
    JsonObject,
    NonEmpty,
    SessionPart,
    is_shut_down,
    warn_of_shutdown,
)
from airflow_openai_realtime.exceptions import InvalidSession

END = SHUTDOWNS["gpt-realtime"][0]


class Inner(SessionPart):
    size: Int | None = None


class Part(SessionPart):
    """A part as the session has them."""

    nullable: ClassVar[frozenset[str]] = frozenset({"inner"})

    type: str | None = None
    name: NonEmpty | None = None
    share: Float | None = None
    schema_: JsonObject | None = None
    inner: Inner | None = None
    parts: list[Inner] | None = None


def warned(model: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_shutdown(model)
    assert all(each.category is DeprecatedModelWarning for each in caught)
    return [str(each.message) for each in caught]


# -- shutdowns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("today", "is_over"), [("2027-01-19", False), (END, True), ("2030-01-01", True)])
def test_a_model_is_shut_down_from_its_day_on(monkeypatch: pytest.MonkeyPatch, today: str, is_over: bool) -> None:
    monkeypatch.setattr(models, "today", lambda: today)
    assert is_shut_down("gpt-realtime") is is_over
    assert (warned("gpt-realtime") == []) is is_over


@pytest.mark.parametrize("model", [DEFAULT_MODEL, "my-deployment", None, 7, ["gpt-realtime"]])
def test_a_model_without_an_announced_end_goes_on_without_a_warning(model: object) -> None:
    assert not is_shut_down(model)
    assert warned(model) == []


def test_a_warning_names_the_day_and_what_to_use() -> None:
    assert warned("whisper-1") == [
        f"OpenAI shuts model whisper-1 down on {SHUTDOWNS['whisper-1'][0]}: use gpt-transcribe or gpt-live-transcribe"
    ]


def test_every_day_is_one_and_every_replacement_outlives_what_it_replaces() -> None:
    for day, advice in SHUTDOWNS.values():
        assert date.fromisoformat(day).isoformat() == day
        names = [word for word in advice.split() if word != "or"]
        assert names
        assert not set(names) & set(SHUTDOWNS)
        assert set(names) <= {*MODELS, *TRANSCRIPTION_MODELS}
    assert all(date.fromisoformat(day) for day, _ in ENDED_FIELDS.values())


def test_the_model_of_a_session_that_names_none_reasons_and_has_no_end() -> None:
    assert DEFAULT_MODEL in MODELS
    assert DEFAULT_MODEL in REASONING_MODELS
    assert DEFAULT_MODEL not in SHUTDOWNS


# -- parts ---------------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_is_told_in_one_error_with_its_path() -> None:
    with pytest.raises(InvalidSession) as refused:
        Part(name="", share=float("nan"), inner={"size": True}, parts=[{"size": 1}, {"sise": 2}])
    text = str(refused.value)
    assert "4 problems" in text
    for path in ("name:", "share:", "inner.size: must be a number, not true or false", "parts.1.sise: unknown field"):
        assert path in text


def test_none_is_not_given_unless_it_turns_something_off() -> None:
    assert Part(name=None, inner=None).model_dump(exclude_unset=True) == {"inner": None}


def test_a_type_counts_as_given_and_an_absent_one_does_not() -> None:
    class Typed(SessionPart):
        type: str = "typed"

    assert Typed().model_fields_set == {"type"}
    assert Part().model_fields_set == set()


def test_a_part_cannot_be_changed() -> None:
    part = Part(name="a")
    with pytest.raises(Exception, match="frozen"):
        part.name = "b"


@pytest.mark.parametrize("value", [{"a": {1, 2}}, {"a": float("inf")}, {"a": object()}])
def test_an_object_of_json_holds_nothing_else(value: Any) -> None:
    with pytest.raises(InvalidSession, match="schema_: must be plain JSON"):
        Part(schema_=value)


def test_problems_can_be_asked_for_without_an_error() -> None:
    assert Part.problems_in({"name": "a"}) == []
    assert [problem.path for problem in Part.problems_in({"name": "", "x": 1})] == ["name", "x"]


def test_what_is_done_when_a_part_is_made_is_not_done_for_parts_of_another() -> None:
    made: list[str] = []

    class Told(SessionPart):
        def _made(self) -> None:
            made.append(type(self).__name__)

    class Holder(SessionPart):
        told: Told | None = None

        def _made(self) -> None:
            made.append(type(self).__name__)

    Holder(told={})
    assert made == ["Holder"]
