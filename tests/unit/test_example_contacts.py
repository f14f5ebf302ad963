"""The list of the example campaign, as spreadsheets write it."""

from __future__ import annotations

import csv
import io
import itertools
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "example_callback_campaign.py"
SHIPPED = EXAMPLE.with_name("callback_contacts.csv")

READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(sys.argv[1]).dags["example_callback_campaign"]
for path in sys.argv[2:]:
    params = {"contacts_file": path, "shop": "us"}
    read = {name: dag.get_task(name).python_callable(params) for name in ("contacts_to_talk_to", "contacts_to_decline")}
    print("found " + json.dumps(read))
"""


def read(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Read lists as the DAG's tasks do, in a process of its own."""
    command = [sys.executable, "-c", READ, str(EXAMPLE), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def written(delimiter: str) -> str:
    out = io.StringIO()
    with SHIPPED.open(newline="") as file:
        csv.writer(out, delimiter=delimiter).writerows(csv.reader(file))
    return out.getvalue()


def test_lists_that_spreadsheets_wrote_are_read_as_the_shipped_one(tmp_path: Path) -> None:
    paths = []
    for number, (mark, delimiter) in enumerate(itertools.product(("", "\ufeff"), (",", ";", "\t"))):
        paths.append(tmp_path / f"{number}.csv")
        paths[-1].write_text(mark + written(delimiter), encoding="utf-8", newline="")
    answer = read(SHIPPED, *paths)
    assert answer.returncode == 0, answer.stderr
    shipped, *found = (line for line in answer.stdout.splitlines() if line.startswith("found "))
    assert "+14155550101" in shipped
    assert found == [shipped] * len(paths)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("name,number,topic,transfer_to\nAda,+14155550101,x,\n")
    answer = read(path)
    assert answer.returncode != 0
    assert "no column if_answered" in answer.stderr
