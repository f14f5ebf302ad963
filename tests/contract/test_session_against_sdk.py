"""OpenAI's own SDK judges the session models: no field and no value of its types may be missing, none invented."""

from __future__ import annotations

import json
import types
import typing
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Le, MinLen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.realtime.call_accept_params import CallAcceptParams
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from typing_extensions import NotRequired, Required, get_type_hints, is_typeddict

from airflow_openai_realtime.api.session import constraints
from airflow_openai_realtime.api.session.constraints import MODELS, TRANSCRIPTION_MODELS, VOICES, contradictions
from airflow_openai_realtime.api.session.realtime_session import RealtimeSession, SessionWarning
from airflow_openai_realtime.api.session.session_part import SessionPart

# Strings that the models leave open; what OpenAI lists is known all the same.
OPEN_STRINGS = {"model": MODELS, "audio.input.transcription.model": TRANSCRIPTION_MODELS, "audio.output.voice": VOICES}

# What the models take and the SDK's types do not say, and why.
MORE_THAN_THE_SDK = {
    "extra_fields{}:any": "our own way in for fields of tomorrow; never sent under this name",
    "audio.input.noise_reduction=null": "its docstring says: null turns it off",
    "audio.input.transcription=null": "its docstring says: null turns it off",
}


def bare(annotation: Any) -> Any:
    """Remove what only decorates a type."""
    while get_origin(annotation) in (Annotated, Required, NotRequired):
        annotation = get_args(annotation)[0]
    return annotation


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def fields_of(annotation: Any) -> dict[str, Any] | None:
    """The fields of an object type, whichever library describes it; ``None`` for any other type."""
    if is_typeddict(annotation):
        return dict(get_type_hints(annotation, include_extras=True))
    if isinstance(annotation, type) and issubclass(annotation, SessionPart):
        nullable = annotation.nullable
        return {
            name: field.annotation if name in nullable else without_none(field.annotation)
            for name, field in annotation.model_fields.items()
        }
    return None


def without_none(annotation: Any) -> Any:
    """``T | None`` in a model means "may be left out"; only ``nullable`` fields are ever sent as null."""
    annotation = bare(annotation)
    if not is_union(annotation):
        return annotation
    return Union[tuple(argument for argument in get_args(annotation) if argument is not type(None))]  # noqa: UP007


def shape(annotation: Any, path: str = "") -> Iterator[str]:
    """Everything that a type can hold, one line each: ``tools[]<mcp>.server_label:str``, ``….eagerness=low``."""
    annotation = bare(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    fields = fields_of(annotation)
    if fields is not None:
        kinds = get_args(bare(fields["type"])) if "type" in fields and path else ()
        place = f"{path}<{kinds[0]}>" if kinds else path
        for name, inner in fields.items():
            yield from shape(inner, f"{place}.{name}" if place else name)
    elif is_union(annotation):
        for argument in arguments:
            yield from shape(argument, path)
    elif origin is Literal:
        yield from (f"{path}={value}" for value in arguments)
    elif annotation in (type(None), None):
        yield f"{path}=null"
    elif origin is dict or annotation is object or annotation is Any:
        values = arguments[1] if arguments and arguments[1] is not Any else None
        yield from shape(values, f"{path}{{}}") if values else [f"{path}{{}}:any"]
    elif isinstance(origin, type) and issubclass(origin, typing.Iterable):
        yield from shape(arguments[0], f"{path}[]")
    else:
        yield f"{path}:{annotation.__name__}"


OURS = set(shape(RealtimeSession))
THEIRS = set(shape(CallAcceptParams))


def test_the_walk_sees_the_depth_of_the_sdks_types():
    assert len(THEIRS) > 120
    assert "tools[]<mcp>.require_approval.always.tool_names[]:str" in THEIRS
    assert "audio.input.turn_detection<semantic_vad>.eagerness=low" in THEIRS
    assert "prompt.variables{}<input_image>.prompt_cache_breakpoint.ttl=30m" in THEIRS


def test_no_field_and_no_value_of_the_sdk_is_missing():
    open_values = {f"{path}={value}" for path, values in OPEN_STRINGS.items() for value in values}
    assert sorted(THEIRS - OURS - open_values) == []


def test_no_field_and_no_value_is_invented():
    assert sorted(OURS - THEIRS) == sorted(MORE_THAN_THE_SDK)


def test_the_known_names_are_those_of_the_sdk():
    for path, values in OPEN_STRINGS.items():
        assert {line.partition("=")[2] for line in THEIRS if line.startswith(f"{path}=")} == set(values)


def test_what_the_sdk_requires_is_always_sent_or_required():
    adapter = TypeAdapter(CallAcceptParams)
    assert adapter.validate_python(RealtimeSession().to_body(), strict=True) == RealtimeSession().to_body()


# --- sessions of any content, made from our models -----------------------------------------------------------------

PATTERNS = {"server_url": "https://mcp.example.com/sse", "tunnel_id": "tunnel_" + "a1" * 16}
json_objects = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=2)


