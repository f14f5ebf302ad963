from __future__ import annotations

import warnings
from datetime import date

import pytest

from airflow_openai_realtime.api.session import constraints
from airflow_openai_realtime.api.session.constraints import (
    DEFAULT_MODEL,
    ENDED_FIELDS,
    MODELS,
    REASONING_MODELS,
    SHUTDOWNS,
    TRANSCRIPTION_MODELS,
    contradictions,
    is_shut_down,
    missing_tool,
    warn_of_shutdown,
)
from airflow_openai_realtime.api.session.realtime_session import DeprecatedModelWarning, SessionWarning, parse_session
from airflow_openai_realtime.exceptions import InvalidSession

MCP = {"type": "mcp", "server_label": "a", "server_url": "https://mcp.example.com", "require_approval": "never"}


def paths(body) -> list[str]:
    return [problem.path for problem in contradictions(body)]


def transcription(**fields):
    return {"audio": {"input": {"transcription": fields}}}


def warned(**fields) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parse_session(fields)
    assert all(issubclass(warning.category, SessionWarning) for warning in caught)
    return [str(warning.message) for warning in caught]


def test_text_and_audio_exclude_each_other():
    assert paths({"output_modalities": ["audio", "text"]}) == ["output_modalities"]
    assert paths({"output_modalities": ["text"]}) == []


@pytest.mark.parametrize("model", TRANSCRIPTION_MODELS)
def test_each_transcription_model_takes_only_its_own_fields(model):
    body = transcription(model=model, languages=["de"], keywords=["x"], prompt="p", delay="low", language="de")
    allowed = {"language"}
    if model in ("gpt-transcribe", "gpt-live-transcribe"):
        allowed |= {"languages", "keywords"}
    if model == "gpt-realtime-whisper":
        allowed |= {"delay"}
    if model not in ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize"):
        allowed |= {"prompt"}
    refused = {path.rpartition(".")[2] for path in paths(body)}
    assert refused == {"language", "languages", "keywords", "prompt", "delay"} - allowed


def test_fields_of_an_unknown_or_unnamed_transcription_model_are_left_to_openai():
    fields = {"languages": ["de"], "keywords": ["x"], "prompt": "p", "delay": "low"}
    assert paths(transcription(**fields)) == []
    assert paths(transcription(model="my-deployment", **fields)) == []


@pytest.mark.parametrize("model", [*MODELS, "my-deployment"])
def test_reasoning_is_refused_only_for_models_known_not_to_reason(model):
    body = {"model": model, "reasoning": {"effort": "low"}, "parallel_tool_calls": False}
    takes_it = model in REASONING_MODELS or model == "my-deployment"
    assert paths(body) == ([] if takes_it else ["reasoning", "parallel_tool_calls"])


@pytest.mark.parametrize(("voice", "hint"), [("Marin", "marin"), ("ceder", "cedar"), ("voice_123", '{"id"')])
def test_a_mistyped_voice_is_refused_with_a_hint(voice, hint):
    with pytest.raises(InvalidSession, match=r"audio\.output\.voice") as caught:
        parse_session(voice=voice)
    assert hint in str(caught.value)


def test_an_unknown_voice_is_refused_with_the_way_for_a_new_one():
    with pytest.raises(InvalidSession, match=r"no voice of that name is known.*extra_fields") as caught:
        parse_session(voice="nova")
    assert caught.value.field == "audio.output.voice"


def test_an_mcp_tool_needs_exactly_one_server():
    server = {"server_url": "https://x", "connector_id": "connector_gmail", "tunnel_id": "tunnel_" + "a" * 32}
    tool = {"type": "mcp", "server_label": "a", "require_approval": "never"}
    assert paths({"tools": [tool]}) == ["tools.0"]
    for name, value in server.items():
        assert paths({"tools": [{**tool, name: value}]}) == []
        parse_session(tools=[{**tool, name: value}])
    assert paths({"tools": [{**tool, **server}]}) == ["tools.0"]


def test_names_of_functions_and_labels_of_servers_are_unique():
    function = {"type": "function", "name": "a"}
    assert paths({"tools": [function, MCP, {"name": "b"}]}) == []
    assert paths({"tools": [function, {"name": "a"}, MCP, MCP]}) == [
        "tools.0.name",
        "tools.1.name",
        "tools.2.server_label",
        "tools.3.server_label",
    ]


def test_a_forced_tool_must_be_offered():
    tools = [{"name": "f"}, MCP]
    for choice in ({"type": "function", "name": "f"}, {"type": "mcp", "server_label": "a", "name": None}):
        assert paths({"tools": tools, "tool_choice": choice}) == []
        assert parse_session(tools=tools, tool_choice=choice).to_body()["tool_choice"] == choice
    forced = {"tools": tools, "tool_choice": {"type": "function", "name": "a"}}
    assert [problem.path for problem in missing_tool(forced)] == ["tool_choice.name"]
    assert missing_tool(forced, ["a"]) == []
    with pytest.raises(InvalidSession, match=r"tool_choice\.name"):
        parse_session(forced)
    assert parse_session(forced, offered=["a"]).to_body()["tool_choice"] == forced["tool_choice"]
    assert paths({"tools": tools, "tool_choice": {"type": "mcp", "server_label": "f"}}) == ["tool_choice.server_label"]
    assert missing_tool({"tool_choice": {"type": "function", "name": "f"}, "prompt": {"id": "p"}}) == []


