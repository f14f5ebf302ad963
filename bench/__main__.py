"""Run the measurements, print a table and write ``build/bench.json`` (flat: name → number)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import answer_latency, import_cost

MEASUREMENTS = {"import_cost": import_cost.measure, "answer_latency": answer_latency.measure}
RESULT = Path("build/bench.json")


def main() -> None:
    """Measure what was asked for; everything by default."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(MEASUREMENTS)}; default: all")
    names = parser.parse_args().names or list(MEASUREMENTS)
    figures: dict[str, float] = {}
    for name in names:
        figures.update(MEASUREMENTS[name]())

    table = Table("figure", "value", title="Measured on this machine, just now")
    for figure, value in sorted(figures.items()):
        table.add_row(figure, f"{value:,.2f}")
    Console().print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
