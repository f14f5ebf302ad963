"""What a DAG file pays for importing all operators and the sensor, beside Airflow's own OpenAI provider."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

RUNS = 5

# What any DAG file has loaded before it names a provider.
_DAG_AUTHOR = "from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, Param, task"
_OURS = (
    "from airflow_openai_realtime.operators import *\nfrom airflow_openai_realtime.sensors import IncomingCallSensor"
)
_OFFICIAL = "from airflow.providers.openai.operators.openai import OpenAIEmbeddingOperator, OpenAITriggerBatchOperator"


def measure() -> dict[str, float]:
    """Medians of several fresh interpreters each, in milliseconds, taken in turn, with bytecode as when installed."""
    for statement in (_OURS, _OFFICIAL):
        _import_ms(statement)  # writes bytecode that is not there yet
    ours: list[float] = []
    official: list[float] = []
    for _ in range(RUNS):
        ours.append(_import_ms(_OURS))
        official.append(_import_ms(_OFFICIAL))
    shares = [one / other for one, other in zip(ours, official, strict=True)]
    return {
        "import_ms_ours": statistics.median(ours),
        "import_ms_openai_provider": statistics.median(official),
        "import_share_of_openai_provider": statistics.median(shares),
    }


def _import_ms(statement: str) -> float:
    program = "\n".join(
        (
            _DAG_AUTHOR,
            "import time",
            "begun = time.perf_counter()",
            statement,
            "print((time.perf_counter() - begun) * 1000)",
        )
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], check=True, capture_output=True, text=True, env=env
    )
    return float(answer.stdout.split()[-1])
