"""The picture of the architecture shows what is there, and is what its text gives."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from scripts.draw_architecture import SOURCE, TARGET, UnreadableDrawing, read, svg
from tests.architecture.test_imports import BUILDS_ON, ROOT

DRAWING = read(SOURCE.read_text())
FOLDER = re.compile(r"((?:\w+/)+)(?=[\s:]|$)")


def allowed(part: str) -> set[str]:
    """All parts that a part may import."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        for each in BUILDS_ON[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found


def part(name: str) -> str:
    return f"switchboard.{name}" if name in ("client", "server") else name


def test_the_committed_picture_is_what_the_text_gives() -> None:
    assert TARGET.read_text() == svg(DRAWING)


def test_the_picture_is_one_document_that_needs_nothing_else() -> None:
    drawn = TARGET.read_text()
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert set(re.findall(r"https?://[^\"\s]+", drawn)) == {"http://www.w3.org/2000/svg"}


def test_every_folder_in_the_picture_exists() -> None:
    seen = 0
    for box in DRAWING.boxes.values():
        heads = FOLDER.findall(box.texts[0])
        inner = FOLDER.findall(" ".join(box.texts[1:]))
        for path in [*heads, *(f"{heads[0]}{name}" for name in inner)]:
            assert (ROOT / path).is_dir(), path
            seen += 1
    assert seen > 15


def test_every_folder_of_the_package_is_in_the_picture() -> None:
    shown = {head.split("/")[0] for box in DRAWING.boxes.values() for head in FOLDER.findall(box.texts[0])}
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert shown == there


def test_the_order_of_imports_in_the_picture_is_the_one_that_is_enforced() -> None:
    chains = " ".join(DRAWING.boxes["order"].texts[1:]).split(";")
    pairs = [pair for chain in chains for pair in zip(chain.split("<"), chain.split("<")[1:], strict=False)]
    assert len(pairs) > 8
    for lower, upper in pairs:
        assert part(lower.strip()) in allowed(part(upper.strip())), (lower, upper)
        assert part(upper.strip()) not in allowed(part(lower.strip())), (upper, lower)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("circle a 1 2 3 4 : A", "not title, size, band, box or arrow"),
        ("box a 1 2 3 : A", "not enough values"),
        ("box first 5 5 3 3 : A", "used twice"),
        ("box b 1 2 2 3 : A name that is far too long", "does not fit"),
        ("box b 1 2 3 1 : A | b | c | d", "does not fit"),
        ("arrow first.left@0.5 -> other.left@0.5 : x", "other.left@0.5"),
        ("arrow first.middle@0.5 -> first.left@0.5 : x", "first.middle@0.5"),
        ("arrow first.left@2 -> first.left@0.5 : x", "first.left@2"),
    ],
)
def test_a_line_that_cannot_be_drawn_is_named(line: str, reason: str) -> None:
    with pytest.raises(UnreadableDrawing, match=re.escape(reason)) as caught:
        read(f"size 9 9\nbox first 1 1 3 3 : A\n{line}")
    assert "line 3" in str(caught.value)


def test_text_from_the_description_cannot_break_the_document() -> None:
    drawn = svg(
        read("title : a < b & c\nsize 9 9\nbox a 1 1 6 3 : x < y & z\nbox b 1 5 6 3 : B\narrow a.top@0 -> b.top@1 : <&")
    )
    texts = [each.text for each in ElementTree.fromstring(drawn).iter() if each.tag.endswith(("title", "text"))]
    assert texts == ["a < b & c", "x < y & z", "B", "<&"]
