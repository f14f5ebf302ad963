"""
One call, started by hand: *Trigger DAG* in the Airflow UI asks whom to call and what about.

The phone rings once per run: a cleared or retried task meets the attempt that this run already made.

What it needs: the connections ``openai_realtime_default`` and ``telephony_carrier_default``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Param

from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    HangupCallOperator,
    PlaceCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.sensors import IncomingCallSensor

# [START call_now]
with DAG(
    dag_id="example_call_now",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "number": Param(
            "+14155550101",
            type="string",
            pattern=r"^\+[1-9]\d{6,14}$",
            title="Number to call",
            description="With country code, for example +14155550101",
        ),
        "instructions": Param(
            "Say that you are an AI calling on behalf of Example Stores. Ask how the delivery went. Be brief.",
            type="string",
            format="multiline",
            title="What the voice should do",
        ),
        "voice": Param("marin", type="string", enum=["marin", "cedar", "alloy", "verse"], title="Voice"),
        # Longer calls need a longer limit of the carrier, too: max_duration_seconds of PlaceCallOperator (900).
        "max_minutes": Param(5, type="integer", minimum=1, maximum=10, title="Hang up after (minutes)"),
    },
) as dag:
    # [START call_now_tasks]
    placed = PlaceCallOperator(task_id="place", to="{{ params.number }}", campaign="call-now", contact="{{ run_id }}")
    call = IncomingCallSensor(task_id="wait_for_call", placed=placed.output, timeout=180)
    accept = AcceptCallOperator(
        task_id="accept",
        call=call.output,
        instructions="{{ params.instructions }}",
        voice="{{ params.voice }}",
        max_duration_seconds="{{ params.max_minutes * 60 }}",
    )
    watch = WatchCallOperator(task_id="watch", call=accept.output)
    hang_up = HangupCallOperator(task_id="hang_up", call=accept.output)

    placed >> call >> accept >> watch >> hang_up.as_teardown(setups=accept)
    # [END call_now_tasks]
# [END call_now]
