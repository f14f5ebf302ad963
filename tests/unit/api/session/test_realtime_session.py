from __future__ import annotations

import copy
import pickle
import warnings
from types import MappingProxyType

import pytest
from pydantic import ValidationError

from airflow_openai_realtime.api.session.realtime_session import (
    COMMON_FIELDS,
    DEFAULT_MODEL,
    Audio,
    AudioInput,
    AudioOutput,
    CustomVoice,
    DeprecatedModelWarning,
    FunctionTool,
    McpTool,
    RealtimeSession,
    SemanticVad,
    ServerVad,
    SessionWarning,
    parse_session,
)
from airflow_openai_realtime.exceptions import InvalidSession

EMPTY = {"type": "realtime", "model": DEFAULT_MODEL}


def refusal(**fields) -> InvalidSession:
    with pytest.raises(InvalidSession) as caught:
        parse_session(fields)
    return caught.value


def test_an_empty_session_still_names_type_and_a_model_with_a_future():
    assert RealtimeSession().to_body() == EMPTY
    assert parse_session().to_body() == EMPTY
    assert parse_session({}).to_body() == EMPTY


def test_only_what_was_set_is_sent():
    session = RealtimeSession(
        instructions="Hi",
        audio=Audio(
            input=AudioInput(turn_detection=ServerVad(threshold=0.5), transcription=None),
            output=AudioOutput(voice="marin", speed=1.1),
        ),
        tools=[FunctionTool(name="f")],
        max_output_tokens="inf",
    )
    assert session.to_body() == {
        **EMPTY,
        "instructions": "Hi",
        "audio": {
            "input": {"turn_detection": {"type": "server_vad", "threshold": 0.5}, "transcription": None},
            "output": {"voice": "marin", "speed": 1.1},
        },
        "tools": [{"type": "function", "name": "f"}],
        "max_output_tokens": "inf",
    }


def test_none_means_not_given_except_where_null_turns_something_off():
    off = {"noise_reduction": None, "transcription": None, "turn_detection": None}
    session = parse_session(
        {
            "instructions": None,
            "tools": None,
            "model": None,
            "tracing": None,
            "audio": {"input": {**off, "format": None}},
        }
    )
    assert session.to_body() == {**EMPTY, "tracing": None, "audio": {"input": off}}


def test_strings_from_templates_become_numbers_and_booleans():
    audio = {
        "output": {"speed": "1.25"},
        "input": {"turn_detection": {"type": "server_vad", "create_response": "false"}},
    }
    body = parse_session({"max_output_tokens": "500", "audio": audio}).to_body()
    assert body["max_output_tokens"] == 500
    assert body["audio"]["output"]["speed"] == 1.25
    assert body["audio"]["input"]["turn_detection"]["create_response"] is False


def test_sessions_can_be_copied_pickled_and_compared():
    session = parse_session(voice="cedar", tools=[{"name": "f"}])
    assert pickle.loads(pickle.dumps(session)) == copy.deepcopy(session) == parse_session(session) == session


def test_a_read_only_mapping_is_taken_and_left_alone():
    given = MappingProxyType({"audio": MappingProxyType({"output": {"voice": "marin"}})})
    assert parse_session(given, speed=1.5).to_body()["audio"] == {"output": {"voice": "marin", "speed": 1.5}}
    assert given["audio"]["output"] == {"voice": "marin"}


