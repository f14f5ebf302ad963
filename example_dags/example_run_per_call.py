"""
An inbound line with one DAG run for each call, so that every call has its own page, state and duration in Airflow.

Two DAGs: a notifier that calls start and that only starts runs, and the DAG of the call. The
id of a call's run is made from the call's id, so a call that is announced twice has one run.

A caller waits 8 to 20 seconds when many call at once: use this where the carrier holds the caller, or for few calls.
To pick up at once see ``example_phone_hours`` and ``example_answer_call``.

What it needs: the connection ``openai_realtime_default``, and OpenAI's webhook pointing at the switchboard.
Unpause both DAGs.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    ClaimCallsOperator,
    HangupCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.schedules import call_events_schedule
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger

# [START run_per_call]
NUMBER = "+14155550103"
someone_calls = Asset(
    "someone_calls",
    watchers=[AssetWatcher(name="notifier", trigger=IncomingCallTrigger(to=NUMBER))],
)

with DAG(
    dag_id="example_run_per_call_doorbell",
    schedule=call_events_schedule(someone_calls),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A phone that rings comes before everything else.
    default_args={"priority_weight": 100},
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
) as notifier:
    ClaimCallsOperator(task_id="start_runs", trigger_dag_id="example_run_per_call", to=NUMBER)

with DAG(
    dag_id="example_run_per_call",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    # How many callers are talked to at the same time; more hear it ring.
    max_active_runs=32,
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
) as dag:
    accept = AcceptCallOperator(
        task_id="accept",
        call_id="{{ dag_run.conf['call_id'] }}",
        instructions="You answer the phone of Example Stores. Say that you are an AI. Answer briefly and kindly.",
        voice="marin",
        max_duration_seconds=600,
    )
    watch = WatchCallOperator(task_id="watch", call=accept.output)
    hang_up = HangupCallOperator(task_id="hang_up", call=accept.output)

    accept >> watch >> hang_up.as_teardown(setups=accept)
# [END run_per_call]