def values(annotation: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values that a field takes."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = (
            *metadata,
            *(item for one in more for item in (one.metadata if isinstance(one, FieldInfo) else [one])),
        )
    arguments = get_args(annotation)
    low = next((item.ge for item in metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in metadata if isinstance(item, Le)), None)
    shortest = next((item.min_length for item in metadata if isinstance(item, MinLen)), 0)
    if is_union(annotation):
        return st.one_of([values(argument, metadata) for argument in arguments])
    if get_origin(annotation) is Literal:
        return st.sampled_from(arguments)
    if get_origin(annotation) is list:
        return st.lists(values(arguments[0]), min_size=shortest, max_size=3)
    if get_origin(annotation) is dict:
        return (
            json_objects
            if arguments[1] is Any
            else st.dictionaries(st.text(max_size=5), values(arguments[1]), max_size=2)
        )
    simple: dict[Any, st.SearchStrategy[Any]] = {
        type(None): st.none(),
        bool: st.booleans(),
        int: st.integers(low, high),
        float: st.floats(low, high, allow_nan=False, allow_infinity=False),
        str: st.text(min_size=shortest, max_size=8),
    }
    return simple[annotation] if annotation in simple else objects(annotation)


def objects(part: type[SessionPart]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a model, as plain dicts with any of its optional fields."""
    required, optional = {}, {}
    for name, field in part.model_fields.items():
        if name == "extra_fields":
            continue
        place = required if field.is_required() or name == "type" else optional
        place[name] = st.just(PATTERNS[name]) if name in PATTERNS else values(field.annotation, tuple(field.metadata))
    return st.fixed_dictionaries(required, optional=optional)


def without_contradictions(body: dict[str, Any]) -> dict[str, Any]:
    """Remove what contradicts itself, piece by piece."""
    while problems := contradictions({"model": "gpt-realtime-2.1", **body}):
        *parents, last = problems[0].path.split(".")
        place: Any = body
        if parents[:1] == ["tools"]:  # the whole tool
            parents, last = ["tools"], problems[0].path.split(".")[1]
        elif parents == ["tool_choice"]:
            parents, last = [], "tool_choice"
        elif parents[-1:] == ["languages"]:  # the whole list, which may not be empty
            *parents, last = parents
        for key in parents:
            place = place[key]
        del place[int(last) if isinstance(place, list) else last]
    return body


@pytest.fixture(autouse=True, scope="module")
def _before_all_shutdowns() -> Iterator[None]:
    """Which models live does not depend on the day on which the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constraints, "today", lambda: "2025-11-01")
        yield


bodies = objects(RealtimeSession).map(lambda body: without_contradictions(json.loads(json.dumps(body))))


def sdk_view(body: dict[str, Any]) -> Any:
    """What the SDK's types recognise in a body; a key that they do not know is dropped."""
    return TypeAdapter(CallAcceptParams).validate_python(body, strict=True)


def without_null_switches(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out the nulls that the SDK documents but does not type."""
    audio_input = body.get("audio", {}).get("input", {})
    for name in ("noise_reduction", "transcription"):
        if audio_input.get(name, ...) is None:
            del audio_input[name]
    return body


@pytest.mark.filterwarnings("ignore::airflow_openai_realtime.api.session.realtime_session.SessionWarning")
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
@given(bodies)
def test_every_session_that_we_accept_fits_the_sdks_types(body):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SessionWarning)
        session = RealtimeSession(**body)
    sent = without_null_switches(session.to_body())
    assert sdk_view(sent) == sent
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
@given(bodies)
def test_a_session_made_of_what_was_sent_sends_the_same(body):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SessionWarning)
        once = RealtimeSession(**body).to_body()
        assert RealtimeSession(**once).to_body() == once


def test_the_judge_sees_unknown_keys_and_wrong_values():
    odd = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}}}
    assert sdk_view(odd) != odd
    with pytest.raises(ValueError, match="include"):
        sdk_view({"type": "realtime", "include": ["x"]})
