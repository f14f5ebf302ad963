"""Run the measurements, print a table and write ``build/bench.json`` (flat: name → number)."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import operator
import sys
import time
import traceback
from pathlib import Path

from demo.airflow_processes import interrupted_by_signals
from rich.console import Console
from rich.table import Table

#: Where each measurement is made: a function without arguments that gives figures by name.
MEASUREMENTS = {
    "import_cost": "bench.import_cost:measure",
    "connections": "bench.connections:measure",
    "transactions": "bench.transactions:measure",
    "order_latency": "bench.order_latency:measure",
    "intake_sqlite": "bench.intake:measure_sqlite",
    "intake_postgres": "bench.intake:measure_postgres",
    "intake_mounted": "bench.intake_mounted:measure",
    "waiting": "bench.waiting:measure",
    "answer_in_airflow": "bench.answer_in_airflow:measure",
    "live_calls": "bench.live_calls:measure",
    "fresh_triggerer": "bench.fresh_triggerer:measure",
}
RESULT = Path("build/bench.json")

#: What is promised of a figure, on two cores.
TARGETS = {
    "answer_order_p99_ms": ("≤", 50),
    "answer_order_unanswered": ("≤", 0),
    "answer_order_speedup": ("≥", 100),
    "answer_trigger_p99_ms": ("≤", 250),
    "answer_trigger_unanswered": ("≤", 0),
    "answer_trigger_speedup": ("≥", 30),
    "import_share_of_openai_provider": ("≤", 0.05),
    "intake_share_of_floor_sqlite": ("≥", 0.6),
    "intake_share_of_floor_postgres": ("≥", 0.6),
    "intake_vs_inbound_webhooks": ("≥", 4),
    "fresh_triggerer_database_vs_environment": ("≤", 1.5),
    "live_200_loop_lag_p99_ms": ("≤", 50),
    "waiting_500_connections": ("≤", 1),
    "waiting_500_extra_mb": ("≤", 60),
}
_COMPARE = {"≤": operator.le, "≥": operator.ge}


def main() -> int:
    """
    Measure what was asked for, everything by default.

    :returns: 1 when a measurement could not be made; the others are made and written nevertheless.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(MEASUREMENTS)}; default: all")
    names = parser.parse_args().names or list(MEASUREMENTS)
    if unknown := set(names) - set(MEASUREMENTS):
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    figures: dict[str, float] = {}
    failed = []
    _write(figures)  # none of an earlier run may pass for one of this
    for name in names:
        print(f"-- {name}", flush=True)
        begun = time.monotonic()
        try:
            figures.update(_measure(name))
            _write(figures)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print(f"   {time.monotonic() - begun:.0f} s", flush=True)
    _print(figures)
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measure(name: str) -> dict[str, float]:
    module, _, function = MEASUREMENTS[name].partition(":")
    figures: dict[str, float] = getattr(importlib.import_module(module), function)()
    return figures


def _print(figures: dict[str, float]) -> None:
    table = Table("figure", "value", "promised", title="Measured on this machine, just now")
    table.columns[1].justify = "right"
    for figure, value in sorted(figures.items()):
        promised, is_kept = "", True
        if figure in TARGETS:
            relation, limit = TARGETS[figure]
            is_kept = _COMPARE[relation](value, limit)
            promised = f"{relation} {limit:g}" + ("" if is_kept else " [bold]missed[/bold]")
        table.add_row(figure, f"{value:,.2f}", promised, style=None if is_kept else "red")
    Console().print(table)


def _write(figures: dict[str, float]) -> None:
    """One flat object; a figure that is no number is left out."""
    RESULT.parent.mkdir(exist_ok=True)
    usable = {name: value for name, value in figures.items() if math.isfinite(value)}
    RESULT.write_text(json.dumps(usable, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    with interrupted_by_signals():  # whatever ends it, no process that it started is left
        sys.exit(main())