def test_all_problems_are_reported_at_once_each_with_its_path():
    error = refusal(
        instrctions="Hi",
        max_output_tokens=0,
        audio={
            "input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}, "transcription": {"delay": "soon"}},
            "output": {"speed": 2, "voice": "marinn"},
        },
        tools=[{"type": "mcp", "server_label": "a"}, {"type": "teleport"}, {"type": "function"}],
        tool_choice={"type": "function", "name": "missing"},
        extra_fields={"instructions": "x"},
    )
    for path in (
        "instrctions: unknown field: did you mean instructions?",
        "max_output_tokens:",
        "audio.input.turn_detection.threshold: unknown field here: it belongs to server_vad",
        "audio.input.transcription.delay:",
        "audio.output.speed:",
        "audio.output.voice: no voice of that name: did you mean marin?",
        "tools.0: an MCP tool needs one of server_url",
        "tools.1: must be an object with type function or mcp",
        "tools.2.name: is missing",
        "tool_choice.name:",
        "extra_fields.instructions:",
    ):
        assert path in str(error)
    assert "11 problems" in str(error)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"type": "transcription"}, "type"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"instructions": 5}, "instructions"),
        ({"instructions": "\ud800"}, "instructions"),
        ({"max_output_tokens": 4097}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "infinite"}, "max_output_tokens"),
        ({"output_modalities": ["video"]}, "output_modalities.0"),
        ({"output_modalities": "audio"}, "output_modalities"),
        ({"include": ["everything"]}, "include.0"),
        ({"parallel_tool_calls": "perhaps"}, "parallel_tool_calls"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"tracing": "off"}, "tracing"),
        ({"tracing": {"metadata": {"a": {1, 2}}}}, "tracing.metadata"),
        ({"truncation": {"type": "retention_ratio"}}, "truncation.retention_ratio"),
        ({"truncation": {"type": "retention_ratio", "retention_ratio": 1.1}}, "truncation.retention_ratio"),
        ({"truncation": "sometimes"}, "truncation"),
        ({"prompt": {}}, "prompt.id"),
        ({"audio": []}, "audio"),
        ({"audio": {"output": {"speed": 0.2}}}, "audio.output.speed"),
        ({"audio": {"output": {"speed": float("nan")}}}, "audio.output.speed"),
        ({"audio": {"output": {"voice": ""}}}, "audio.output.voice"),
        ({"audio": {"output": {"voice": {}}}}, "audio.output.voice.id"),
        ({"audio": {"output": {"voice": 5}}}, "audio.output.voice"),
        ({"audio": {"input": {"format": {"type": "audio/mp3"}}}}, "audio.input.format"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "audio.input.format.rate"),
        ({"audio": {"input": {"turn_detection": "server_vad"}}}, "audio.input.turn_detection"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.1}}}},
            "audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 4_999}}}},
            "audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "eagerness": "low"}}}},
            "audio.input.turn_detection.eagerness",
        ),
        ({"audio": {"input": {"transcription": {"languages": []}}}}, "audio.input.transcription.languages"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f", "parameters": {"a": float("nan")}}]}, "tools.0.parameters"),
        ({"tools": [{"name": "f", "strict": True}]}, "tools.0.strict"),
        ({"tools": [5]}, "tools.0"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "custom", "name": "x"}}, "tool_choice"),
        ({"temperature": 1}, "temperature"),
        ({"extra_fields": {"new": object()}}, "extra_fields"),
        ({"extra_fields": []}, "extra_fields"),
    ],
)
def test_a_wrong_value_is_refused_and_its_path_named(fields, path):
    error = refusal(**fields)
    assert error.field == path
    assert f"{path}: " in str(error)


def test_a_part_made_alone_reports_in_the_same_way():
    with pytest.raises(InvalidSession, match="threshold") as caught:
        ServerVad(threshold=2)
    assert caught.value.field == "threshold"
    with pytest.raises(InvalidSession, match="eagernes: unknown field: did you mean eagerness"):
        SemanticVad(eagernes="low")


@pytest.mark.parametrize("name", ["authorization", "headers"])
def test_secrets_of_tools_are_neither_shown_nor_repeated_in_errors(name):
    value = "hunter2" if name == "authorization" else {"X-Key": "hunter2"}
    tool = McpTool(server_label="a", server_url="https://x", require_approval="never", **{name: value})
    assert "hunter2" not in repr(RealtimeSession(tools=[tool]))
    wrong = {"server_label": "a", name: {"hunter2": ["hunter2"]}, "server_url": "hunter2"}
    assert "hunter2" not in str(refusal(tools=[wrong])).replace("headers.hunter2", "")
    with pytest.raises(ValidationError) as caught:  # pydantic's own way in
        RealtimeSession.model_validate({"tools": [{"server_label": "a", "server_url": "hunter2"}]})
    assert "hunter2" not in str(caught.value)


def test_nesting_without_end_is_refused():
    deep: dict = {}
    inner = deep
    for _ in range(100_000):
        inner["a"] = {}
        inner = inner["a"]
    try:
        for build in (parse_session, lambda it: RealtimeSession(**it)):
            with pytest.raises(InvalidSession, match="nested too deeply"):
                build({"extra_fields": deep})
    finally:
        while deep:  # freed step by step: Python would recurse
            deep = deep.pop("a")


@pytest.mark.parametrize("session", [5, "text", [("a", 1)]])
def test_what_is_no_session_is_refused(session):
    with pytest.raises(InvalidSession, match="RealtimeSession or a mapping"):
        parse_session(session)


def test_common_fields_go_where_they_belong():
    given = {
        "model": "gpt-realtime-2",
        "instructions": "Hi",
        "voice": "cedar",
        "speed": 1.5,
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": "required",
        "parallel_tool_calls": True,
        "transcription_model": "gpt-transcribe",
        "transcription_language": "de",
        "turn_detection": "semantic_vad",
        "noise_reduction": "near_field",
        "max_output_tokens": 100,
        "output_modalities": ["audio"],
        "reasoning_effort": "low",
        "include": ["item.input_audio_transcription.logprobs"],
        "tracing": "auto",
        "truncation": "disabled",
        "extra_fields": {"new": 1},
    }
    assert given.keys() == COMMON_FIELDS.keys()
    assert parse_session(**given).to_body() == {
        "type": "realtime",
        "model": "gpt-realtime-2",
        "instructions": "Hi",
        "audio": {
            "input": {
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-transcribe", "language": "de"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"voice": "cedar", "speed": 1.5},
        },
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": "required",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low"},
        "include": ["item.input_audio_transcription.logprobs"],
        "max_output_tokens": 100,
        "output_modalities": ["audio"],
        "tracing": "auto",
        "truncation": "disabled",
        "new": 1,
    }


