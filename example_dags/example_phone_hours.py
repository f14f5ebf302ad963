"""
Phone hours: a line that is answered on weekdays from 8:00 to 18:00, at once and without a task for each call.

In the morning the DAG leaves a standing order at the switchboard, which from then on answers by itself, however many
call at once. In the evening it takes the order back; calls that are under way go on. Should Airflow be down in the
evening, the order expires a little later by itself.

No call is answered outside these hours. A second order with a lower ``priority`` and no end could announce them.

What it needs: the connection ``openai_realtime_default``, and OpenAI's webhook pointing at the switchboard.
"""

from __future__ import annotations

import pendulum
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, Param

from airflow_openai_realtime.operators import CloseLineOperator, OpenLineOperator

# [START phone_hours]
LINE = "phone_hours"

with DAG(
    dag_id="example_phone_hours",
    schedule="0 8 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "number": Param("+14155550166", type="string", description="The number that is answered"),
        "open_minutes": Param(600, type="number", exclusiveMinimum=0, description="How long the line is open"),
    },
) as dag:
    closing_time = "{{ dag_run.run_after + macros.timedelta(minutes=params.open_minutes) }}"

    open_line = OpenLineOperator(
        task_id="open_line",
        name=LINE,
        to="{{ params.number }}",
        instructions="You answer the phone of Example Stores. Say that you are an AI. Answer briefly and kindly.",
        voice="marin",
        greeting="Say: Example Stores, you are talking with an AI. What can I do for you?",
        max_duration_seconds=600,
        # The net, in case nothing closes the line.
        expires_at="{{ dag_run.run_after + macros.timedelta(minutes=params.open_minutes + 10) }}",
    )
    wait = DateTimeSensorAsync(task_id="wait_for_closing_time", target_time=closing_time)
    close_line = CloseLineOperator(task_id="close_line", name=LINE)

    open_line >> wait >> close_line.as_teardown(setups=open_line)
# [END phone_hours]
