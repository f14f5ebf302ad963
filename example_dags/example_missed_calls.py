"""
Missed calls: call each missed caller back, once a day at most.

Calls start the run, and the run does what comes after them: it waits until none of them rings any more, and calls back
those that were missed. So it does not matter that Airflow needs some seconds to start a task. Answer calls by a
standing order (``example_phone_hours``) or in the triggerer (``example_answer_call``); what these answer is not missed.

However many runs see the same missed call, the phone rings once: attempts are kept under the day and the number.

What it needs: the connections ``openai_realtime_default`` and ``telephony_carrier_default``, a triggerer, and OpenAI's
webhook pointing at the switchboard.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pendulum
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators import PlaceCallOperator
from airflow_openai_realtime.schedules import call_events_schedule
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls
from airflow_openai_realtime.triggers.incoming_call_event import IncomingCallTrigger

# [START missed_calls]
NUMBER = "+14155550104"
unanswered_calls = Asset(
    "unanswered_calls",
    watchers=[AssetWatcher(name="notifier", trigger=IncomingCallTrigger(to=NUMBER))],
)

with DAG(
    dag_id="example_missed_calls",
    schedule=call_events_schedule(unanswered_calls),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    # Longer than a call counts as ringing at the switchboard (60 s).
    params={"ring_out_seconds": Param(90, type="number", minimum=0, description="When no call rings any more")},
) as dag:
    wait = DateTimeSensorAsync(
        task_id="wait",
        target_time="{{ dag_run.run_after + macros.timedelta(seconds=params.ring_out_seconds) }}",
    )

    @task
    def missed() -> list[str]:
        """Return the numbers of the last hour's missed calls; a caller who hides cannot be called back."""
        since = datetime.now(timezone.utc) - timedelta(hours=1)
        with RealtimeHook().switchboard() as switchboard:
            calls = switchboard.send(list_calls(state="missed")).calls
        numbers = [call.from_number for call in calls if call.to_number == NUMBER and call.received_at > since]
        return sorted({number for number in numbers if number is not None})

    callers = missed()
    call_back = PlaceCallOperator.partial(
        task_id="call_back",
        campaign="missed-{{ dag_run.run_after.strftime('%Y-%m-%d') }}",
        wait_for_end=True,
        instructions="You call back for Example Stores, who missed a call from this number. Ask what it was about.",
        greeting="Hello, I am an AI calling for Example Stores. You tried to reach us: what can I do for you?",
        end_call=True,
    ).expand(to=callers)

    wait >> callers
# [END missed_calls]
