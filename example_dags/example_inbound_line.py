"""
An inbound line: wait for a call, then accept, transfer or decline it, depending on who calls.

One run handles one call; the schedule starts the next run as soon as one ends, and ``max_active_runs`` is how many
callers can be waited for at the same time. A caller waits some seconds for a task to start: use this where the carrier
holds the caller, or for low traffic.

What it needs: the connection ``openai_realtime_default``, and OpenAI's webhook pointing at the switchboard.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Param, WeightRule, task

from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    HangupCallOperator,
    ReferCallOperator,
    RejectCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.sensors import IncomingCallSensor

# [START inbound_line]
with DAG(
    dag_id="example_inbound_line",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    # A phone that rings comes first.
    default_args={"weight_rule": WeightRule.UPSTREAM},
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "blocked": Param(["+14155550198"], type="array", description="Callers that are declined"),
        "straight_to_a_person": Param(["+14155550197"], type="array", description="Callers that are transferred"),
        "person": Param("tel:+14155550199", type="string", description="Where transfers go"),
    },
) as dag:
    # A shown number proves nothing about who calls: decide convenience by it, never rights.
    call = IncomingCallSensor(task_id="wait_for_call", timeout=3600, soft_fail=True)

    @task.branch
    def decide(call: dict[str, Any], params: dict[str, Any]) -> str:
        """Choose what happens with this caller."""
        return "decline" if call["from_number"] in params["blocked"] else "accept"

    @task
    def find_person(call: dict[str, Any], params: dict[str, Any]) -> str | None:
        """Return the transfer target for this caller; ``None`` for most callers."""
        return params["person"] if call["from_number"] in params["straight_to_a_person"] else None

    decline = RejectCallOperator(task_id="decline", call=call.output, status_code=603)
    accept = AcceptCallOperator(
        task_id="accept",
        call=call.output,
        instructions="You answer the phone of Example Stores. Say that you are an AI. Answer briefly and kindly.",
        voice="marin",
        max_duration_seconds=600,
    )
    transfer = ReferCallOperator(
        task_id="transfer", call=accept.output, target_uri=find_person(call.output), if_gone="skip"
    )
    watch = WatchCallOperator(task_id="watch", call=accept.output)
    hang_up = HangupCallOperator(task_id="hang_up", call=accept.output)

    decide(call.output) >> [decline, accept]
    accept >> [transfer, watch] >> hang_up.as_teardown(setups=accept)
# [END inbound_line]
