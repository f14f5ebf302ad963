"""What is to happen in a call, as operators give it: checked at parse time, read when it is rendered."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from tests.unit.conversation import tool_samples

from airflow_openai_realtime.conversation.given_conversation import (
    CONVERSATION_FIELDS,
    NAMES_OF_CODE,
    SILENCE_SECONDS,
    TEMPLATED_CONVERSATION_FIELDS,
    ConversationParameters,
)
from airflow_openai_realtime.conversation.rules import plan as rules
from airflow_openai_realtime.exceptions import InvalidInput

TEMPLATE = "{{ params.x }}"
PATH = "tests.unit.conversation.tool_samples."


def test_the_default_of_the_silence_is_that_of_the_rules() -> None:
    assert ConversationParameters().silence_seconds == SILENCE_SECONDS == rules.SILENCE_SECONDS


def test_parameters_are_picked_from_among_others() -> None:
    defaults = {field.name: field.default for field in fields(ConversationParameters)}
    parameters = ConversationParameters.of({**defaults, "greeting": "Hello", "task_id": "talk"})
    assert parameters == ConversationParameters(greeting="Hello")
    assert parameters.changed_from(ConversationParameters()) == ["greeting"]
    assert ConversationParameters().changed_from(ConversationParameters()) == []
    with pytest.raises(KeyError):
        ConversationParameters.of({"greeting": "Hello"})


def test_code_is_named_in_the_dag_file_and_nowhere_else() -> None:
    assert set(CONVERSATION_FIELDS) - set(TEMPLATED_CONVERSATION_FIELDS) == set(NAMES_OF_CODE)
    for given in ({"result_model": TEMPLATE}, {"functions": [TEMPLATE]}, {"functions": [{"path": TEMPLATE}]}):
        with pytest.raises(InvalidInput, match="names code to run") as refused:
            ConversationParameters(**given).check_literals()
        assert refused.value.field == next(iter(given))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"silence_seconds": 0}, "silence_seconds"),
        ({"greeting": "x" * 2_001}, "greeting"),
        ({"prices": {"gpt-realtime-2.1": {"audio": 1}}}, "prices"),
        ({"transcript_path": "calls.pdf"}, "transcript_path"),
        ({"transfer_to": {"boss": "boss"}}, None),
        ({"functions": ["book"]}, None),
    ],
)
def test_a_wrong_literal_shows_at_parse_time_and_when_it_is_read(given: dict[str, Any], field: str | None) -> None:
    for read in (ConversationParameters(**given).check_literals, ConversationParameters(**given).wanted):
        with pytest.raises(InvalidInput) as refused:
            read()
        assert field is None or str(refused.value.field).startswith(field)


@pytest.mark.parametrize("name", [name for name in TEMPLATED_CONVERSATION_FIELDS if name != "end_call"])
def test_templates_wait_for_their_values(name: str) -> None:
    ConversationParameters(**{name: TEMPLATE}).check_literals()


def test_what_templates_rendered_to_is_read() -> None:
    wanted = ConversationParameters(
        greeting="Hello",
        silence_seconds="12.5",
        functions=[tool_samples.look_up, PATH + "book"],
        prices='{"gpt-realtime-2.1": {"audio_output": 1}}',
        transcript_path="/tmp/calls/",
    ).wanted()
    assert (wanted.plan.greeting, wanted.plan.silence_seconds) == ("Hello", 12.5)
    assert [spec.name for spec in wanted.plan.functions] == ["look_up", "book"]
    assert wanted.prices == {"gpt-realtime-2.1": {"audio_output": 1}}


def test_without_prices_and_path_there_are_none() -> None:
    assert ConversationParameters().price_table() is None
    assert ConversationParameters().transcript_target() is None
    assert ConversationParameters(transcript_path="s3://bucket/calls/").transcript_target() == "s3://bucket/calls/"


def test_tools_are_offered_by_name_without_importing_them() -> None:
    offered = ConversationParameters(functions=["there.is.no.such.module"]).offered_tools()
    assert "module" in offered
    assert {"record_result", "end_call"} <= set(offered)
    with pytest.raises(InvalidInput):
        ConversationParameters(functions=["no path"]).offered_tools()


@pytest.mark.parametrize("path", ["s3://conn@bucket/calls/", "file:///tmp/call.txt", "gs://bucket/call.json"])
def test_a_transcript_goes_to_a_folder_or_a_file_of_a_known_kind(path: str) -> None:
    assert ConversationParameters(transcript_path=path).transcript_target() == path


@pytest.mark.parametrize("path", [None, "", "None"])
def test_a_transcript_without_a_path_goes_nowhere(path: Any) -> None:
    assert ConversationParameters(transcript_path=path).transcript_target() is None


@pytest.mark.parametrize("path", ["s3://bucket/calls", "call.doc", 7])
def test_a_transcript_goes_to_no_other_kind_of_file(path: Any) -> None:
    with pytest.raises(InvalidInput, match="transcript_path must end with"):
        ConversationParameters(transcript_path=path).transcript_target()
