"""Commands for the sideband: their JSON, and what is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.api.sideband.commands import (
    cancel_response,
    clear_audio,
    function_output,
    say,
    system_text,
    update_session,
    user_text,
)
from airflow_openai_realtime.exceptions import InvalidInput


def test_a_response_is_asked_for_with_what_was_given_only() -> None:
    assert say() == {"type": "response.create"}
    assert say("Say hello.", tool_choice="none", metadata={"topic": "hi"}) == {
        "type": "response.create",
        "response": {"instructions": "Say hello.", "tool_choice": "none", "metadata": {"topic": "hi"}},
    }


def test_a_change_of_the_session_always_has_its_type() -> None:
    assert update_session(tools=[]) == {"type": "session.update", "session": {"tools": [], "type": "realtime"}}
    assert update_session(type="other", tools=[])["session"]["type"] == "realtime"


def test_items_and_short_commands() -> None:
    item = {"type": "function_call_output", "call_id": "call_1", "output": "{}"}
    assert function_output("call_1", "{}") == {"type": "conversation.item.create", "item": item}
    assert user_text("Hi")["item"]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert (user_text("Hi")["item"]["role"], system_text("Hi")["item"]["role"]) == ("user", "system")
    assert (cancel_response()["type"], clear_audio()["type"]) == ("response.cancel", "output_audio_buffer.clear")


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: function_output("", "x"), "tool_call_id"),
        (lambda: function_output("call_1", {"a": 1}), "output"),  # type: ignore[arg-type]
        (lambda: update_session(), "changes"),
        (lambda: update_session(type="realtime"), "changes"),
        (lambda: say(metadata={"a": 1}), "metadata"),  # type: ignore[dict-item]
        (lambda: say(metadata={str(n): "" for n in range(17)}), "metadata"),
        (lambda: say(metadata={"a" * 65: ""}), "metadata"),
        (lambda: say(metadata={"a": "b" * 513}), "metadata"),
    ],
)
def test_what_openai_would_refuse_is_refused_at_once(build: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        build()
    assert caught.value.field == field
