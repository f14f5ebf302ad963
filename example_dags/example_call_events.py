"""
An inbound line with events in Airflow: calls start the run, and one run takes all calls that ring at that moment.

The watcher is a notifier: it fires when a call rings, and again while the call is unclaimed. The first task claims
whatever rings then, so it does not matter how Airflow gathers events into runs. Calls that come later start the next
run, while the first goes on.

A caller waits 8 to 20 seconds when many call at once: use this where the carrier holds the caller, or for few calls.
To pick up at once see ``example_phone_hours`` and ``example_answer_call``.

What it needs: the connection ``openai_realtime_default``, and OpenAI's webhook pointing at the switchboard.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task_group

from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    ClaimCallsOperator,
    HangupCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.schedules import call_events_schedule
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger

# [START call_events]
NUMBER = "+14155550102"
calls_to_number = Asset(
    "calls_to_number",
    watchers=[AssetWatcher(name="notifier", trigger=IncomingCallTrigger(to=NUMBER))],
)

with DAG(
    dag_id="example_call_events",
    schedule=call_events_schedule(calls_to_number),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A run lasts as long as its longest call: a new one must be able to start meanwhile.
    max_active_runs=16,
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
) as dag:
    ringing = ClaimCallsOperator(task_id="claim", to=NUMBER)

    @task_group
    def talk(call: dict[str, Any]) -> None:
        accept = AcceptCallOperator(
            task_id="accept",
            call=call,
            instructions="You answer the phone of Example Stores. Say that you are an AI. Answer briefly and kindly.",
            voice="marin",
            max_duration_seconds=600,
        )
        watch = WatchCallOperator(task_id="watch", call=accept.output)
        hang_up = HangupCallOperator(task_id="hang_up", call=accept.output)

        accept >> watch >> hang_up.as_teardown(setups=accept)

    talk.expand(call=ringing.output)
# [END call_events]
