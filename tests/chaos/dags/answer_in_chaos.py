"""Four tasks that answer calls to the number that a run is for."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor

with DAG("answer_in_chaos", schedule=None, catchup=False, is_paused_upon_creation=False):
    IncomingCallSensor.partial(
        answer=True, task_id="answer", to="{{ dag_run.conf['to'] }}", timeout=300, max_duration_seconds=90
    ).expand(instructions=["Be brief.", "Be kind.", "Be calm.", "Be quick."])
