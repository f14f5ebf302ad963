"""
No test replaces what the whole process shares of ``asyncio`` and ``time``.

Another thread with an event loop (a served application, the background loop) sees a replaced ``asyncio.sleep`` too.
One that does not wait lets its loops run without a pause: the test process ended without memory, 22 GB later.
Code whose pauses a test has to see takes ``sleep`` or ``now`` as an argument.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py"))
SHARED = {"asyncio", "time"}


def replaced(tree: ast.Module) -> list[str]:
    """What ``setattr``, ``delattr`` and ``patch`` replace in a shared module, with its line."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in ("setattr", "delattr", "patch", "object"):
            continue
        target = node.args[0]
        if isinstance(target, ast.Constant) and isinstance(target.value, str):
            parts = target.value.split(".")
        else:
            parts = [*ast.unparse(target).split("."), ""]
        if SHARED & set(parts[-2:-1]):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def test_the_clock_of_the_process_is_left_alone() -> None:
    found = {file: replaced(ast.parse((TESTS / file).read_text())) for file in FILES}
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        'monkeypatch.setattr(pacing.asyncio, "sleep", sleep)',
        'monkeypatch.setattr(asyncio, "sleep", sleep)',
        'monkeypatch.setattr("package.module.time.time", now)',
        'mock.patch("time.sleep")',
        'mock.patch.object(time, "monotonic", now)',
        'setattr(module.time, "sleep", sleep)',
    ],
)
def test_a_replacement_is_found(code: str) -> None:
    assert len(replaced(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code", ['monkeypatch.setattr(module, "sleep", sleep)', 'monkeypatch.setattr(loop, "time", now)', "f(time)"]
)
def test_what_belongs_to_one_module_or_loop_may_be_replaced(code: str) -> None:
    assert replaced(ast.parse(code)) == []
