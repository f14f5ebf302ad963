"""The check of the documentation finds what a reader would stumble over."""

from __future__ import annotations

import pytest
from scripts.check_docs import placeholders_in


@pytest.mark.parametrize(
    "line",
    [
        "| FIGURES |",
        "FIGURES",
        "| FIGURES | FIGURES |",
        "|  TO_DO  |",
        "It takes TBD seconds.",
        "{{ NUMBER }} calls",
        "| ... |",
    ],
)
def test_a_placeholder_that_was_left_is_found(line: str) -> None:
    text = f"# Speed\n\n```text\nCODE\n```\n{line}\n"
    assert [number for number, _ in placeholders_in(text)] == [6]


@pytest.mark.parametrize(
    "line",
    ["| E164 numbers |", "`TODO`", "| `API_KEY` | the key |", "SIP", "DAG runs", "| 404 | 12 |", "| - |"],
)
def test_plain_text_and_code_are_no_placeholders(line: str) -> None:
    assert list(placeholders_in(line)) == []
