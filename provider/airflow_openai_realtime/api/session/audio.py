"""The ``audio`` part of a session: what the caller says, and how the model speaks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from airflow_openai_realtime.api.session.session_part import Float, Int, NonEmpty, SessionPart


class AudioPCM(SessionPart):
    """
    PCM at 24 kHz, the only rate.

    :param rate: Samples per second, always 24000.
    """

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] | None = None


class AudioPCMU(SessionPart):
    """G.711 µ-law."""

    type: Literal["audio/pcmu"] = "audio/pcmu"


class AudioPCMA(SessionPart):
    """G.711 A-law."""

    type: Literal["audio/pcma"] = "audio/pcma"


def _type_tag(value: Any) -> str | None:
    """Return the tag of a union's branch; tags stand in angle brackets so that error paths can leave them out."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


AudioFormat = Annotated[
    Annotated[AudioPCM, Tag("<audio/pcm>")]
    | Annotated[AudioPCMU, Tag("<audio/pcmu>")]
    | Annotated[AudioPCMA, Tag("<audio/pcma>")],
    Discriminator(
        _type_tag,
        custom_error_type="unknown_type",
        custom_error_message="must be an object with type audio/pcm, audio/pcmu or audio/pcma",
    ),
]
"""Format of the audio. Leave it out on a phone call: SIP negotiates it (a warning says so)."""


class NoiseReduction(SessionPart):
    """
    Filters noise before turn detection and the model hear it.

    :param type: ``near_field`` for headsets and handsets, ``far_field`` for speakerphones and rooms.
    :param strength: Higher suppresses more; OpenAI's default is 1.
    """

    type: Literal["near_field", "far_field"] | None = None
    strength: Float | None = None


class Transcription(SessionPart):
    """
    Text of what the caller says, for the record: the model itself hears the audio. Off unless given.

    :param model: For example ``gpt-transcribe``; any name is let through.
    :param language: ISO-639-1, for example ``en``: better and faster.
    :param languages: Possible languages; only ``gpt-transcribe`` and ``gpt-live-transcribe``.
    :param keywords: Words to expect; only ``gpt-transcribe`` and ``gpt-live-transcribe``.
    :param prompt: Free text that guides it; not ``gpt-realtime-whisper`` nor ``gpt-4o-transcribe-diarize``.
    :param delay: How long it waits before it writes; only ``gpt-realtime-whisper``.
    """

    model: NonEmpty | None = None
    language: NonEmpty | None = None
    languages: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class ServerVad(SessionPart):
    """
    Turn detection by loudness.

    :param create_response: Whether the model answers when the caller stops. OpenAI's default: true.
    :param interrupt_response: Whether the model stops when the caller starts. OpenAI's default: true.
    :param threshold: 0 to 1, OpenAI's default 0.5; higher needs louder speech.
    :param prefix_padding_ms: Audio kept from before the speech, in milliseconds; OpenAI's default 300.
    :param silence_duration_ms: Silence that ends a turn, in milliseconds; OpenAI's default 500.
    :param idle_timeout_ms: 5,000 to 30,000 milliseconds of silence after which the model speaks up; ``None`` is sent.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"idle_timeout_ms"})

    type: Literal["server_vad"] = "server_vad"
    create_response: bool | None = None
    interrupt_response: bool | None = None
    threshold: Annotated[Float, Field(ge=0, le=1)] | None = None
    prefix_padding_ms: Int | None = None
    silence_duration_ms: Int | None = None
    idle_timeout_ms: Annotated[Int, Field(ge=5_000, le=30_000)] | None = None


class SemanticVad(SessionPart):
    """
    Turn detection by meaning: a model judges whether the caller has finished.

    :param create_response: Whether the model answers when the caller stops. OpenAI's default: true.
    :param interrupt_response: Whether the model stops when the caller starts. OpenAI's default: true.
    :param eagerness: ``low`` waits up to 8 s, ``medium`` 4 s, ``high`` 2 s; ``auto`` is ``medium``.
    """

    type: Literal["semantic_vad"] = "semantic_vad"
    create_response: bool | None = None
    interrupt_response: bool | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None


TurnDetection = Annotated[
    Annotated[ServerVad, Tag("<server_vad>")] | Annotated[SemanticVad, Tag("<semantic_vad>")],
    Discriminator(
        _type_tag,
        custom_error_type="unknown_type",
        custom_error_message="must be an object with type server_vad or semantic_vad, or null",
    ),
]


class AudioInput(SessionPart):
    """
    What the caller says.

    :param format: See :data:`AudioFormat`; leave out on a phone call.
    :param noise_reduction: ``None`` is sent and turns it off.
    :param transcription: ``None`` is sent and turns it off.
    :param turn_detection: ``None`` is sent: then every answer must be asked for on the sideband.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"noise_reduction", "transcription", "turn_detection"})

    format: AudioFormat | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None


class CustomVoice(SessionPart):
    """
    A voice made from audio samples.

    :param id: ``voice_…``.
    """

    id: NonEmpty


def _voice_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "<name>"
    return "<custom>" if isinstance(value, (dict, CustomVoice)) else None


Voice = Annotated[
    Annotated[NonEmpty, Tag("<name>")] | Annotated[CustomVoice, Tag("<custom>")],
    Discriminator(
        _voice_tag,
        custom_error_type="unknown_type",
        custom_error_message='must be the name of a voice or {"id": "voice_…"}',
    ),
]


class AudioOutput(SessionPart):
    """
    How the model speaks.

    :param format: See :data:`AudioFormat`; leave out on a phone call.
    :param speed: 0.25 to 1.5, OpenAI's default 1.0.
    :param voice: A name (``marin`` and ``cedar`` are recommended) or ``{"id": "voice_…"}``; fixed once it has spoken.
    """

    format: AudioFormat | None = None
    speed: Annotated[Float, Field(ge=0.25, le=1.5)] | None = None
    voice: Voice | None = None


class Audio(SessionPart):
    """
    Audio in and out.

    :param input: What the caller says.
    :param output: How the model speaks.
    """

    input: AudioInput | None = None
    output: AudioOutput | None = None
