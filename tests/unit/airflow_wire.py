"""The way of a value between two tasks with Airflow's own parts: serialisers, the supervisor's wire and the API."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.comms import SetXCom, ToSupervisor, XComResult, _RequestFrame, _ResponseFrame
from pydantic import TypeAdapter

_TO_SUPERVISOR: TypeAdapter[Any] = TypeAdapter(ToSupervisor)


def between_tasks(value: Any) -> Any:
    """
    Send a value as a task's result to the next task.

    From the task over msgpack to its supervisor, as JSON to the API, and the same way back, as Airflow 3.2 and 3.3 do.

    :param value: What ``execute`` returned.
    :returns: What ``xcom_pull`` gives the next task.
    """
    sent = SetXCom(
        key="return_value",
        value=BaseXCom.serialize_value(value),
        dag_id="d",
        run_id="r",
        task_id="t",
        map_index=-1,
    )
    frame = _through(_RequestFrame(id=1, body=sent.model_dump()), _RequestFrame)
    told = _TO_SUPERVISOR.validate_python(frame.body)
    # What httpx does with ``json=``.
    kept = json.loads(json.dumps(told.value, ensure_ascii=False, allow_nan=False).encode())
    answer = _ResponseFrame(id=1, body=XComResult(key="return_value", value=kept).model_dump())
    came = XComResult.model_validate(_through(answer, _ResponseFrame).body)
    return BaseXCom.deserialize_value(came)


def _through(frame: Any, kind: type[Any]) -> Any:
    return msgspec.msgpack.Decoder(kind).decode(frame.as_bytes()[4:])
