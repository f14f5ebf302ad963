"""
What comes after a call: it was not answered, so dial again later; the person wants a human, so open a ticket.

The phone rings at most once for each attempt number, whatever is retried or cleared: the second call is attempt 2.

Each call that is over is also an event of the asset ``finished_calls``, which says which call and how it ended, and
nothing personal. The second DAG is scheduled on it. A run takes all events that wait, so it goes through them.

What it needs: the connections ``openai_realtime_default`` and ``telephony_carrier_default``, and a triggerer.
Unpause both DAGs.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, Asset, Param, task

from airflow_openai_realtime.operators import PlaceCallOperator
from airflow_openai_realtime.schedules import call_events_schedule

# [START follow_up]
finished_calls = Asset("finished_calls")

WANTED = {
    "type": "object",
    "properties": {"wants_a_person": {"type": "boolean", "description": "Whether they want to talk with a person"}},
    "required": ["wants_a_person"],
}
CALL = {
    "to": "{{ params.number }}",
    "campaign": "follow-up",
    "contact": "{{ run_id }}",
    "wait_for_end": True,
    "ring_seconds": "{{ params.ring_seconds }}",
    "instructions": "You call for Example Stores. Ask whether they want to talk with a person about the order.",
    "greeting": "Hello, I am an AI calling for Example Stores. Your order has arrived.",
    "result_model": WANTED,
    "outlets": [finished_calls],
}

with DAG(
    dag_id="example_follow_up",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "number": Param("+14155550101", type="string", pattern=r"^\+[1-9]\d{6,14}$", title="Number to call"),
        "again_after_minutes": Param(60, type="number", minimum=0, title="Ring again after (minutes)"),
        "ring_seconds": Param(30, type="number", minimum=1, maximum=600, title="Let it ring for (seconds)"),
    },
) as dag:
    call = PlaceCallOperator(task_id="call", **CALL)

    @task.branch
    def what_next(result: dict[str, Any]) -> str | None:
        """Choose what comes after the first call."""
        if result["outcome"] in ("no_answer", "busy"):
            return "wait"
        wants_a_person = result["result_valid"] and result["result"]["wants_a_person"]
        return "open_ticket" if wants_a_person else None

    @task
    def open_ticket(result: dict[str, Any]) -> str:
        """Tell your ticket system; it finds the transcript on the Calls page by the call's id."""
        return f"ticket for call {result['call_id']}"

    wait = DateTimeSensorAsync(
        task_id="wait",
        target_time="{{ dag_run.run_after + macros.timedelta(minutes=params.again_after_minutes) }}",
    )
    call_again = PlaceCallOperator(task_id="call_again", attempt=2, **CALL)

    what_next(call.output) >> [wait, open_ticket(call.output)]
    wait >> call_again

with DAG(
    dag_id="example_follow_up_report",
    schedule=call_events_schedule(finished_calls),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
):

    @task
    def count(triggering_asset_events: Any = None) -> dict[str, int]:
        """Count how the calls of this run's events have ended."""
        outcomes = [event.extra["outcome"] for event in triggering_asset_events[finished_calls]]
        return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}

    count()
# [END follow_up]
