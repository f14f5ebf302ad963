"""
How late a triggerer's event loop is, seen by a trigger that runs in it beside the others.

It sleeps for a moment again and again; by how much longer that takes is what every other trigger waits, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent
from demo.airflow_processes import LocalAirflow, wait_until

_EVERY_SECONDS = 0.01
_DAG_ID = "loop_lag"
_DAG = """\
from airflow.sdk import DAG

from bench.loop_lag import LagOperator

with DAG({dag_id!r}, schedule=None, is_paused_upon_creation=False):
    LagOperator(task_id="watch", path={path!r})
"""


class LagTrigger(BaseTrigger):  # type: ignore[misc]
    """
    Records the lag of the event loop, without end.

    :param path: The file: in each line the time, in seconds since 1970, and by how many milliseconds it was late.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        return "bench.loop_lag.LagTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Never fire."""
        loop = asyncio.get_running_loop()
        with open(self.path, "a") as file:  # noqa: ASYNC230 - a few hundred bytes a second, to a local file
            while True:
                lines = []
                for _ in range(100):
                    begun = loop.time()
                    await asyncio.sleep(_EVERY_SECONDS)
                    lines.append(f"{time.time():.3f} {(loop.time() - begun - _EVERY_SECONDS) * 1000:.3f}\n")
                file.writelines(lines)
                file.flush()
        yield TriggerEvent({})


class LagOperator(BaseOperator):  # type: ignore[misc]
    """
    A task that lets the triggerer write down how late its event loop is.

    :param path: Where to.
    """

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    def execute(self, context: Context) -> NoReturn:
        """Defer without end."""
        self.defer(trigger=LagTrigger(self.path), method_name="execute_complete")
        raise AssertionError("unreachable: deferring raises")


class LoopLag:
    """
    The lag of the one triggerer of an Airflow that can import this module.

    :param airflow: The Airflow.
    :param path: Where the triggerer writes.
    """

    def __init__(self, airflow: LocalAirflow, path: Path) -> None:
        self._airflow = airflow
        self._path = path

    def write(self, folder: Path) -> None:
        """
        Write the DAG's file.

        :param folder: Airflow's DAGs folder.
        """
        (folder / f"{_DAG_ID}.py").write_text(_DAG.format(dag_id=_DAG_ID, path=str(self._path)))

    def start(self) -> None:
        """Let the triggerer begin, and wait until it has."""
        self._airflow.wait_for_dag(_DAG_ID)
        self._airflow.trigger(_DAG_ID)
        wait_until(self._path.exists, "the triggerer to watch its loop", timeout_seconds=120)

    def between(self, begin: float, end: float) -> list[float]:
        """
        How late it was, in milliseconds, each time that it was looked at.

        :param begin: From then on, in seconds since 1970.
        :param end: Until then.
        """
        pairs = [line.split() for line in self._path.read_text().splitlines() if line.count(" ") == 1]
        return [float(lag) for at, lag in pairs if begin <= float(at) <= end]
