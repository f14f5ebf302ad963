"""The example DAGs parse, on every Airflow that is supported, without a connection being looked up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "example_dags").glob("example_*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_defines_a_valid_dag_named_after_its_file(path: Path) -> None:
    program = (
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('example', {str(path)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.dag.validate()\n"
        "print(module.dag.dag_id)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == path.stem
