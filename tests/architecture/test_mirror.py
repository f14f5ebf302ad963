"""Every module has a test file of its own, at the same place under ``tests/unit``."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_openai_realtime

ROOT = Path(airflow_openai_realtime.__file__).parent
TESTS = Path(__file__).parents[1] / "unit"


def needs_tests(path: Path) -> bool:
    """Whether a file holds behaviour that a test of its own can state: migrations are tested as they are run."""
    return path.name not in ("__init__.py", "__main__.py") and "migrations" not in path.parts


def file_of(module: str) -> Path:
    """Where the tests of a module are."""
    path = TESTS / module
    return path.with_name(f"test_{path.name}")


FILES = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
MODULES = sorted(path.as_posix() for path in FILES if needs_tests(path))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_file_of_its_own(module: str) -> None:
    file = file_of(module)
    has_tests = file.exists() and "def test_" in file.read_text()
    assert has_tests, f"write {file.relative_to(TESTS.parents[1])}, which states what {module} does"


def test_no_test_stands_in_two_files() -> None:
    """As it does when a module is joined with another and its test file is left behind."""
    files: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                files.setdefault(ast.dump(node), []).append(f"{path.relative_to(TESTS)}: {node.name}")
    assert [places for places in files.values() if len(places) > 1] == []
