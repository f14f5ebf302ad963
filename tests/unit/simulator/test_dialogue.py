"""Dialogues as values: JSON, defaults, and what cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply, ToolCall

WHOLE = Dialogue(
    replies=(
        "Hello.",
        Reply("One moment.", (ToolCall("book", {"seats": 4}), ToolCall("raw", "{")), thinks_seconds=1),
        Reply(status="failed"),
    ),
    moves=(
        Move.says("Hi.", transcript="failed"),
        Move.interrupts("No!"),
        Move.presses("12#"),
        Move.waits(3),
        Move.session_error("server_error", "Oops.", fatal=True),
        Move.session_expires(),
        Move.socket_breaks(),
        Move.hangs_up(),
    ),
    repeats=True,
    starts="accepted",
    clean_close=True,
)


def test_a_dialogue_survives_json() -> None:
    assert Dialogue.from_dict(json.loads(json.dumps(WHOLE.to_dict()))) == WHOLE


def test_what_is_left_out_has_its_default() -> None:
    assert Dialogue.from_dict({}) == Dialogue()
    short = {"dialogue": {"replies": ["Hi.", {"tool_calls": [{"name": "book"}]}], "moves": [{"kind": "hangs_up"}]}}
    dialogue = PhoneScript.from_dict(short).dialogue
    assert dialogue == Dialogue(("Hi.", Reply.calls("book")), (Move.hangs_up(),))


def test_the_scripts_in_the_documentation_can_be_read() -> None:
    text = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    scripts = [each for block in blocks for queue in json.loads(block).values() for each in queue]
    assert any(PhoneScript.from_dict(each).dialogue.moves for each in scripts)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"replies": []}, "replies"),
        ({"replies": "Hello"}, "replies"),
        ({"replies": [{"txt": "Hello"}]}, "txt"),
        ({"replies": [7]}, "reply"),
        ({"replies": [{"status": "late"}]}, "status"),
        ({"replies": [{"thinks_seconds": -1}]}, "thinks_seconds"),
        ({"replies": [{"tool_calls": [{"arguments": {}}]}]}, "name"),
        ({"replies": [{"tool_calls": [{"name": "x", "arguments": 3}]}]}, "arguments"),
        ({"replies": [{"tool_calls": [{"name": "x", "args": {}}]}]}, "args"),
        ({"moves": {}}, "moves"),
        ({"moves": ["hangs_up"]}, "moves"),
        ({"moves": [{}]}, "kind"),
        ({"moves": [{"kind": "dances"}]}, "kind"),
        ({"moves": [{"kind": "says"}]}, "text"),
        ({"moves": [{"kind": "says", "text": "x", "volume": 3}]}, "volume"),
        ({"moves": [{"kind": "says", "text": "x", "when": "later"}]}, "when"),
        ({"moves": [{"kind": "says", "text": "x", "transcript": "lost"}]}, "transcript"),
        ({"moves": [{"kind": "presses", "keys": "12x"}]}, "keys"),
        ({"moves": [{"kind": "presses"}]}, "keys"),
        ({"moves": [{"kind": "hangs_up", "after_seconds": -1}]}, "after_seconds"),
        ({"starts": "later"}, "starts"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_a_dialogue_that_cannot_be_is_refused_by_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Dialogue.from_dict(values)
    assert caught.value.field == field


def test_replies_that_run_out_leave_the_last_words_without_tools() -> None:
    dialogue = Dialogue(("Hello.", Reply("Done.", (ToolCall("book"),)), Reply.calls("end_call")))
    assert dialogue.reply(2) == Reply.calls("end_call")
    assert dialogue.reply(3) == dialogue.reply(9) == Reply("Done.")
    assert Dialogue((Reply.calls("end_call"),)).reply(1).text