def test_common_fields_take_objects_and_models_too():
    body = parse_session(turn_detection=ServerVad(threshold=0.9), voice=CustomVoice(id="voice_1"), speed=None).to_body()
    assert body["audio"] == {
        "input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}},
        "output": {"voice": {"id": "voice_1"}},
    }


def test_a_common_field_fills_what_the_session_leaves_open():
    session = RealtimeSession(audio=Audio(output=AudioOutput(voice="marin")))
    assert parse_session(session, voice="marin", speed=1).to_body()["audio"] == {
        "output": {"voice": "marin", "speed": 1}
    }


@pytest.mark.parametrize(
    ("session", "common", "path"),
    [
        ({"audio": {"output": {"voice": "marin"}}}, {"voice": "cedar"}, "audio.output.voice"),
        (
            {"audio": {"input": {"transcription": None}}},
            {"transcription_model": "x"},
            "audio.input.transcription.model",
        ),
        ({"tracing": None}, {"tracing": "auto"}, "tracing"),
        (RealtimeSession(model="gpt-realtime-2"), {"model": "gpt-realtime-2.1"}, "model"),
    ],
)
def test_a_common_field_that_contradicts_the_session_is_refused(session, common, path):
    with pytest.raises(InvalidSession, match="give it once") as caught:
        parse_session(session, **common)
    assert caught.value.field == path


def test_contradictions_and_other_problems_come_together():
    with pytest.raises(InvalidSession, match=r"2 problems.*give it once.*audio.output.speed"):
        parse_session({"instructions": "a", "audio": {"output": {"speed": 9}}}, instructions="b")


def test_an_unknown_common_field_is_refused():
    with pytest.raises(InvalidSession, match="temperature: unknown field: use one of model"):
        parse_session(temperature=1)


def test_a_model_with_an_announced_end_gives_one_warning_with_the_date():
    for build in (lambda: parse_session(model="gpt-realtime"), lambda: RealtimeSession(model="gpt-realtime")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            build()
        assert [warning.category for warning in caught] == [DeprecatedModelWarning]
        assert "2027-01-20" in str(caught[0].message)


def test_a_refused_session_gives_no_warning():
    with pytest.raises(InvalidSession):
        parse_session({"model": "gpt-realtime", "speed": 1})


def test_the_warnings_can_be_caught_by_one_class():
    assert issubclass(DeprecatedModelWarning, SessionWarning)


# -- extra_fields --------------------------------------------------------------------------------------------------


def test_a_field_of_tomorrow_is_sent():
    session = RealtimeSession(extra_fields={"vibe": {"level": 3}})
    assert session.to_body() == {"type": "realtime", "model": "gpt-realtime-2.1", "vibe": {"level": 3}}


def test_a_nested_field_joins_what_the_session_sets():
    extra = {"audio": {"output": {"pitch": 2}, "video": {}}}
    body = parse_session(voice="marin", extra_fields=extra).to_body()
    assert body["audio"] == {"output": {"voice": "marin", "pitch": 2}, "video": {}}


def test_a_new_field_in_an_object_of_several_kinds_is_sent():
    extra = {"audio": {"input": {"turn_detection": {"patience": 1}}}}
    body = parse_session(turn_detection="server_vad", extra_fields=extra).to_body()
    assert body["audio"]["input"]["turn_detection"] == {"type": "server_vad", "patience": 1}


def test_a_voice_newer_than_this_release_is_sent_unless_another_is_given():
    extra = {"audio": {"output": {"voice": "nova"}}}
    assert parse_session(speed=1, extra_fields=extra).to_body()["audio"]["output"] == {"speed": 1, "voice": "nova"}
    with pytest.raises(InvalidSession, match=r"audio\.output\.voice is a known field"):
        parse_session(voice="marin", extra_fields=extra)


@pytest.mark.parametrize(
    ("extra", "path"),
    [
        ({"type": "x"}, "type"),
        ({"extra_fields": {}}, "extra_fields"),
        ({"audio": None}, "audio"),
        ({"audio": {"output": {"speed": 1}}}, "audio.output.speed"),
        ({"audio": {"input": {"turn_detection": {"eagerness": "low"}}}}, "audio.input.turn_detection.eagerness"),
        ({"tools": [{"type": "new"}]}, "tools"),
        ({"truncation": {"retention_ratio": 1}}, "truncation.retention_ratio"),
    ],
)
def test_a_known_field_must_be_given_in_its_place(extra, path):
    with pytest.raises(InvalidSession, match="is a known field: set it in the session") as caught:
        RealtimeSession(extra_fields=extra)
    assert caught.value.field == f"extra_fields.{path}"


def test_a_model_that_is_refused_in_its_place_is_taken_unless_one_is_given_there() -> None:
    assert RealtimeSession(extra_fields={"model": "newer"}).to_body()["model"] == "newer"
    with pytest.raises(InvalidSession, match="is a known field"):
        RealtimeSession(model="gpt-realtime", extra_fields={"model": "newer"})
