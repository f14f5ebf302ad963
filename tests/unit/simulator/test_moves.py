"""What a person does in a call, as values that can be written in a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.moves import KINDS, Move

MOVES = [
    Move.says("Hello", transcript="never"),
    Move.interrupts("Stop"),
    Move.presses("12*#AD"),
    Move.waits(3),
    Move.hangs_up(after_seconds=0),
    Move.session_error("server_error", "It broke.", fatal=True),
    Move.session_expires(),
    Move.socket_breaks(when="speaking"),
]


def test_there_is_a_way_to_write_each_kind() -> None:
    assert {move.kind for move in MOVES} == set(KINDS)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.kind)
def test_a_move_is_the_same_after_it_was_written(move: Move) -> None:
    assert Move.from_dict(json.loads(json.dumps(move.to_dict()))) == move


@pytest.mark.parametrize(
    ("move", "when"),
    [
        (Move.says("Hello"), "quiet"),
        (Move.interrupts("Stop"), "speaking"),
        (Move.hangs_up(), "quiet"),
        (Move.waits(3), "anyway"),
        (Move.session_error(None), "anyway"),
        (Move.session_expires(), "anyway"),
        (Move.socket_breaks(), "anyway"),
        (Move.socket_breaks(when="quiet"), "quiet"),
    ],
)
def test_people_wait_for_the_model_and_accidents_do_not(move: Move, when: str) -> None:
    assert move.when == when


def test_what_is_left_out_has_its_default() -> None:
    assert Move.from_dict({"kind": "says", "text": "Hello"}) == Move.says("Hello")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "kind"),
        ({"kind": "sings"}, "kind"),
        ({"kind": "says"}, "text"),
        ({"kind": "says", "text": "x", "transcript": "late"}, "transcript"),
        ({"kind": "presses"}, "keys"),
        ({"kind": "presses", "keys": "12a"}, "keys"),
        ({"kind": "waits", "after_seconds": -0.1}, "after_seconds"),
        ({"kind": "says", "text": "x", "transcript_after_seconds": -1}, "transcript_after_seconds"),
        ({"kind": "hangs_up", "when": "never"}, "when"),
        ({"kind": "hangs_up", "loudly": True}, "loudly"),
        ("hangs_up", "moves"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_field(values: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Move.from_dict(values)
    assert refused.value.field == field
