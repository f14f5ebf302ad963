"""Prompts, tracing and truncation: a plain word or an object, and no third."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.api.session.prompt import (
    InputFile,
    InputImage,
    InputText,
    Prompt,
    PromptCacheBreakpoint,
    Reasoning,
    RetentionRatio,
    TokenLimits,
    Tracing,
    TracingConfiguration,
    Truncation,
)
from airflow_openai_realtime.api.session.session_part import SessionPart
from airflow_openai_realtime.exceptions import InvalidSession


class Holder(SessionPart):
    """Where a session has these unions."""

    tracing: Tracing | None = None
    truncation: Truncation | None = None


def sent(part: Any) -> dict[str, Any]:
    body: dict[str, Any] = part.model_dump(exclude_unset=True)
    return body


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("Ann", str),
        ({"type": "input_text", "text": "Ann"}, InputText),
        ({"type": "input_image", "detail": "low", "image_url": "https://a.example/b.png"}, InputImage),
        ({"type": "input_file", "file_data": "aGk="}, InputFile),
        (InputText(text="Ann"), InputText),
    ],
)
def test_a_variable_of_a_prompt_is_a_text_or_an_object_with_a_type(given: Any, kind: type) -> None:
    variables = Prompt(id="pmpt_1", variables={"name": given}).variables
    assert variables is not None
    assert type(variables["name"]) is kind


@pytest.mark.parametrize("given", [7, None, {"text": "Ann"}, {"type": "input_audio"}, ["Ann"]])
def test_any_other_variable_is_refused_by_its_name(given: Any) -> None:
    with pytest.raises(InvalidSession, match=r"variables\.name: must be a string or an object with type input_text"):
        Prompt(id="pmpt_1", variables={"name": given})


def test_the_current_version_of_a_prompt_is_asked_for_by_null() -> None:
    assert sent(Prompt(id="pmpt_1", version=None)) == {"id": "pmpt_1", "version": None}
    with pytest.raises(InvalidSession, match="id"):
        Prompt(id="")


def test_null_leaves_a_file_or_image_out_and_its_type_is_sent() -> None:
    assert sent(InputImage(detail="auto", file_id=None, image_url=None)) == {
        "type": "input_image",
        "detail": "auto",
        "file_id": None,
        "image_url": None,
    }
    assert sent(InputFile(file_id=None, file_url=None)) == {"type": "input_file", "file_id": None}


def test_a_breakpoint_of_the_cache_is_explicit() -> None:
    text = InputText(text="a", prompt_cache_breakpoint={"mode": "explicit", "ttl": "12h"})
    assert text.prompt_cache_breakpoint == PromptCacheBreakpoint(mode="explicit", ttl="12h")
    with pytest.raises(InvalidSession, match=r"prompt_cache_breakpoint\.mode"):
        InputText(text="a", prompt_cache_breakpoint={"mode": "auto"})


@pytest.mark.parametrize("given", ["auto", {"workflow_name": "calls", "metadata": {"team": 7}}, TracingConfiguration()])
def test_tracing_is_automatic_or_named(given: Any) -> None:
    tracing = Holder(tracing=given).tracing
    assert isinstance(tracing, str) == (given == "auto")
    assert isinstance(tracing, TracingConfiguration) == (given != "auto")


@pytest.mark.parametrize("given", ["disabled", 7, ["auto"], {"metadata": {"a": {1}}}, {"group": "x"}])
def test_anything_else_is_no_tracing(given: Any) -> None:
    with pytest.raises(InvalidSession, match="tracing"):
        Holder(tracing=given)


def test_truncation_is_a_word_or_keeps_a_share() -> None:
    assert Holder(truncation="disabled").truncation == "disabled"
    kept = {"retention_ratio": 0.8, "token_limits": {"post_instructions": 0}}
    truncation = Holder(truncation=kept).truncation
    assert truncation == RetentionRatio(retention_ratio=0.8, token_limits=TokenLimits(post_instructions=0))
    assert sent(truncation)["type"] == "retention_ratio"


@pytest.mark.parametrize(
    "given",
    ["sometimes", 0.8, {"retention_ratio": 1.01}, {"retention_ratio": -0.1}, {"retention_ratio": True}, {}],
)
def test_a_share_is_between_none_and_all(given: Any) -> None:
    with pytest.raises(InvalidSession, match="truncation"):
        Holder(truncation=given)


def test_tokens_are_counted_in_whole_numbers_from_none() -> None:
    for wrong in (-1, 0.5, True):
        with pytest.raises(InvalidSession, match="post_instructions"):
            TokenLimits(post_instructions=wrong)


def test_effort_has_steps() -> None:
    assert sent(Reasoning(effort="xhigh")) == {"effort": "xhigh"}
    with pytest.raises(InvalidSession, match="effort"):
        Reasoning(effort="none")
