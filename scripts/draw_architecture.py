"""
Draw ``docs/architecture.svg`` from ``docs/architecture.txt``.

The text holds bands (a process or a place), boxes (parts) and arrows between the sides of boxes; its first lines say
how they are written. The same text always gives the same bytes, so that ``--check`` can compare.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "architecture.txt"
TARGET = ROOT / "docs" / "architecture.svg"
# Pixels of one unit of the grid, of a line of text, and at most of a letter of a box's name and of its other lines.
UNIT = 48
LINE = 18
NAME_LETTER, LETTER = 8.6, 7.4
SIDES = {"top": (None, 0.0), "bottom": (None, 1.0), "left": (0.0, None), "right": (1.0, None)}
STYLE = """
  svg { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
  .ground { fill: #ffffff; } .band { fill: #f3f6fa; stroke: #c5d0de; }
  .box { fill: #ffffff; stroke: #1f4e79; stroke-width: 1.5; }
  .bandname { fill: #4a5b70; font-size: 14px; } .name { fill: #12304f; font-size: 15px; font-weight: 600; }
  .line { fill: #33445a; font-size: 13px; } .label { fill: #7a3b00; font-size: 13px; stroke: #ffffff; stroke-width: 4px;
  paint-order: stroke; } .arrow { fill: none; stroke: #7a3b00; stroke-width: 1.5; } .tip { fill: #7a3b00; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14181f; } .band { fill: #1c232d; stroke: #3a4757; } .box { fill: #14181f; stroke: #7fb2e5; }
    .bandname, .line { fill: #b8c4d3; } .name { fill: #e6eef8; } .label { fill: #f0b27a; stroke: #14181f; }
    .arrow { stroke: #f0b27a; } .tip { fill: #f0b27a; }
  }
"""


class UnreadableDrawing(ValueError):
    """A line of the text that says nothing that can be drawn; the message names the line."""


@dataclass(frozen=True)
class Frame:
    """
    A rectangle with text.

    :param x: Left side, in units of the grid.
    :param y: Upper side, in units of the grid.
    :param width: In units of the grid, above 0.
    :param height: In units of the grid, above 0.
    :param texts: The name, then further lines.
    """

    x: float
    y: float
    width: float
    height: float
    texts: tuple[str, ...]

    def point(self, side: str, where: float) -> tuple[float, float]:
        """
        A point on the edge.

        :param side: ``top``, ``bottom``, ``left`` or ``right``.
        :param where: From 0 to 1 along that side.
        :return: x and y in pixels.
        """
        across, down = SIDES[side]
        share_x, share_y = where if across is None else across, where if down is None else down
        return (self.x + self.width * share_x) * UNIT, (self.y + self.height * share_y) * UNIT


@dataclass(frozen=True)
class End:
    """
    One end of an arrow.

    :param box: Id of the box.
    :param side: Side of the box.
    :param where: From 0 to 1 along that side.
    """

    box: str
    side: str
    where: float


@dataclass
class Drawing:
    """
    What the text says.

    :param title: Title of the picture.
    :param size: Width and height, in units of the grid.
    :param bands: Rectangles behind the boxes.
    :param boxes: Boxes by id.
    :param arrows: Start, end and label of each arrow.
    """

    title: str = ""
    size: tuple[float, float] = (0.0, 0.0)
    bands: list[Frame] = field(default_factory=list)
    boxes: dict[str, Frame] = field(default_factory=dict)
    arrows: list[tuple[End, End, str]] = field(default_factory=list)


def read(text: str) -> Drawing:
    """
    Read a drawing.

    :param text: The description.
    :return: What it says.
    :raises UnreadableDrawing: A line is not understood, an id is used twice, a text does not fit into
        its box, or an arrow names a box that is not there.
    """
    drawing = Drawing()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                _read_line(drawing, line)
            except (ValueError, KeyError, IndexError) as error:
                raise UnreadableDrawing(f"line {number}: {line!r}: {error}") from None
    return drawing


def _read_line(drawing: Drawing, line: str) -> None:
    head, _, tail = line.partition(":")
    kind, *words = head.split()
    if kind == "title":
        drawing.title = tail.strip()
    elif kind == "size":
        width, height = map(float, words)
        drawing.size = (width, height)
    elif kind == "band":
        drawing.bands.append(_frame(words, tail))
    elif kind == "box":
        if words[0] in drawing.boxes:
            raise ValueError("this id is used twice")
        drawing.boxes[words[0]] = _fitting(_frame(words[1:], tail))
    elif kind == "arrow" and words[1] == "->":
        drawing.arrows.append((_end(drawing, words[0]), _end(drawing, words[2]), tail.strip()))
    else:
        raise ValueError("not title, size, band, box or arrow")


def _frame(words: list[str], texts: str) -> Frame:
    x, y, width, height = map(float, words)
    return Frame(x, y, width, height, tuple(part.strip() for part in texts.split("|")))


def _fitting(box: Frame) -> Frame:
    """The same box; its text fits into it."""
    widest = max(len(text) * (LETTER if index else NAME_LETTER) for index, text in enumerate(box.texts))
    if widest > box.width * UNIT or len(box.texts) * LINE > box.height * UNIT:
        raise ValueError("the text does not fit into the box")
    return box


def _end(drawing: Drawing, word: str) -> End:
    found = re.fullmatch(r"(\w+)\.(top|bottom|left|right)@(0?\.\d+|[01])", word)
    if found is None or found[1] not in drawing.boxes:
        raise ValueError(f"{word} is not BOX.side@share of a box above")
    return End(found[1], found[2], float(found[3]))


def svg(drawing: Drawing) -> str:
    """
    The picture.

    :param drawing: What to draw.
    :return: An SVG document that ends with a newline.
    """
    width, height = (_number(each * UNIT) for each in drawing.size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(drawing.title)}</title>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path class="tip" d="M0 0 8 4 0 8Z"/></marker></defs>',
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]
    parts += [_band(band) for band in drawing.bands]
    parts += [_box(box) for box in drawing.boxes.values()]
    parts += [_arrow(drawing, *arrow) for arrow in drawing.arrows]
    return "\n".join([*parts, "</svg>", ""])


def _band(band: Frame) -> str:
    x, y = _number(band.x * UNIT + 12), _number(band.y * UNIT + 22)
    return f'{_rectangle(band, "band")}\n<text class="bandname" x="{x}" y="{y}">{escape(band.texts[0])}</text>'


def _box(box: Frame) -> str:
    middle = _number((box.x + box.width / 2) * UNIT)
    top = (box.y + box.height / 2) * UNIT - (len(box.texts) - 1) * LINE / 2 + 5
    lines = [
        f'<text class="{"line" if index else "name"}" text-anchor="middle" x="{middle}" '
        f'y="{_number(top + index * LINE)}">{escape(text)}</text>'
        for index, text in enumerate(box.texts)
    ]
    return "\n".join([_rectangle(box, "box"), *lines])


def _rectangle(frame: Frame, style: str) -> str:
    x, y, width, height = (_number(each * UNIT) for each in (frame.x, frame.y, frame.width, frame.height))
    return f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'


def _arrow(drawing: Drawing, start: End, end: End, label: str) -> str:
    """A path of right angles, with its label at the middle of the longest part."""
    (x1, y1), (x2, y2) = (drawing.boxes[each.box].point(each.side, each.where) for each in (start, end))
    if start.side in ("top", "bottom"):
        middle = (y1 + y2) / 2
        corners = [(x1, y1), (x1, middle), (x2, middle), (x2, y2)]
    else:
        middle = (x1 + x2) / 2
        corners = [(x1, y1), (middle, y1), (middle, y2), (x2, y2)]
    path = " ".join(f"{_number(x)} {_number(y)}" for x, y in corners)
    drawn = f'<path class="arrow" marker-end="url(#tip)" d="M{path}"/>'
    if not label:
        return drawn
    straight = abs(x1 - x2) < UNIT / 2 or abs(y1 - y2) < UNIT / 2
    (ax, ay), (bx, by) = ((x1, y1), (x2, y2)) if straight else _longest_part(corners)
    at_x, at_y = (ax + bx) / 2, (ay + by) / 2 + (-6 if abs(ay - by) < 1 else 4)
    text = f'<text class="label" text-anchor="middle" x="{_number(at_x)}" y="{_number(at_y)}">{escape(label)}</text>'
    return f"{drawn}\n{text}"


def _longest_part(corners: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    return max(pairwise(corners), key=lambda part: abs(part[0][0] - part[1][0]) + abs(part[0][1] - part[1][1]))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def main() -> int:
    """Write the picture, or say whether it is current; the exit status is 1 when it is not."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the picture differs")
    drawn = svg(read(SOURCE.read_text()))
    if not parser.parse_args().check:
        TARGET.write_text(drawn)
        return 0
    if not TARGET.exists() or TARGET.read_text() != drawn:
        print("docs/architecture.svg is not what its text gives: run `.venv/bin/python -m scripts.draw_architecture`")
        return 1
    print("docs/architecture.svg: as its text says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
