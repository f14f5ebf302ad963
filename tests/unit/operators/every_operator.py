"""Every public operator and sensor, in each way that it is used, with the least that it needs then."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseOperator

import airflow_openai_realtime.operators
import airflow_openai_realtime.sensors
from airflow_openai_realtime.calls.answer_plan import SESSION_FIELDS
from airflow_openai_realtime.conversation.given_conversation import CONVERSATION_FIELDS
from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    ClaimCallsOperator,
    CloseLineOperator,
    HangupCallOperator,
    OpenLineOperator,
    PlaceCallOperator,
    ReferCallOperator,
    RejectCallOperator,
    WatchCallOperator,
)
from airflow_openai_realtime.operators.call_task import CallTask
from airflow_openai_realtime.sensors import IncomingCallSensor

_CALLS: dict[str, list[Any]] = {"call_id": ["rtc_1", "rtc_2"]}
_NUMBERS: dict[str, list[Any]] = {"to": ["+14155550142", "+14155550143"]}
_NAMES = ["one", "two"]
_CALL = ("call", "call_id")
_CONDITIONS = ("to", "from_number", "headers")
_SESSION = (*SESSION_FIELDS, "caller_fields")


@dataclass(frozen=True)
class Kind:
    """
    One way to use an operator.

    :param operator: Its class.
    :param given: What it needs, besides what it may be mapped over.
    :param mapped_over: What it may be mapped over: for a parameter two values.
    :param unused: Template fields that cannot be given then.
    """

    operator: type[Any]
    mapped_over: dict[str, list[Any]]
    given: dict[str, Any] = field(default_factory=dict)
    unused: Collection[str] = ()

    @property
    def fields(self) -> list[str]:
        """The template fields that can be given."""
        return [name for name in self.operator.template_fields if name not in self.unused]

    @property
    def least(self) -> dict[str, Any]:
        """Arguments of a plain task, without its id."""
        return {**self.given, **{name: values[0] for name, values in self.mapped_over.items()}}

    def without(self, name: str) -> dict[str, Any]:
        """What a task needs besides one field."""
        instead = _CALL if name in _CALL else (name,)
        return {each: value for each, value in self.least.items() if each not in instead}

    def plain(self, **more: Any) -> Any:
        """A task that is not mapped."""
        return self.operator(**{"task_id": "t", **self.least, **more})


KINDS: dict[str, Kind] = {
    "accept": Kind(AcceptCallOperator, _CALLS, unused=CONVERSATION_FIELDS),
    "accept and stay": Kind(AcceptCallOperator, _CALLS, {"wait_for_end": True}),
    "claim all": Kind(ClaimCallsOperator, _NUMBERS, unused=(*_CALL, "trigger_dag_id", "conf")),
    "claim one": Kind(ClaimCallsOperator, _CALLS, unused=(*_CONDITIONS, "trigger_dag_id", "conf")),
    "start runs": Kind(ClaimCallsOperator, {"trigger_dag_id": _NAMES}, unused=_CALL),
    "close": Kind(CloseLineOperator, {"name": _NAMES}),
    "hang up": Kind(HangupCallOperator, _CALLS),
    "wait": Kind(IncomingCallSensor, _NUMBERS, unused=(*_SESSION, *CONVERSATION_FIELDS)),
    "wait and answer": Kind(IncomingCallSensor, _NUMBERS, {"answer": True}, unused=CONVERSATION_FIELDS),
    "wait, answer and stay": Kind(IncomingCallSensor, _NUMBERS, {"answer": True, "wait_for_end": True}),
    "open": Kind(OpenLineOperator, {"name": _NAMES}),
    "place": Kind(PlaceCallOperator, _NUMBERS, {"campaign": "c"}, unused=(*_SESSION, *CONVERSATION_FIELDS)),
    "place and stay": Kind(PlaceCallOperator, _NUMBERS, {"campaign": "c", "wait_for_end": True}),
    "refer": Kind(ReferCallOperator, _CALLS, {"target_uri": "tel:+14155550199"}),
    "reject": Kind(RejectCallOperator, _CALLS),
    "watch": Kind(WatchCallOperator, _CALLS, unused=("order", *_CONDITIONS)),
    "watch an order": Kind(WatchCallOperator, {"order": _NAMES}, unused=_CALL),
    "take over": Kind(WatchCallOperator, {"order": _NAMES}, {"wait_for_end": False}, (*_CALL, *CONVERSATION_FIELDS)),
}


def found_in_package() -> set[type[Any]]:
    """Every public class of ours that Airflow can run as a task, found by walking the modules."""
    found = set()
    for package in (airflow_openai_realtime.operators, airflow_openai_realtime.sensors):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for each in vars(importlib.import_module(module.name)).values():
                if isinstance(each, type) and issubclass(each, BaseOperator) and each.__module__ == module.name:
                    found.add(each)
    return found - {CallTask}
