"""
An inbound line that picks up within one ring: the triggerer answers, no worker and no scheduler stands in between.

Each run waits for one call. A new run begins every minute and waits for ten, so about ten wait at any time, each at the
cost of a few kilobytes in the triggerer, and a burst of calls is answered at once. A run that got no call is skipped.

The instructions are rendered when a run begins to wait. What only the call tells, here the number and a header that the
trunk adds, comes in by ``caller_fields``: as data, since callers can write what they like.

What it needs: the connection ``openai_realtime_default``, a triggerer, and OpenAI's webhook pointing at the
switchboard.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Param

from airflow_openai_realtime.operators import HangupCallOperator, WatchCallOperator
from airflow_openai_realtime.sensors import IncomingCallSensor

# [START answer_call]
with DAG(
    dag_id="example_answer_call",
    schedule="* * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Those that wait and those that talk; with more calls at once than this, callers wait for the next run.
    max_active_runs=30,
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "company": Param("Example Stores", type="string", description="Who answers"),
        "number": Param("+14155550188", type="string", description="The number that is answered"),
    },
) as dag:
    answer = IncomingCallSensor(
        task_id="answer",
        to="{{ params.number }}",
        answer=True,
        instructions=(
            "You answer the phone of {{ params.company }}. Say that you are an AI. Answer briefly and kindly. "
            "The caller rings from the number {caller_number}, perhaps about the order {order}."
        ),
        caller_fields={"caller_number": "from_number", "order": "headers.X-Order-Id"},
        voice="marin",
        max_duration_seconds=600,
        timeout=timedelta(minutes=10),
        soft_fail=True,
    )
    watch = WatchCallOperator(task_id="watch", call=answer.output)
    hang_up = HangupCallOperator(task_id="hang_up", call=answer.output)

    answer >> watch >> hang_up.as_teardown(setups=answer)
# [END answer_call]
