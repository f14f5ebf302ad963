"""What running a call needs of the world, and what stands for it when nothing else is given."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from datetime import timedelta
from typing import Any

import pytest

from airflow_openai_realtime.api.sideband import connection
from airflow_openai_realtime.conversation.run.function_running import run_function
from airflow_openai_realtime.conversation.run.ports import CallPorts, Sideband

UNUSED: Any = None


def ports(**changes: Any) -> CallPorts:
    needed = {each.name: UNUSED for each in dataclasses.fields(CallPorts) if each.default is dataclasses.MISSING}
    return CallPorts(**{**needed, **changes})


def test_the_clock_and_the_functions_are_real_unless_a_test_gives_others() -> None:
    given = ports()
    assert given.now().utcoffset() == timedelta(0)
    assert given.sleep is asyncio.sleep
    assert given.run_function is run_function
    assert given.prices is None
    assert ports(sleep=len).sleep is len


def test_all_that_reaches_openai_or_the_switchboard_must_be_given() -> None:
    with pytest.raises(TypeError, match="attach"):
        CallPorts()  # type: ignore[call-arg]


def test_ports_cannot_be_changed_while_a_call_runs() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ports().sleep = len  # type: ignore[misc, assignment]


def test_the_socket_of_a_real_call_is_such_a_sideband() -> None:
    asked = {name for name, each in vars(Sideband).items() if inspect.isfunction(each) or isinstance(each, property)}
    asked = {name for name in asked if not name.startswith("_") or name == "__aiter__"}
    assert asked == {"__aiter__", "clean_end", "send"}
    made = connection.Sideband(UNUSED, "rtc_1")
    assert all(hasattr(type(made), name) or hasattr(made, name) for name in asked)
