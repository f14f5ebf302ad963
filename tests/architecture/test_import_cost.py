"""What importing operators and sensors may not load: every DAG file that is parsed pays for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

MODULES = (
    "airflow_openai_realtime",
    "airflow_openai_realtime.operators.accept",
    "airflow_openai_realtime.operators.claim",
    "airflow_openai_realtime.operators.hang_up",
    "airflow_openai_realtime.operators.line",
    "airflow_openai_realtime.operators.place",
    "airflow_openai_realtime.operators.refer",
    "airflow_openai_realtime.operators.reject",
    "airflow_openai_realtime.operators.watch",
    "airflow_openai_realtime.sensors.incoming_call",
)
TRIGGERS = (
    "airflow_openai_realtime.triggers.take_call",
    "airflow_openai_realtime.triggers.wait_for_call",
    "airflow_openai_realtime.triggers.live_call",
)

#: Slow to load, and of no use when a DAG file is parsed.
HEAVY = (
    "fastapi",
    "starlette",
    "uvicorn",
    "alembic",
    "phonenumbers",
    "websockets",
    "openai",
    "airflow_openai_realtime.api.client",
    "airflow_openai_realtime.api.session.realtime_session",
    "airflow_openai_realtime.api.sideband.connection",
    "airflow_openai_realtime.simulator",
    "airflow_openai_realtime.switchboard.server.app",
    "airflow_openai_realtime.switchboard.client.switchboard_client",
    "airflow_openai_realtime.switchboard.server.store",
)
#: Too slow for parsing, fine where a task or trigger runs, which loads each once.
HEAVY_FOR_DAGS = (
    "airflow.triggers.base",
    "airflow_openai_realtime.triggers",
    "airflow_openai_realtime.outbound.placed",
    "airflow_openai_realtime.calls.sealing",
    "airflow_openai_realtime.outbound.carriers.port",
    "airflow_openai_realtime.calls.call",
    "airflow_openai_realtime.calls.task_states",
)

#: The promise is a share of what Airflow's OpenAI provider takes, which ``make bench`` measures; this is a share of
#: what ``airflow.sdk`` takes, for machines of any speed that run tests besides. Found: 1.5 to 2 %.
LIMIT_SHARE = 0.03


def loaded_by(*modules: str) -> tuple[set[str], float]:
    """Modules that importing these adds to those of ``airflow.sdk``, and the processor time as a share of theirs."""
    code = f"""
import json, sys, time
begun = time.process_time()
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
before = set(sys.modules)
started = time.process_time()
import {", ".join(modules)}
print(json.dumps([sorted(set(sys.modules) - before), (time.process_time() - started) / (started - begun)]))
"""
    # Bytecode is written, as an installed package has it; the first run may find none.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    loaded, share = json.loads(out.splitlines()[-1])
    return set(loaded), share


def within(loaded: set[str], names: tuple[str, ...]) -> set[str]:
    return {module for module in loaded for name in names if module == name or module.startswith(f"{name}.")}


def test_operators_and_the_sensor_load_nothing_heavy() -> None:
    loaded, _ = loaded_by(*MODULES)
    assert within(loaded, (*HEAVY, *HEAVY_FOR_DAGS)) == set()


def test_triggers_load_nothing_heavy() -> None:
    loaded, _ = loaded_by(*TRIGGERS)
    assert within(loaded, HEAVY) == set()


def test_the_package_alone_loads_nothing_but_itself() -> None:
    loaded, _ = loaded_by("airflow_openai_realtime", "airflow_openai_realtime.provider_info")
    assert {module for module in loaded if not module.startswith("airflow_openai_realtime")} == set()


def test_the_check_finds_what_it_is_for() -> None:
    loaded, _ = loaded_by(
        "airflow_openai_realtime.switchboard.server.app", "airflow_openai_realtime.api.session.realtime_session"
    )
    assert {"fastapi", "airflow_openai_realtime.api.session.realtime_session"} <= within(loaded, HEAVY)


def test_operators_and_the_sensor_load_quickly() -> None:
    share = min(loaded_by(*MODULES)[1] for _ in range(3))
    assert share <= LIMIT_SHARE, f"{share:.1%} of the time that airflow.sdk takes"


def test_making_the_operators_without_a_session_loads_nothing_heavy() -> None:
    code = """
import sys
from airflow_openai_realtime import *
HangupCallOperator(task_id="h", call="rtc_1")
RejectCallOperator(task_id="r", call="rtc_1", status_code=486)
ReferCallOperator(task_id="f", call="rtc_1", target_uri="tel:+14155550123")
PlaceCallOperator(task_id="p", to="+14155550123", campaign="c")
WatchCallOperator(task_id="w", call="rtc_1")
IncomingCallSensor(task_id="i", to="+14155550123")
print([name for name in ("phonenumbers", "fastapi", "websockets") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_a_conversation_in_a_dag_loads_nothing_of_what_runs_it() -> None:
    code = """
import sys
from airflow_openai_realtime import AcceptCallOperator
AcceptCallOperator(
    task_id="a",
    call_id="rtc_1",
    wait_for_end=True,
    greeting="Hello.",
    functions=["shop.look_up"],
    transfer_to={"desk": "tel:+14155550123"},
    transcript_path="s3://bucket/calls/",
)
print([name for name in sys.modules if "calls.timeline" in name or "api.sideband" in name or ".run." in name])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["AcceptCallOperator", "IncomingCallSensor", "RealtimeHook"])
def test_a_name_from_the_top_loads_only_its_own_module(name: str) -> None:
    code = (
        f"import sys; from airflow_openai_realtime import {name};"
        "print([module for module in sys.modules if 'simulator' in module or 'switchboard.app' in module])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
