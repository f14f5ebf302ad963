"""
Check that the text of the repository avoids some words of an earlier style.

Checked are the pages and forms outside code, the docstrings, comments and strings of Python and JavaScript, and in
``tests/`` the docstrings and comments only, since strings there are data. The words are symptoms: a sentence that
contains one usually has no clear subject. Rewrite the sentence, with a noun that names who or what acts.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

WORDS = re.compile(
    r"(?<![.\w])(nobody|somebody|anybody|whoever|for\s+ever|mend(?:s|ed|ing)?|wish(?:es|ed)?"
    r"|(?:is|are|was|were|be|been|being)\s+(?:not\s+)?(?:told|rung)|dialled|doorbell|(?:order\s+)?desk|tall(?:y|ies))\b",
    re.IGNORECASE,
)
"""Words of the earlier style. A line break may stand between two words. Names such as ``webhook.nobody`` pass."""

CODE_IN_PAGE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# The comment mark of the second of two comment lines, so that words on both sides are seen together.
_NEXT_COMMENT = re.compile(r"\n\s*#:? ?")

# Strings are in it, since one may hold what would otherwise begin a comment.
_TEXT_IN_JAVASCRIPT = re.compile(
    r"""(?P<comment>(?://[^\n]*(?:\n[ ]*(?=//))?)+|/\*.*?\*/)"""
    r"""|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`""",
    re.DOTALL,
)
_NEXT_JAVASCRIPT_COMMENT = re.compile(r"\n\s*(?://|\*) ?")

# From Python 3.12 on an f-string is several tokens.
_TEXT_TOKENS = frozenset(
    [tokenize.STRING, tokenize.COMMENT, *filter(None, [getattr(tokenize, "FSTRING_MIDDLE", None)])]
)


def texts_in_python(source: str, *, strings: bool = True) -> Iterator[tuple[int, str]]:
    """
    Find the docstrings, comments and strings of a module.

    :param source: Source of the module.
    :param strings: Whether strings that are no docstrings count.
    :return: First line and text of each; comments on consecutive lines are one text.
    """
    comment: tuple[int, str] | None = None
    begins_statement = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comment = (
                (token.start[0], token.string) if comment is None else (comment[0], f"{comment[1]}\n{token.string}")
            )
            continue
        if token.type == tokenize.NL:
            continue
        if comment is not None:
            yield comment[0], _NEXT_COMMENT.sub("\n", comment[1])
            comment = None
        if token.type in _TEXT_TOKENS and (strings or begins_statement):
            # An escaped line break would join with the word behind it.
            yield token.start[0], token.string.replace("\\n", "  ")
        begins_statement = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def texts_in_javascript(source: str) -> Iterator[tuple[int, str]]:
    """
    Find the comments and strings of a script.

    :param source: Source of the script.
    :return: First line and text of each; comments on consecutive lines are one text.
    """
    for found in _TEXT_IN_JAVASCRIPT.finditer(source):
        text = _NEXT_JAVASCRIPT_COMMENT.sub("\n", found.group()) if found["comment"] else found.group()
        yield 1 + source.count("\n", 0, found.start()), text


def text_of_page(page: str) -> str:
    """
    Blank the code of a page.

    :param page: Markdown.
    :return: The page with the same line numbers, without code.
    """
    return CODE_IN_PAGE.sub(lambda code: "\n" * code.group().count("\n") or "code", page)


def faults_in(texts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """
    Find words of the earlier style.

    :param texts: First line and text of each text of a file.
    :return: Line and word of each fault.
    """
    for first_line, text in texts:
        for found in WORDS.finditer(text):
            yield first_line + text.count("\n", 0, found.start()), " ".join(found.group().split())


def texts_of(path: Path) -> list[tuple[int, str]]:
    """
    Find the texts of a file that are checked.

    :param path: A file of the repository.
    :return: First line and text of each.
    """
    text = path.read_text()
    if path.suffix == ".py":
        return list(texts_in_python(text, strings=not path.is_relative_to(ROOT / "tests")))
    return list(texts_in_javascript(text)) if path.suffix == ".js" else [(1, text_of_page(text))]


def files() -> list[Path]:
    """Return the files to check: all text of the repository but this module, which names the words."""
    folders = ("provider", "docs", "example_dags", "demo", "bench", "scripts", "tests", ".github")
    inside = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    found = [path for path in (*inside, *ROOT.glob("*.md")) if path.suffix in (".py", ".js", ".md", ".yml")]
    return sorted(path for path in found if path != Path(__file__).resolve())


def main() -> int:
    """Print the faults; the exit status is 1 if there are any."""
    checked = files()
    lines = [
        f"{path.relative_to(ROOT)}:{line}: {word!r} is a word of the earlier style: name who or what acts"
        for path in checked
        for line, word in faults_in(texts_of(path))
    ]
    print(*(lines or [f"voice: {len(checked)} files checked"]), sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
