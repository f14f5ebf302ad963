"""
``make demo``: a callback campaign in a real Airflow, against simulated phones, on this machine only.

Shows what happens while it happens, then a table of what became of everybody, and fails when the simulator's own log
says anything else than the table.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table

from airflow_openai_realtime.simulator.log import LogEntry
from airflow_openai_realtime.simulator.narrator import tell
from demo.airflow_processes import interrupted_by_signals
from demo.campaign import HUNG_UP, SCRIPTS, Contact, Outcome, disagreements, outcomes, read_contacts
from demo.stage import EXAMPLE_DAGS, Stage

DAG_ID = "example_callback_campaign"
CONTACTS = EXAMPLE_DAGS / "callback_contacts.csv"
DIRECTORY = Path(".demo")
#: Longest duration of a call without an end of its own, in seconds.
MAX_DURATION_SECONDS = 15
TIME_LIMIT_SECONDS = 240

console = Console(highlight=False)


def main() -> int:
    """Run the demonstration; the exit status says whether everything was as it should be."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave Airflow up afterwards, until Ctrl-C")
    keep = parser.parse_args().keep
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    contacts = read_contacts(CONTACTS)
    with interrupted_by_signals():
        try:
            return _perform(contacts, keep=keep)
        except KeyboardInterrupt:
            console.print("\nStopped; no process is left.")
            return 130


def _perform(contacts: list[Contact], *, keep: bool) -> int:
    # The simulator refuses sockets of calls that are over, and its web server calls that an error.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    stage = Stage(DIRECTORY.resolve())
    for contact in contacts:
        stage.simulator.phones.add(contact.number, SCRIPTS[contact.name])
    stage.simulator.log.listen(lambda entry: _say(entry, contacts))
    console.print("Starting Airflow (api-server, scheduler, dag-processor, triggerer) ...")
    with stage:
        stage.airflow.wait_for_dag(DAG_ID)
        console.print(f"Airflow is up at {stage.airflow.url}. Starting the campaign: {len(contacts)} people to call.\n")
        run_id = _run_campaign(stage)
        campaign = f"callbacks-{datetime.now(timezone.utc):%Y-%m-%d}"
        with stage.switchboard() as switchboard:
            found = outcomes(contacts, switchboard, stage.simulator.log, campaign)
        faults = disagreements(found, stage.simulator.log)
        state = stage.airflow.run_state(DAG_ID, run_id)
        if state != "success":
            faults.append(f"the DAG run ended in state {state}; logs: {stage.airflow.home / 'logs'}")
        _print_table(found)
        if keep:
            _keep(stage)
        open_calls = len(stage.simulator.log.open_calls())
    for fault in faults:
        console.print(f"[red]WRONG:[/red] {fault}")
    console.print(
        f"demo: {len(found)} calls, {sum(each.accepted for each in found)} accepted, "
        f"{sum(each.seen == HUNG_UP for each in found)} hung up automatically, {open_calls} left open"
    )
    return 1 if faults else 0


def _run_campaign(stage: Stage) -> str:
    airflow = stage.airflow
    airflow.unpause(DAG_ID)
    run_id = airflow.trigger(DAG_ID, {"max_duration_seconds": MAX_DURATION_SECONDS})
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    told = ""
    while airflow.run_state(DAG_ID, run_id) in ("queued", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the campaign did not end within {TIME_LIMIT_SECONDS} s; logs: {airflow.home / 'logs'}")
        states = Counter(each["state"] or "waiting" for each in airflow.task_instances(DAG_ID, run_id))
        line = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        if line != told:
            console.print(f"[dim]{_clock()} Airflow: {line}[/dim]")
            told = line
        time.sleep(2)
    return run_id


def _say(entry: LogEntry, contacts: list[Contact]) -> None:
    """One line of what happens to whom; answers to single requests are not worth one."""
    is_single_request = "answer" in entry.detail and not entry.kind.startswith("webhook.")
    if is_single_request or not entry.number:
        return
    name = next((contact.name for contact in contacts if contact.number == entry.number), "")
    console.print(f"{tell(entry)}" + (f"  ({name})" if name else ""), markup=False, soft_wrap=True)


def _print_table(found: list[Outcome]) -> None:
    table = Table("who", "what became of it", "accepted after", "talked", title="The campaign")
    for each in found:
        table.add_row(
            each.contact.name,
            each.seen,
            f"{each.answer_seconds:.1f} s" if each.answer_seconds is not None else "",
            f"{each.talked_seconds:.0f} s" if each.talked_seconds else "",
        )
    console.print()
    console.print(table)


def _keep(stage: Stage) -> None:
    console.print(f"\nAirflow stays up at [bold]{stage.airflow.url}[/bold] (no login needed). Ctrl-C ends it.")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("\nStopping ...")


def _clock() -> str:
    return f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005 - the reader's own clock


if __name__ == "__main__":
    sys.exit(main())