@pytest.mark.parametrize("given", [[], ["audio", "audio"], ["text", "text"]])
def test_no_modality_or_the_same_twice_is_refused(given):
    assert paths({"output_modalities": given}) == ["output_modalities"]


@pytest.mark.parametrize("language", ["english", "German", "en-US", "EN", "xx", "eng", ""])
def test_a_language_that_is_no_code_of_iso_639_1_is_refused(language):
    assert paths(transcription(language=language)) == ["audio.input.transcription.language"]
    several = transcription(model="gpt-transcribe", languages=["en", language])
    assert paths(several) == ["audio.input.transcription.languages.1"]


@pytest.mark.parametrize("language", ["en", "de", "zh", "yi"])
def test_a_code_of_iso_639_1_is_taken(language):
    assert parse_session(transcription_language=language, transcription_model="gpt-transcribe") is not None


@pytest.mark.parametrize("model", sorted(SHUTDOWNS))
def test_a_model_is_refused_from_the_day_of_its_shutdown_on(model, monkeypatch):
    is_voice = "transcribe" not in model and "whisper" not in model
    place = {"model": model} if is_voice else transcription(model=model)
    path = "model" if is_voice else "audio.input.transcription.model"
    day = SHUTDOWNS[model][0]
    monkeypatch.setattr(constraints, "today", lambda: day)
    with pytest.raises(InvalidSession, match=f"{path}: OpenAI shut model {model} down on {day}: use gpt-"):
        parse_session(place)
    kept = parse_session(extra_fields=place).to_body()
    assert (kept["model"] if is_voice else kept["audio"]["input"]["transcription"]["model"]) == model


def test_a_reusable_prompt_is_refused_from_the_day_on_which_they_ended(monkeypatch):
    monkeypatch.setattr(constraints, "today", lambda: "2026-11-30")
    with pytest.raises(InvalidSession, match=r"prompt: OpenAI ended it on 2026-11-30; .*instructions"):
        parse_session({"prompt": {"id": "pmpt_1"}})


@pytest.mark.parametrize("odd", [5, "x", [], [5], {"a": []}, None, [{}], {"type": []}, [{"type": [], "name": {}}]])
def test_rules_leave_wrong_shapes_to_the_models(odd):
    names = ("model", "audio", "tools", "tool_choice", "output_modalities", "reasoning", "prompt")
    for name in names:
        contradictions({name: odd})
    for name in ("input", "output"):
        contradictions({"audio": {name: odd}})
    contradictions({"audio": {"input": {"transcription": odd}, "output": {"voice": odd}}})
    contradictions({"tools": [MCP], "tool_choice": odd})


@pytest.mark.parametrize("approval", [None, "always", {"always": {"tool_names": ["pay"]}}])
def test_a_tool_that_needs_approval_gives_a_warning(approval):
    assert ["tools.0.require_approval" in text for text in warned(tools=[{**MCP, "require_approval": approval}])] == [
        True
    ]


@pytest.mark.parametrize("approval", ["never", {"never": {"read_only": True}}])
def test_a_tool_that_needs_none_does_not(approval):
    assert warned(tools=[{**MCP, "require_approval": approval}]) == []


def test_a_format_and_a_reusable_prompt_give_a_warning():
    texts = warned(audio={"input": {"format": {"type": "audio/pcmu"}}}, prompt={"id": "pmpt_1"})
    assert ["audio.input.format" in texts[0], "2026-11-30" in texts[1], len(texts)] == [True, True, 2]


@pytest.mark.parametrize("model", sorted(SHUTDOWNS))
def test_every_model_with_an_end_gives_its_date_and_a_living_replacement(model):
    place = {"model": model} if "transcribe" not in model and "whisper" not in model else transcription(model=model)
    with pytest.warns(DeprecatedModelWarning, match=f"{model} down on {SHUTDOWNS[model][0]}: use gpt-"):
        parse_session(place)
    replacements = SHUTDOWNS[model][1].split(" or ")
    assert not set(replacements) & SHUTDOWNS.keys()
    assert set(replacements) <= {*MODELS, *TRANSCRIPTION_MODELS}


# -- what is known about models ------------------------------------------------------------------------------------

END = SHUTDOWNS["gpt-realtime"][0]


def warned_of(model: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_shutdown(model)
    assert all(each.category is DeprecatedModelWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize(("today", "is_over"), [("2027-01-19", False), (END, True), ("2030-01-01", True)])
def test_a_model_is_shut_down_from_its_day_on(monkeypatch: pytest.MonkeyPatch, today: str, is_over: bool) -> None:
    monkeypatch.setattr(constraints, "today", lambda: today)
    assert is_shut_down("gpt-realtime") is is_over
    assert (warned_of("gpt-realtime") == []) is is_over


@pytest.mark.parametrize("model", [DEFAULT_MODEL, "my-deployment", None, 7, ["gpt-realtime"]])
def test_a_model_without_an_announced_end_goes_on_without_a_warning(model: object) -> None:
    assert not is_shut_down(model)
    assert warned_of(model) == []


def test_a_warning_names_the_day_and_what_to_use() -> None:
    assert warned_of("whisper-1") == [
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
