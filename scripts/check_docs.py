"""
Check what only readers would notice: links and code samples of the pages.

* A relative link in a page points at a file that exists, and its ``#anchor`` at a heading of it.
* A Python block in a page is taken from ``example_dags/``: a comment ``<!-- from PATH NAME -->`` above it names the
  file and the ``[START NAME]`` … ``[END NAME]`` part that it must equal.
* A block of nginx's configuration is a whole file of the repository: ``<!-- from PATH -->`` above it names the file.
* No page holds a placeholder that was to be filled in, such as a table row ``| FIGURES |`` or ``TODO``.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"(<!-- from (?P<path>\S+) (?P<name>\S+) -->\n)?```python\n(?P<code>.*?)```", re.DOTALL)
FILE_BLOCK = re.compile(r"(<!-- from (?P<path>\S+) -->\n)?```nginx\n(?P<text>.*?)```", re.DOTALL)
# A word in capitals that stands alone in a table's row or on a line, or a mark of unfinished work.
PLACEHOLDER = re.compile(
    r"^(?:[|\s]*(?:[A-Z][A-Z_]{3,}|<[A-Z_]{3,}>|\.\.\.|\?\?+))+[|\s]*$|\b(?:TODO|FIXME|TBD|XXX)\b|\{\{\s*[A-Z_]+\s*\}\}"
)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def pages() -> list[Path]:
    """Every page a reader may open."""
    at_the_root = [ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")]
    return [*at_the_root, *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Relative links that lead nowhere."""
    for target in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists():
            yield f"{page.relative_to(ROOT)}: link to {target}, which does not exist"
        elif anchor and linked.suffix == ".md" and anchor not in anchors(linked):
            yield f"{page.relative_to(ROOT)}: no heading for #{anchor} in {linked.relative_to(ROOT)}"


def snippet(path: Path, name: str) -> str | None:
    """The part of a file between ``[START name]`` and ``[END name]``, without common indentation."""
    found = re.search(
        rf"^[^\n]*\[START {re.escape(name)}\][^\n]*\n(.*?)^[^\n]*\[END {re.escape(name)}\]",
        path.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return textwrap.dedent(found.group(1)).strip() if found else None


def stale_samples(page: Path) -> Iterator[str]:
    """Python blocks that are not what the example file says."""
    for block in BLOCK.finditer(page.read_text()):
        where = f"{page.relative_to(ROOT)}: Python block starting {block['code'].strip().splitlines()[0]!r}"
        if block["path"] is None:
            yield f"{where} names no example file (<!-- from PATH NAME -->)"
            continue
        path = ROOT / block["path"]
        expected = snippet(path, block["name"]) if path.exists() else None
        if expected is None:
            yield f"{where}: {block['path']} has no part [START {block['name']}]"
        elif expected != block["code"].strip():
            yield f"{where} differs from {block['path']} {block['name']}"


def stale_files(page: Path) -> Iterator[str]:
    """Blocks that are not the file that they show."""
    for block in FILE_BLOCK.finditer(page.read_text()):
        where = f"{page.relative_to(ROOT)}: nginx block"
        if block["path"] is None:
            yield f"{where} names no file (<!-- from PATH -->)"
        elif (ROOT / block["path"]).read_text().strip() != block["text"].strip():
            yield f"{where} differs from {block['path']}"


def placeholders(page: Path) -> Iterator[str]:
    """What was to be filled in, outside code."""
    for number, text in placeholders_in(page.read_text()):
        yield f"{page.relative_to(ROOT)}:{number}: the placeholder {text!r} was left"


def placeholders_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each placeholder."""
    without_code = CODE.sub(lambda code: "\n" * code.group().count("\n") or "code", text)
    for number, line in enumerate(without_code.splitlines(), start=1):
        if found := PLACEHOLDER.search(line):
            yield number, found.group().strip()


PAGE_CHECKS = (broken_links, stale_samples, stale_files, placeholders)


def main() -> int:
    """Print what is wrong; the exit status is 1 when anything is."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--verbose", action="store_true", help="say what was looked at")
    verbose = parser.parse_args().verbose
    faults = [fault for page in pages() for check in PAGE_CHECKS for fault in check(page)]
    print(*faults, sep="\n", end="\n" if faults else "")
    if verbose or not faults:
        print(f"docs: {len(pages())} pages looked at, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
