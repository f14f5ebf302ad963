"""
Check that the text of the package and of its documentation avoids some words of an earlier style.

Checked are docstrings, comments and strings in ``provider/``, and the pages of ``docs/`` outside code. The words are
symptoms: a sentence that contains one usually has no clear subject. Rewrite the sentence, with a noun that names who
or what acts.

``unfinished_voice.txt``, if there is one, lists files, and folders with a trailing ``/``, that do not pass yet. An
entry in which every text passes must be removed from the list.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNFINISHED = Path(__file__).parent / "unfinished_voice.txt"

WORDS = re.compile(
    r"(?<![.\w])(nobody|somebody|anybody|whoever|for\s+ever|mend(?:s|ed|ing)?|wish(?:es|ed)?|(?:is|are)\s+told"
    r"|(?:is|are|was|were|be|been|being)\s+(?:not\s+)?rung|dialled|doorbell|(?:order\s+)?desk|tall(?:y|ies))\b",
    re.IGNORECASE,
)
"""Words of the earlier style. A line break may stand between two words. Names such as ``webhook.nobody`` pass."""

CODE_IN_PAGE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# The comment mark of the second of two comment lines, so that words on both sides are seen together.
_NEXT_COMMENT = re.compile(r"\n\s*#:? ?")

# From Python 3.12 on an f-string is several tokens.
_TEXT_TOKENS = frozenset(
    [tokenize.STRING, tokenize.COMMENT, *filter(None, [getattr(tokenize, "FSTRING_MIDDLE", None)])]
)


def texts_in_python(source: str) -> Iterator[tuple[int, str]]:
    """
    Find the docstrings, comments and strings of a module.

    :param source: Source of the module.
    :return: First line and text of each; comments on consecutive lines are one text.
    """
    comment: tuple[int, str] | None = None
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
        if token.type in _TEXT_TOKENS:
            # An escaped line break would join with the word behind it.
            yield token.start[0], token.string.replace("\\n", "  ")


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


def faults_of(path: Path) -> list[tuple[int, str]]:
    """
    Check one file.

    :param path: A Python module or a Markdown page.
    :return: Line and word of each fault.
    """
    text = path.read_text()
    return list(faults_in(texts_in_python(text) if path.suffix == ".py" else [(1, text_of_page(text))]))


def files() -> list[Path]:
    """Return the files to check."""
    return [*sorted((ROOT / "provider").rglob("*.py")), *sorted((ROOT / "docs").rglob("*.md"))]


def is_covered(path: str, entry: str) -> bool:
    """
    Tell whether an entry of the list covers a file.

    :param path: Path of the file from the repository's root.
    :param entry: Path of a file, or of a folder with a trailing ``/``.
    """
    return path.startswith(entry) if entry.endswith("/") else path == entry


def complaints(found: dict[str, list[tuple[int, str]]], unfinished: Iterable[str]) -> list[str]:
    """
    Build the messages of a failed check.

    :param found: Faults by path from the repository's root; files without faults are left out.
    :param unfinished: Entries of the list.
    :return: A line for each fault in a file that no entry covers, and for each entry without faults.
    """
    entries = list(unfinished)
    lines = [
        f"{path}:{line}: {word!r} is a word of the earlier style: name who or what acts"
        for path, faults in found.items()
        if not any(is_covered(path, entry) for entry in entries)
        for line, word in faults
    ]
    done = [entry for entry in entries if not any(is_covered(path, entry) for path in found)]
    return lines + [f"{entry} passes: remove it from scripts/{UNFINISHED.name}" for entry in done]


def main() -> int:
    """Print the faults; the exit status is 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--all", action="store_true", help="also print the faults of unfinished files")
    asked = parser.parse_args()
    checked = {path.relative_to(ROOT).as_posix(): faults_of(path) for path in files()}
    found = {path: faults for path, faults in checked.items() if faults}
    entries = UNFINISHED.read_text().split() if UNFINISHED.exists() else []
    lines = complaints(found, () if asked.all else entries)
    print(*lines, sep="\n", end="\n" if lines else "")
    if not lines:
        print(f"voice: {len(checked)} files checked, {len(entries)} unfinished entries")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
