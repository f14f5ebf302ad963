from __future__ import annotations

import pytest

from airflow_openai_realtime.api.session.realtime_session import RealtimeSession, parse_session
from airflow_openai_realtime.exceptions import InvalidSession


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
