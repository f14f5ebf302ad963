"""The check of the voice finds words of the earlier style in text, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.check_voice import ROOT, faults_in, files, text_of_page, texts_in_javascript, texts_in_python, texts_of


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
        ("# What they had been told.\n", (1, "been told")),
        ("# The model is not told.\n", (1, "is not told")),
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
    ("source", "fault"),
    [
        ("a();  // for whoever calls\n", (1, "whoever")),
        ("// what the page\n// is told\na();\n", (2, "is told")),
        ("// nothing\n  // what is\n  // told first\n", (2, "is told")),
        ("a();\n/**\n * Change a text.\n * Nobody's selection\n */\n", (4, "Nobody")),
        ("/* It is\n * told. */\n", (1, "is told")),
        ("a('https://x');  // somebody\n", (1, "somebody")),
        ('a("it\\"s", "nobody listened");\n', (1, "nobody")),
        ("a(\n  `;\n  nobody listened for ${b}`);\n", (3, "nobody")),
    ],
)
def test_a_word_in_a_script_s_text_is_found_with_its_line(source: str, fault: tuple[int, str]) -> None:
    assert list(faults_in(texts_in_javascript(source))) == [fault]


@pytest.mark.parametrize(
    "source",
    ["const nobody = whoever;\n", "a('it is'); told('told');\n", "// It is\nb();\n// told\n", "/* is */ told();\n"],
)
def test_names_in_a_script_pass(source: str) -> None:
    assert list(faults_in(texts_in_javascript(source))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""Nobody."""\n', ["Nobody"]),
        ('# First.\n"""Nobody."""\n', ["Nobody"]),
        ('def f():\n    """Nobody."""\n', ["Nobody"]),
        ('class A:\n    a = 1\n    """Whoever."""\n', ["Whoever"]),
        ('def f():\n    return 1\n\n"""Nobody."""\n', ["Nobody"]),
        ("a = 'nobody'  # somebody\n", ["somebody"]),
        ("call(\n    'nobody',\n    f'{a} nobody',\n)\n", []),
    ],
)
def test_strings_that_are_data_can_be_left_out(source: str, found: list[str]) -> None:
    assert [word for _, word in faults_in(texts_in_python(source, strings=False))] == found


@pytest.mark.parametrize(
    "path",
    [
        ".github/ISSUE_TEMPLATE/bug.yml",
        ".github/pull_request_template.md",
        "CHANGELOG.md",
        "README.md",
        "bench/load.py",
        "demo/campaign.py",
        "docs/design/layout.md",
        "example_dags/example_call_now.py",
        "provider/airflow_openai_realtime/states.py",
        "provider/airflow_openai_realtime/ui/static/dom.js",
        "scripts/check_docs.py",
        "tests/unit/test_check_voice.py",
    ],
)
def test_all_text_of_the_repository_is_checked(path: str) -> None:
    assert ROOT / path in files()


def test_strings_count_outside_of_the_tests_only() -> None:
    strings = {text for _, text in texts_of(Path(__file__))}
    assert '"README.md"' not in strings
    assert any("earlier style" in text for text in strings)
    assert any(text == '"README"' for _, text in texts_of(ROOT / "scripts" / "check_docs.py"))
