"""The base of the session's objects, and every problem of a session in one error, in words that say what to do."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_openai_realtime.api.session.audio import AudioInput
from airflow_openai_realtime.api.session.session_part import (
    Float,
    Int,
    JsonObject,
    NonEmpty,
    Problem,
    SessionPart,
    as_plain,
    problems_of,
    session_error,
)
from airflow_openai_realtime.exceptions import InvalidSession


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


# -- problems ------------------------------------------------------------------------------------------------------

KNOWN = ("instructions", "audio", "model", "tools")


class Output(BaseModel):
    model_config = ConfigDict(extra="forbid")

    speed: float = Field(default=1.0, le=1.5)


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    kind: Literal["a", "b"] = "a"
    outputs: list[Output] = []


def found(**fields: Any) -> list[Problem]:
    with pytest.raises(ValidationError) as refused:
        Body(**fields)
    return problems_of(refused.value, KNOWN)


def test_one_error_names_each_problem_once_and_the_field_of_the_first() -> None:
    speed, voice = Problem("audio.output.speed", "is too high"), Problem("audio.output.voice", "is unknown")
    error = session_error([speed, voice, speed])
    assert str(error) == "2 problems in the session: audio.output.speed: is too high; audio.output.voice: is unknown"
    assert error.field == "audio.output.speed"


def test_a_problem_of_the_whole_session_has_no_field() -> None:
    error = session_error([Problem("", "is nested too deeply")])
    assert str(error) == "the session configuration has a problem: session: is nested too deeply"
    assert error.field is None


def test_the_path_leads_to_the_item_and_a_missing_field_is_told() -> None:
    problems = found(outputs=[{}, {"speed": 2}])
    assert [problem.path for problem in problems] == ["model", "outputs.1.speed"]
    assert problems[0].text == "is missing: add it"
    assert "less than or equal to 1.5" in problems[1].text
    assert problems[1].text[0].islower()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("voice", "unknown field here: it belongs in audio.output"),
        ("eagerness", "unknown field here: it belongs to semantic_vad"),
        ("temperature", "unknown field here: OpenAI has removed it"),
        ("modalities", "unknown field here: it is called output_modalities"),
        ("instrctions", "unknown field: did you mean instructions?"),
        ("zzz", "unknown field: remove it; a field that OpenAI added since goes into extra_fields"),
    ],
)
def test_an_unknown_field_is_told_where_it_belongs(name: str, advice: str) -> None:
    assert found(model="m", **{name: 1}) == [Problem(name, advice)]


def test_values_are_not_repeated() -> None:
    (problem,) = found(model={"secret": "hunter2"})
    assert "hunter2" not in problem.text
    assert problem.path == "model"


def test_what_is_made_plain_is_a_copy_of_what_was_set() -> None:
    inner = {"a": (1, 2)}
    plain = as_plain({"model": Body(model="m", outputs=[Output(speed=1)]), "map": MappingProxyType(inner)})
    assert plain == {"model": {"model": "m", "outputs": [{"speed": 1.0}]}, "map": {"a": [1, 2]}}
    plain["map"]["a"].append(3)
    assert inner == {"a": (1, 2)}


def test_what_has_no_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidSession, match="nested too deeply: flatten it"):
        as_plain(endless)


def test_the_branch_of_a_union_is_no_part_of_the_path() -> None:
    wrong = {"turn_detection": {"type": "server_vad", "threshold": 2}, "format": {"type": "audio/pcm", "rate": 8000}}
    assert [problem.path for problem in AudioInput.problems_in(wrong)] == ["format.rate", "turn_detection.threshold"]
