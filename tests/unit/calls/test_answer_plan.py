from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.session.realtime_session import RealtimeSession, parse_session
from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
CALL = SwitchboardCall("rtc_1", "support", "claimed", NOW, NOW, from_number="+14155550123")
KEY = "sk-a-key"
FULL = parse_session(
    instructions="Caller {caller}.",
    voice="marin",
    tracing="auto",
    tools=[
        {
            "type": "mcp",
            "server_label": "crm",
            "server_url": "https://crm.example.com",
            "authorization": "oauth-very-secret",
            "require_approval": "never",
        }
    ],
    extra_fields={"audio": {"output": {"new_field": 1}}},
)


def body(session: Any) -> Any:
    return accept_call("rtc_1", session).body


def test_the_session_for_a_call_is_the_one_that_was_checked() -> None:
    assert body(AnswerPlan.of(FULL, 60).session_for(CALL)) == body(FULL)


def test_with_caller_fields_only_the_instructions_differ() -> None:
    made = AnswerPlan.of(FULL, 60, {"caller": "from_number"}).session_for(CALL)
    assert body(made) == {**body(FULL), "instructions": made["instructions"]}
    assert made["instructions"].endswith('Caller [caller data: "+14155550123"].')


def test_one_call_leaves_nothing_to_the_next() -> None:
    plan = AnswerPlan.of(FULL, 60, {"caller": "from_number"})
    plan.session_for(CALL)
    assert "0123" not in plan.session_for(replace(CALL, from_number="+14155550199"))["instructions"]


@pytest.mark.parametrize("fields", [None, {"caller": "from_number"}])
def test_a_sealed_plan_is_read_as_it_was(fields: dict[str, str] | None) -> None:
    plan = AnswerPlan.of(FULL, 60, fields)
    sealed = plan.seal(KEY)
    assert json.loads(json.dumps(sealed)) == sealed
    assert AnswerPlan.unseal(sealed, KEY) == plan


def test_a_sealed_plan_shows_nothing() -> None:
    sealed = AnswerPlan.of(FULL, 60, {"caller": "from_number"}).seal(KEY)
    assert not [text for text in ("very-secret", "Caller", "crm", KEY) if text in sealed]


def test_a_plan_shows_no_session() -> None:
    assert "very-secret" not in repr(AnswerPlan.of(FULL, 60))


@pytest.mark.parametrize(("change", "key"), [("", "sk-another"), ("x", KEY), ("AAAA", KEY)])
def test_with_another_key_or_changed_it_cannot_be_read(change: str, key: str) -> None:
    sealed = AnswerPlan.of(FULL, 60).seal(KEY)
    with pytest.raises(ConfigurationError, match="has changed") as error:
        AnswerPlan.unseal(change + sealed, key)
    assert key not in str(error.value)


def test_caller_fields_without_instructions_are_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        AnswerPlan.of(RealtimeSession(), 60, {"caller": "from_number"})
    assert error.value.field == "caller_fields"


def test_without_caller_fields_braces_are_only_braces() -> None:
    session = parse_session(instructions='Answer as {"x": 1}.')
    assert AnswerPlan.of(session, 60).session_for(CALL)["instructions"] == 'Answer as {"x": 1}.'
