"""
A scheduled callback campaign: every working day at nine, call back everybody on a list.

Each contact is one mapped task group: place the call, wait for it to come in, accept it, let it run, hang up.
The hang-up is a teardown of the accept, so it runs whatever failed in between; a call that would not end by itself ends
after ``max_duration_seconds``. A second run, a retry or a cleared task never rings a phone again: attempts are kept
under the campaign's name and the contact's number.

What it needs: the connections ``openai_realtime_default`` and ``telephony_carrier_default``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable, Param, WeightRule, task, task_group
from airflow.task.trigger_rule import TriggerRule

from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    HangupCallOperator,
    PlaceCallOperator,
    ReferCallOperator,
    RejectCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.sensors import IncomingCallSensor

INSTRUCTIONS = (
    "You call on behalf of {shop}. Say at once that you are an AI and that the call is about {topic}. "
    "Ask whether now is a good time. Be brief and friendly; when it is not a good time, say goodbye."
)

COLUMNS = {"name", "number", "topic", "if_answered", "transfer_to"}

with DAG(
    dag_id="example_callback_campaign",
    # Switched on after nine, Airflow starts today's run at once; PlaceCallOperator skips a run that starts so late.
    schedule=CronTriggerTimetable("0 9 * * 1-5", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    # A phone that rings comes before the next one to dial: later tasks of the chain go first.
    default_args={"weight_rule": WeightRule.UPSTREAM},
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "contacts_file": Param(
            str(Path(__file__).parent / "callback_contacts.csv"),
            type="string",
            description="CSV: name, number, topic, if_answered (talk, decline), transfer_to (tel:, sip: or empty)",
        ),
        # Longer calls need a longer limit of the carrier, too: max_duration_seconds of PlaceCallOperator (900).
        "max_duration_seconds": Param(120, type="integer", minimum=5, maximum=600),
        "shop": Param("Example Stores", type="string", description="In whose name we call"),
    },
) as dag:
    # One name a day: whatever runs again today meets the attempts that were already made.
    CAMPAIGN = "callbacks-{{ dag_run.run_after.strftime('%Y-%m-%d') }}"

    def read_contacts(params: dict[str, Any], if_answered: str) -> list[dict[str, str]]:
        """Read those of the list who are treated alike, in the order of the file."""
        # utf-8-sig: spreadsheets put a byte order mark in front, and many separate by semicolons.
        with Path(params["contacts_file"]).open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=max(",;\t", key=header.count), skipinitialspace=True))
        missing = COLUMNS - set(rows[0] if rows else COLUMNS)
        if missing:
            raise ValueError(f"{params['contacts_file']} has no column {', '.join(sorted(missing))}")
        return [row for row in rows if row["if_answered"].strip() == if_answered]

    @task
    def contacts_to_talk_to(params: dict[str, Any]) -> list[dict[str, str]]:
        """One dict of arguments for each person we want to talk to."""
        return [
            {
                "number": row["number"].strip(),
                "instructions": INSTRUCTIONS.format(shop=params["shop"], topic=row["topic"]),
                "transfer_to": row["transfer_to"],
            }
            for row in read_contacts(params, "talk")
        ]

    @task
    def contacts_to_decline(params: dict[str, Any]) -> list[dict[str, str]]:
        """One dict of arguments for each person who is only rung back: their phone shows that we tried."""
        return [{"number": row["number"].strip()} for row in read_contacts(params, "decline")]

    # [START call_contact]
    @task_group
    def call_contact(number: str, instructions: str, transfer_to: str) -> None:
        placed = PlaceCallOperator(task_id="place", to=number, campaign=CAMPAIGN)
        call = IncomingCallSensor(task_id="wait_for_call", placed=placed.output, timeout=180)
        accept = AcceptCallOperator(
            task_id="accept",
            call=call.output,
            instructions=instructions,
            voice="marin",
            max_duration_seconds="{{ params.max_duration_seconds }}",
        )
        transfer = ReferCallOperator(task_id="transfer", call=accept.output, target_uri=transfer_to, if_gone="skip")
        watch = WatchCallOperator(task_id="watch", call=accept.output)
        hang_up = HangupCallOperator(task_id="hang_up", call=accept.output)

        placed >> call >> accept >> [transfer, watch] >> hang_up.as_teardown(setups=accept)

    # [END call_contact]

    @task_group
    def ring_back(number: str) -> None:
        placed = PlaceCallOperator(task_id="place", to=number, campaign=CAMPAIGN)
        call = IncomingCallSensor(task_id="wait_for_call", placed=placed.output, timeout=180)
        decline = RejectCallOperator(task_id="decline", call=call.output, status_code=603)

        placed >> call >> decline

    # [START report]
    @task(trigger_rule=TriggerRule.ALL_DONE)
    def report(campaign: str) -> list[dict[str, Any]]:
        """What became of each attempt, for whatever comes next."""
        with RealtimeHook().switchboard() as switchboard:
            return [
                {"attempt_id": attempt.attempt_id, "state": attempt.state, "outcome": attempt.outcome}
                for attempt in switchboard.attempts(campaign)
            ]

    # [END report]

    [
        call_contact.expand_kwargs(contacts_to_talk_to()),
        ring_back.expand_kwargs(contacts_to_decline()),
    ] >> report(CAMPAIGN)
