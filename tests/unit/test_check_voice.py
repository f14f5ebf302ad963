"""The check of the voice finds words of the earlier style in text, and only there."""

from __future__ import annotations

import pytest
from scripts.check_voice import complaints, faults_in, is_covered, text_of_page, texts_in_python


def faults(source: str) -> list[tuple[int, str]]:
    return list(faults_in(texts_in_python(source)))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('"""Nobody waits."""\n', (1, "Nobody")),
        ("x = 1  # whoever calls\n", (1, "whoever")),
        ('def f():\n    """\n    Say.\n\n    What the model is told.\n    """\n', (5, "is told")),
        ("log('a line is\\nmended')\n", (1, "mended")),
        ("name = 'x'\nprint(f'{name} is wished for')\n", (2, "wished")),
        ("# what the model is\n# told first\n", (1, "is told")),
        ("#: The parts\n#: that anybody\n#: reads.\nx = 1\n", (2, "anybody")),
        ("# The phone was not rung.\n", (1, "was not rung")),
        ("# A dialled number.\n", (1, "dialled")),
        ("# It holds for  ever.\n", (1, "for ever")),
        ("def f():\n    return 1\n    # somebody\n", (3, "somebody")),
    ],
)
def test_a_word_in_text_is_found_with_its_line(source: str, fault: tuple[int, str]) -> None:
    assert faults(source) == [fault]


@pytest.mark.parametrize(
    "source",
    [
        "nobody = whoever = 1\n",
        "# We recommend it; the amendment was wishful.\n",
        "# The phone may have rung, or not rung.\n",
        "# It is\n# toldX\n",
        "# It is\nx = 1\n# told\n",
        '"""Returns the owner of the call."""\n',
        "log('webhook.nobody')\n",
    ],
)
def test_names_and_other_words_pass(source: str) -> None:
    assert faults(source) == []


def test_code_in_a_page_is_not_text() -> None:
    page = "One `nobody` here.\n\n```python\nnobody = 1\n```\n\nSays somebody.\n"
    assert list(faults_in([(1, text_of_page(page))])) == [(7, "somebody")]


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ("docs/guide.md", True),
        ("docs/", True),
        ("docs", False),
        ("docs/guide", False),
        ("docs/guide.md.txt", False),
        ("doc/", False),
    ],
)
def test_an_entry_covers_a_file_or_a_folder(entry: str, covered: bool) -> None:
    assert is_covered("docs/guide.md", entry) is covered


def test_a_fault_fails_unless_its_file_is_listed() -> None:
    found = {"docs/a.md": [(3, "nobody")], "docs/b.md": [(1, "mend")]}
    (line,) = complaints(found, ["docs/b.md"])
    assert line.startswith("docs/a.md:3: 'nobody' ")


def test_an_entry_without_faults_fails() -> None:
    found = {"docs/a.md": [(3, "nobody")]}
    assert complaints(found, ["docs/a.md", "provider/"]) == [
        "provider/ passes: remove it from scripts/unfinished_voice.txt"
    ]
