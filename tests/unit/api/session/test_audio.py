"""The audio part of a session: which values OpenAI takes, and how a branch of a union is found."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.api.session.audio import (
    Audio,
    AudioInput,
    AudioOutput,
    AudioPCM,
    AudioPCMA,
    AudioPCMU,
    CustomVoice,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    Transcription,
)
from airflow_openai_realtime.exceptions import InvalidSession


def sent(part: Any) -> dict[str, Any]:
    body: dict[str, Any] = part.model_dump(exclude_unset=True)
    return body


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"type": "audio/pcm", "rate": 24000}, AudioPCM),
        ({"type": "audio/pcmu"}, AudioPCMU),
        ({"type": "audio/pcma"}, AudioPCMA),
        (AudioPCMA(), AudioPCMA),
    ],
)
def test_the_type_says_which_format_it_is(given: Any, kind: type) -> None:
    assert type(AudioInput(format=given).format) is kind
    assert type(AudioOutput(format=given).format) is kind


@pytest.mark.parametrize("given", [{"rate": 24000}, {"type": 7}, "audio/pcm", {"type": "audio/opus"}])
def test_a_format_without_a_known_type_is_told_which_there_are(given: Any) -> None:
    with pytest.raises(InvalidSession, match="format: must be an object with type audio/pcm, audio/pcmu or audio/pcma"):
        AudioInput(format=given)


@pytest.mark.parametrize("kind", [ServerVad, SemanticVad])
def test_the_type_of_turn_detection_is_sent_though_it_was_not_given(kind: type[Any]) -> None:
    assert sent(kind())["type"] in ("server_vad", "semantic_vad")
    assert type(AudioInput(turn_detection=sent(kind())).turn_detection) is kind


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("threshold", 0, 1), ("idle_timeout_ms", 5_000, 30_000)],
)
def test_numbers_of_turn_detection_have_their_range_with_both_ends(name: str, least: float, most: float) -> None:
    for value in (least, most):
        assert sent(ServerVad(**{name: value}))[name] == value
    for value in (least - 1, most + 1, True):
        with pytest.raises(InvalidSession, match=name):
            ServerVad(**{name: value})


@pytest.mark.parametrize("speed", [0.25, 1.5, "1.2"])
def test_a_speed_within_the_range_is_taken(speed: Any) -> None:
    assert sent(AudioOutput(speed=speed))["speed"] == float(speed)


@pytest.mark.parametrize("speed", [0.249, 1.51, float("inf"), True, "fast"])
def test_a_speed_outside_is_refused(speed: Any) -> None:
    with pytest.raises(InvalidSession, match="speed"):
        AudioOutput(speed=speed)


def test_null_is_sent_where_it_turns_something_off_and_left_out_elsewhere() -> None:
    off = AudioInput(noise_reduction=None, transcription=None, turn_detection=None, format=None)
    assert sent(off) == {"noise_reduction": None, "transcription": None, "turn_detection": None}
    assert sent(ServerVad(idle_timeout_ms=None, threshold=None)) == {"type": "server_vad", "idle_timeout_ms": None}
    assert sent(Audio(input=None, output=None)) == {}


@pytest.mark.parametrize("voice", ["cedar", {"id": "voice_1"}, CustomVoice(id="voice_1")])
def test_a_voice_is_a_name_or_an_object_with_an_id(voice: Any) -> None:
    assert sent(AudioOutput(voice=voice))["voice"] == ("cedar" if voice == "cedar" else {"id": "voice_1"})


@pytest.mark.parametrize("voice", [7, ["cedar"], {"id": ""}, {"name": "cedar"}])
def test_anything_else_is_no_voice(voice: Any) -> None:
    with pytest.raises(InvalidSession, match="voice"):
        AudioOutput(voice=voice)


def test_a_transcription_names_at_least_one_language_and_no_empty_model() -> None:
    assert sent(Transcription(languages=["en", "de"], model="gpt-transcribe"))["languages"] == ["en", "de"]
    for wrong in ({"languages": []}, {"languages": [""]}, {"model": ""}, {"language": ""}, {"delay": "soon"}):
        with pytest.raises(InvalidSession):
            Transcription(**wrong)


def test_noise_is_filtered_for_handsets_or_rooms() -> None:
    assert sent(NoiseReduction(type="far_field", strength=2)) == {"type": "far_field", "strength": 2.0}
    with pytest.raises(InvalidSession, match="type"):
        NoiseReduction(type="outdoors")
