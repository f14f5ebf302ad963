"""
A whole phone call as one task: it rings, talks, and its result says what was found out.

*Trigger DAG* in the Airflow UI asks whom to call. The model greets, asks, records the answers in the shape of
``Feedback``, says goodbye and hangs up. The task waits in the triggerer all the while. A phone that is not answered is
a result as well.

What it needs: the connections ``openai_realtime_default`` and ``telephony_carrier_default``, and a triggerer.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Param, task
from pydantic import BaseModel, Field

from airflow_openai_realtime.operators import PlaceCallOperator


# [START survey_call]
class Feedback(BaseModel):
    """What the call is to find out; the model fills it in."""

    score: int = Field(ge=1, le=5, description="How the delivery went, from 1 (bad) to 5 (good)")
    comment: str = Field("", description="Why, in the caller's words")


with DAG(
    dag_id="example_survey_call",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["openai-realtime", "example"],
    doc_md=__doc__,
    params={
        "number": Param("+14155550101", type="string", pattern=r"^\+[1-9]\d{6,14}$", title="Number to call"),
        "max_minutes": Param(5, type="integer", minimum=1, maximum=10, title="Hang up after (minutes)"),
    },
) as dag:
    # [START survey_call_tasks]
    call = PlaceCallOperator(
        task_id="call",
        to="{{ params.number }}",
        campaign="survey",
        contact="{{ run_id }}",
        wait_for_end=True,
        instructions="You call for Example Stores about yesterday's delivery. Be brief and kind.",
        voice="marin",
        transcription_model="gpt-transcribe",
        greeting="Hello, I am an AI calling for Example Stores. How did your delivery go, from 1 to 5?",
        goodbye="Thank you for your time. Goodbye.",
        result_model=Feedback,
        max_duration_seconds="{{ params.max_minutes * 60 }}",
    )

    @task
    def note(result: dict[str, Any]) -> str:
        """Say in one line what became of the call."""
        if result["result_valid"]:
            return f"{result['result']['score']} of 5"
        return f"no answer to the question: {result['outcome']}"

    note(call.output)
    # [END survey_call_tasks]
# [END survey_call]
